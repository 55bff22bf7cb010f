import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawConnection, RawFrame } from '../../support/raw-connection.ts';
import { connectRaw } from '../../support/raw-connection.ts';
import { recordsIn } from './records.ts';

/** What the contract is run against. Both targets: one broker, levels `1s 2s 3s …`, a 5 s long-poll tick, auto-creation on, SQL92 off. */
export interface ContractTarget {
  readonly nameServer: string;
  readonly broker: { readonly name: string; readonly address: string };
}

export const DELAY_LEVELS = '1s 2s 3s 4s 5s 6s 7s 8s 9s 10s 11s 12s 13s 14s 15s 16s 17s 18s';

const names = (prefix: string) => `${prefix}-${randomBytes(5).toString('hex')}`;

/** Flags of a pull: the filter comes with the request, and it may wait. */
export const INLINE = 4;
export const SUSPEND = 2;
export const COMMIT = 1;

interface PullSettings {
  queueId?: number;
  offset?: number | bigint;
  maxMessages?: number;
  sysFlag?: number;
  suspendMs?: number;
  subscription?: string;
  expressionType?: string;
  subVersion?: number;
  commitOffset?: number;
}

interface SendSettings {
  queueId?: number;
  body?: string | Buffer;
  properties?: Record<string, string>;
  template?: string;
  queueNums?: number;
  reconsumeTimes?: number;
  maxReconsumeTimes?: number;
  flag?: number;
  sysFlag?: number;
  version?: number;
}

export interface Member {
  clientID: string;
  topic: string;
  tags?: string;
  subVersion?: number;
  messageModel?: string;
}

/** Raw connections to a name server and a broker, and the requests that most checks need. */
export interface Lab {
  readonly names: RawConnection;
  readonly broker: RawConnection;
  readonly brokerName: string;
  readonly brokerAddress: string;
  readonly nameServer: string;
  /** One more connection to the broker; closed with the lab. */
  connect(): Promise<RawConnection>;
  topic(queues?: number, perm?: number): Promise<string>;
  group(): string;
  pull(
    group: string,
    topic: string,
    settings?: PullSettings,
    connection?: RawConnection,
  ): Promise<RawFrame>;
  /** Comes back when the message can be pulled, unless it is delayed. */
  send(topic: string, settings?: SendSettings): Promise<RawFrame>;
  heartbeat(group: string, member: Member, connection?: RawConnection): Promise<RawFrame>;
  commit(group: string, topic: string, queueId: number, offset: number | bigint): Promise<RawFrame>;
  /** The committed offset as text, or the code that said no. */
  committed(group: string, topic: string, queueId: number): Promise<string>;
  /** Polls a queue from 0 until it has so many messages. */
  await(
    topic: string,
    queueId: number,
    count: number,
    withinMs?: number,
  ): Promise<ReturnType<typeof recordsIn>>;
}

export function code(frame: RawFrame): number {
  return frame.code;
}

/** Sets up a lab for the checks of the surrounding describe. */
export function useLab(target: () => ContractTarget): Lab {
  const open: RawConnection[] = [];
  const state: { names?: RawConnection; broker?: RawConnection } = {};
  const need = (connection: RawConnection | undefined): RawConnection => {
    assert(connection, 'the lab is used before its connections are there');
    return connection;
  };
  const connect = async (address: string) => {
    const connection = await connectRaw(address);
    open.push(connection);
    return connection;
  };

  before(async () => {
    state.names = await connect(target().nameServer);
    state.broker = await connect(target().broker.address);
  });
  after(() => {
    for (const connection of open) connection.close();
  });

  const lab: Lab = {
    get names() {
      return need(state.names);
    },
    get broker() {
      return need(state.broker);
    },
    get brokerName() {
      return target().broker.name;
    },
    get brokerAddress() {
      return target().broker.address;
    },
    get nameServer() {
      return target().nameServer;
    },
    connect: () => connect(target().broker.address),
    async topic(queues = 4, perm = 6) {
      const topic = names('topic');
      const created = await lab.broker.call(17, {
        topic,
        defaultTopic: 'TBW102',
        readQueueNums: queues,
        writeQueueNums: queues,
        perm,
        topicFilterType: 'SINGLE_TAG',
        topicSysFlag: 0,
        order: false,
      });
      assert.equal(created.code, 0, created.remark);
      return topic;
    },
    group: () => names('group'),
    pull: (consumerGroup, topic, settings = {}, connection = lab.broker) =>
      connection.call(
        11,
        {
          consumerGroup,
          topic,
          queueId: settings.queueId ?? 0,
          queueOffset: settings.offset ?? 0,
          maxMsgNums: settings.maxMessages ?? 32,
          sysFlag: settings.sysFlag ?? INLINE,
          commitOffset: settings.commitOffset ?? 0,
          suspendTimeoutMillis: settings.suspendMs ?? 0,
          subscription: settings.subscription ?? '*',
          subVersion: settings.subVersion ?? 0,
          expressionType: settings.expressionType ?? 'TAG',
        },
        { timeoutMs: 25_000 },
      ),
    async send(topic, settings = {}) {
      const answer = await patiently(() =>
        lab.broker.call(
          310,
          {
            a: 'contract-producer',
            b: topic,
            c: settings.template ?? 'TBW102',
            d: settings.queueNums ?? 4,
            e: settings.queueId ?? 0,
            f: settings.sysFlag ?? 0,
            g: 1_700_000_000_000,
            h: settings.flag ?? 0,
            i: propertiesText(settings.properties ?? {}),
            j: settings.reconsumeTimes ?? 0,
            k: false,
            l: settings.maxReconsumeTimes,
            m: false,
          },
          {
            body: settings.body ?? 'hello',
            ...(settings.version !== undefined && { version: settings.version }),
          },
        ),
      );
      const { queueId = 0, queueOffset } = answer.extFields;
      const isThere = async () =>
        Number((await lab.broker.call(30, { topic, queueId })).extFields.offset) >
        Number(queueOffset);
      // The real broker answers before its consume queue knows of the message.
      while (
        answer.code === 0 &&
        !topic.startsWith('%') &&
        !settings.properties?.DELAY &&
        !(await isThere())
      )
        await sleep(5);
      return answer;
    },
    heartbeat: (group, member, connection = lab.broker) =>
      connection.call(34, {}, { body: heartbeatBody(group, member) }),
    commit: (consumerGroup, topic, queueId, commitOffset) =>
      lab.broker.call(15, { consumerGroup, topic, queueId, commitOffset }),
    async committed(consumerGroup, topic, queueId) {
      const answer = await lab.broker.call(14, {
        consumerGroup,
        topic,
        queueId,
        setZeroIfNotFound: false,
      });
      return answer.extFields.offset ?? `code ${answer.code}`;
    },
    async await(topic, queueId, count, withinMs = 8000) {
      const until = Date.now() + withinMs;
      for (;;) {
        const records = recordsIn((await lab.pull(names('reader'), topic, { queueId })).body);
        if (records.length >= count) return records;
        if (Date.now() > until)
          assert.fail(
            `${topic}/${queueId} has ${records.length} messages, not ${count}, after ${withinMs} ms`,
          );
        await sleep(50);
      }
    },
  };
  return lab;
}

const SYSTEM_BUSY = 2;
const BUSY_TRIES = 10;

/** Real brokers refuse sends that waited 200 ms in their queue, which on a loaded machine says nothing about the check. */
async function patiently(send: () => Promise<RawFrame>): Promise<RawFrame> {
  for (let attempt = 1; ; attempt++) {
    const answer = await send();
    if (answer.code !== SYSTEM_BUSY || attempt === BUSY_TRIES) return answer;
    await sleep(100);
  }
}

export function propertiesText(properties: Record<string, string>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}\u0001${value}\u0002`)
    .join('');
}

export function heartbeatBody(groupName: string, member: Member): object {
  const tags = member.tags ?? '*';
  const tagsSet = tags === '*' ? [] : tags.split('||').map((tag) => tag.trim());
  return {
    clientID: member.clientID,
    consumerDataSet: [
      {
        groupName,
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: member.messageModel ?? 'CLUSTERING',
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        unitMode: false,
        subscriptionDataSet: [
          {
            classFilterMode: false,
            topic: member.topic,
            subString: tags,
            tagsSet,
            codeSet: tagsSet.map(javaHash),
            subVersion: member.subVersion ?? 1_700_000_000_000,
            expressionType: 'TAG',
          },
        ],
      },
    ],
    producerDataSet: [{ groupName: 'CLIENT_INNER_PRODUCER' }],
    heartbeatFingerprint: 0,
    withoutSub: false,
  };
}

function javaHash(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  return hash;
}
