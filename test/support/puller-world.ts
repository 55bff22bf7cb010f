import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import { runLimited } from '../../src/membership/run-limited.ts';
import type { Assignment, CrashRecord } from '../../src/model/assignment.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';
import { type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { MessageHandler } from '../../src/ports/invoke.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { OutgoingMessage } from '../../src/ports/rocketmq.ts';
import type { PullerDeps, PullerOptions, PullerReport } from '../../src/puller/puller-deps.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { N, queueItemKey, S } from '../../src/store/items.ts';
import { type EmbeddedRocketMQOptions, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { source, subscription } from './coordinator-world.ts';
import { connect, TABLE, TENANT } from './databases.ts';
import { startDynalite } from './dynalite.ts';
import { connectRaw } from './raw-connection.ts';
import { sendUndecodable } from './undecodable.ts';

export const TOPIC = 'orders';
export const GROUP = 'workers';
export const RETRY: MessageQueue = { topic: retryTopic(GROUP), brokerName: 'broker-a', queueId: 0 };
/** Queue `queueId` of the topic. */
export const at = (queueId: number): MessageQueue => ({
  topic: TOPIC,
  brokerName: 'broker-a',
  queueId,
});

/** What a handler of these tests is: the event in, the answer out. */
export type Answering = (event: RocketMQEvent, context: Context) => unknown;

interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly code: string | undefined;
  readonly reason: string | undefined;
}

export interface PullerSettings {
  readonly queues?: readonly MessageQueue[];
  readonly slot?: number;
  readonly holder?: string;
  readonly subscriptions?: readonly Partial<SubscriptionConfig>[];
  /** Options of the group. */
  readonly source?: Partial<SourceConfig>;
  readonly options?: { readonly [Name in keyof PullerOptions]?: PullerOptions[Name] | undefined };
  /** What the invocation has at its start. */
  readonly remainingMs?: number;
  readonly notAfter?: number;
  readonly consumerGroup?: string;
  readonly deps?: Partial<PullerDeps>;
}

/** Options of another deployment, which does nothing else: its pullers are to succeed those of earlier ones. */
export const deployment = (number: number): Partial<SourceConfig> => ({
  idleTimeout: 100 + number,
});

/** A puller that runs. */
export interface RunningPuller {
  readonly report: Promise<PullerReport>;
  /** Asks it to drain and waits for its report. */
  stop(): Promise<PullerReport>;
}

/** Everything that a puller works with, for real and nearby: embedded RocketMQ, dynalite, the client, the store. Delay levels are all "at once". */
export async function createPullerWorld(brokerOptions: EmbeddedRocketMQOptions = {}) {
  const messageDelayLevel = Array.from({ length: 18 }, () => '0s').join(' ');
  const broker = await startEmbeddedRocketMQ({
    autoCreateTopic: false,
    longPollTickMs: 100,
    messageDelayLevel,
    ...brokerOptions,
  });
  const database = await startDynalite();
  const dynamodb = await connect(database.endpoint);
  const client = createRocketMQClient({ nameServers: broker.nameServers });
  const store = createAssignmentStore(dynamodb, TABLE, { keys: TENANT, newToken: randomUUID });
  const group = { cluster: 'default', consumerGroup: GROUP };
  const logs: LogLine[] = [];
  const running: RunningPuller[] = [];

  function start(
    handler: Answering | MessageHandler,
    settings: PullerSettings = {},
  ): RunningPuller {
    const {
      queues = [at(0)],
      slot = 0,
      holder = `puller-${randomUUID()}`,
      remainingMs = 60_000,
    } = settings;
    const endsAt = Date.now() + remainingMs;
    const subscriptions = (settings.subscriptions ?? [{}]).map((own) =>
      subscription(own.topic ?? TOPIC, own),
    );
    const config: SourceConfig = source(subscriptions, {
      consumerGroup: GROUP,
      ...settings.source,
    });
    const messageHandler =
      typeof handler === 'function' ? createInlineHandler(handler, () => ({}) as Context) : handler;
    const drain = new AbortController();
    const report = runLimited(
      {
        cluster: 'default',
        consumerGroup: settings.consumerGroup ?? GROUP,
        slot,
        queues,
        notAfter: settings.notAfter ?? endsAt,
      },
      {
        service: {
          service: 'shop',
          stage: 'dev',
          clusters: { default: { nameServers: broker.nameServers } },
          sources: [config],
        },
        client,
        store,
        handlers: () => messageHandler,
        clock: systemClock,
        logger: collect(logs),
        random: Math.random,
        holder,
        remainingMs: () => endsAt - Date.now(),
        signal: drain.signal,
        options: withoutUndefined({
          idleTimeoutMs: 30_000,
          commitIntervalMs: 50,
          renewIntervalMs: 100,
          maxSuspendMs: 300,
          ...settings.options,
        }),
        ...settings.deps,
      },
    );
    const puller = {
      report,
      stop: () => {
        drain.abort();
        return report;
      },
    };
    running.push(puller);
    return puller;
  }

  return {
    broker,
    client,
    store,
    group,
    databaseEndpoint: database.endpoint,
    logs,
    start,
    /** The topic, the group and its retry queue, with an assignment for each queue. */
    async prepare(queues = 1, startOffset = 0n): Promise<MessageQueue[]> {
      broker.createTopic(TOPIC, { queues });
      broker.createGroup(GROUP);
      broker.createTopic(RETRY.topic, { queues: 1 });
      const all = [...Array.from({ length: queues }, (_, queueId) => at(queueId)), RETRY];
      for (const queue of all)
        await store.create(group, queue, 0, queue === RETRY ? 0n : startOffset);
      return all;
    },
    async produce(
      count: number,
      queueId = 0,
      message: (index: number) => Partial<OutgoingMessage> = () => ({}),
    ): Promise<void> {
      for (let done = 0; done < count; done += 100) {
        const batch = Array.from({ length: Math.min(100, count - done) }, (_, index) => ({
          topic: TOPIC,
          body: Buffer.from(String(done + index)),
          ...message(done + index),
        }));
        await client.sendBatch(batch, { queue: at(queueId) });
      }
    },
    /** A message that says it is compressed in a way that nobody has defined. */
    async produceUndecodable(queueId = 0, properties = ''): Promise<void> {
      await raw(async (connection) => {
        await sendUndecodable(connection, TOPIC, queueId, properties);
      });
    },
    /** What an operator does with mqadmin. */
    async reset(queueId: number, offset: number): Promise<void> {
      const fields = { topic: TOPIC, group: GROUP, timestamp: 0, isForce: true, queueId, offset };
      await raw((connection) => connection.call(222, fields));
    },
    committed: (queue: MessageQueue = at(0)) => broker.offset(GROUP, queue),
    async assignmentOf(queue: MessageQueue = at(0)): Promise<Assignment> {
      const found = (await store.list(group)).find(
        (item) => item.queue.topic === queue.topic && item.queue.queueId === queue.queueId,
      );
      if (found === undefined) throw new Error('no such assignment');
      return found;
    },
    /** Somebody takes the queue and is never heard of again; its lease is over at once. It may have left a record of deaths. */
    async die(holder: string, crash?: CrashRecord): Promise<void> {
      const now = Date.now();
      const key = { ...group, queue: at(0), holder };
      const answer = await store.acquire({
        ...key,
        slot: 0,
        now,
        leaseUntil: now - 1,
        endsAt: now,
      });
      if (!answer.applied) throw new Error(`not acquired: ${answer.reason}`);
      if (crash !== undefined)
        await store.renew({ ...key, fence: answer.assignment.fence, leaseUntil: now - 1, crash });
      await sleep(2);
    },
    /** The lease of a holder that is dead is over at once, instead of after its time. */
    async expire(holder: string): Promise<void> {
      for (const { queue, lease } of await store.list(group))
        if (lease?.holder === holder)
          await dynamodb.send(
            new UpdateItemCommand({
              TableName: TABLE,
              Key: queueItemKey(TENANT, group, queue),
              UpdateExpression: 'SET leaseUntil = :over',
              ConditionExpression: 'holder = :holder',
              ExpressionAttributeValues: { ':over': N(0), ':holder': S(holder) },
            }),
          );
    },
    async stop(): Promise<void> {
      await Promise.all(running.map((puller) => puller.stop()));
      await client.close();
      dynamodb.destroy();
      await database.stop();
      await broker.stop();
    },
  };

  async function raw(
    use: (connection: Awaited<ReturnType<typeof connectRaw>>) => Promise<unknown>,
  ): Promise<void> {
    const connection = await connectRaw(broker.brokers[0]?.address ?? '');
    await use(connection).finally(() => connection.close());
  }
}

/** undefined: as it is without the option. */
function withoutUndefined(options: object): Partial<PullerOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

export type PullerWorld = Awaited<ReturnType<typeof createPullerWorld>>;

function collect(lines: LogLine[]): Logger {
  const write = (level: LogLine['level']) => (fields: object, message: string) => {
    const { code, reason } = fields as { code?: string; reason?: string };
    lines.push({ level, message, code, reason });
  };
  const logger: Logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: () => logger,
  };
  return logger;
}

/** Collects what a handler sees, in order, and answers as `answer` says (all done without it). */
export function recorder(answer: Answering = () => undefined) {
  const events: RocketMQEvent[] = [];
  const records: RocketMQRecord[] = [];
  return {
    events,
    records,
    /** The bodies that were seen, as often as they were. */
    get bodies(): string[] {
      return records.map(({ body }) => body);
    },
    handler: ((event, context) => {
      events.push(event);
      records.push(...event.Records);
      return answer(event, context);
    }) satisfies Answering,
  };
}

/** A handler whose calls wait until they are let go. */
export function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}
