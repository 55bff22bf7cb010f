import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { Child } from '../support/child-process.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { mqadmin, startJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { deploy } from '../support/shared-group.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const TOPIC = 'orders';
const GROUP = 'workers';
const QUEUES = 4;
const SEND_EVERY_MS = 20;
/** A loaded machine starts a JVM in many seconds. */
const PATIENCE_MS = 90_000;
/** No queue may be without an owner for longer. */
const OWNERLESS_MS = 25_000;
/** What Java had settled before it ended and not stored: it stores offsets every 5 s, and when it ends. */
const AROUND_A_MOVE_MS = 4_000;

interface Delivery {
  readonly who: 'java' | 'here';
  readonly body: string;
  readonly queueId: number;
  readonly at: number;
}

describe('a group that is shared with Java consumers, on a real broker', {
  skip: missingStack('rocketmq'),
}, () => {
  let rocketmq: RealRocketMQ;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let dynamodb: DynamoDBClient;
  let client: RocketMQClient;
  let service: ReturnType<typeof deploy>;
  const deliveries: Delivery[] = [];
  const bodies = new Set<string>();
  const sent = new Set<string>();
  const direct: string[] = [];
  let sending = true;
  let traffic: Promise<void>;

  before(async () => {
    [rocketmq, database] = await Promise.all([
      // A reset goes the old way, by request 220 to the members: 4.9 knows no other.
      startRealRocketMQ(since('5.2') ? { brokerConf: { useServerSideResetOffset: 'false' } } : {}),
      startDynalite(),
    ]);
    dynamodb = await connect(database.endpoint);
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    await client.createTopic(TOPIC, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
    service = deploy({
      dynamodb,
      nameServers: [rocketmq.nameServer],
      source: source([subscription(TOPIC)], { consumerGroup: GROUP, coexist: true, pullers: 1 }),
      handler: async ({ Records }: RocketMQEvent) => {
        await sleep(5);
        for (const {
          body,
          rocketmq: { queueId },
        } of Records) {
          if (!bodies.has(body)) direct.push(body);
          deliveries.push({ who: 'here', body, queueId, at: Date.now() });
        }
      },
      logger: silentLogger,
    });
    traffic = (async () => {
      for (let n = 0; sending; n++) {
        const body = String(n);
        bodies.add(body);
        try {
          await client.send({ topic: TOPIC, body: Buffer.from(body) });
          sent.add(body);
        } catch {
          // A broker on a loaded machine sheds load. It may have the message or not: nothing is concluded from it.
        }
        await sleep(SEND_EVERY_MS);
      }
    })();
  });
  after(async () => {
    sending = false;
    await traffic;
    await service?.end();
    await client?.close();
    dynamodb?.destroy();
    await Promise.all([database?.stop(), rocketmq?.stop()]);
  });

  const startMember = async (filter = '*'): Promise<Child> => {
    let started = false;
    const child = await startJava(
      'GroupMember',
      [rocketmq.nameServer, TOPIC, GROUP, '2', filter],
      (line) => {
        if (line.includes('started')) started = true;
        else deliveries.push({ who: 'java', ...(JSON.parse(line) as Omit<Delivery, 'who'>) });
      },
    );
    await until(() => started, 'the Java member starts', PATIENCE_MS);
    return child;
  };
  /** Who delivered what of each queue since then. */
  const ownersSince = (since: number) =>
    Array.from({ length: QUEUES }, (_, queueId) => [
      ...new Set(
        deliveries.filter((d) => d.at > since && d.queueId === queueId).map(({ who }) => who),
      ),
    ]);
  const ownedBy = async (expected: readonly Delivery['who'][], what: string): Promise<void> => {
    await until(
      () => {
        const owners = ownersSince(Date.now() - 2_000);
        return owners.every((own, queueId) => own.length === 1 && own[0] === expected[queueId]);
      },
      what,
      PATIENCE_MS,
    );
  };

  test('a Java member joins and leaves while messages flow: nothing is lost, no queue is without an owner', async (t) => {
    await ownedBy(['here', 'here', 'here', 'here'], 'alone');
    const joinedAt = Date.now();
    const java = await startMember();
    await ownedBy(['java', 'java', 'here', 'here'], 'half and half');
    const halfAfter = Date.now() - joinedAt;

    const status = await mqadmin(rocketmq.nameServer, ['consumerStatus', '-g', GROUP]);
    assert.match(status, /shop-dev@workers@0/);
    assert.match(status, /Same subscription in the same group of consumer/);
    const info = await mqadmin(rocketmq.nameServer, [
      'consumerStatus',
      '-g',
      GROUP,
      '-i',
      'shop-dev@workers@0',
    ]);
    assert.match(info, /PROP_CONSUME_TYPE\s*: CONSUME_PASSIVELY/);
    assert.match(info, /Topic: orders/);
    for (const queueId of [2, 3])
      assert.match(info, new RegExp(`orders\\s+broker-a\\s+${queueId}\\s+\\d+`));
    const connections = await mqadmin(rocketmq.nameServer, ['consumerConnection', '-g', GROUP]);
    assert.match(connections, /shop-dev@workers@0/);

    const leftAt = Date.now();
    await java.stop();
    await ownedBy(['here', 'here', 'here', 'here'], 'alone again');
    const aloneAfter = Date.now() - leftAt;
    sending = false;
    await traffic;
    const seen = () => new Set(deliveries.map(({ body }) => body));
    await until(
      () => [...sent].every((body) => seen().has(body)),
      'every message was delivered',
      PATIENCE_MS,
    );

    const gaps = Array.from({ length: QUEUES }, (_, queueId) => {
      const times = deliveries
        .filter((d) => d.queueId === queueId)
        .map(({ at }) => at)
        .sort((a, b) => a - b);
      return Math.max(...times.slice(1).map((at, index) => at - (times[index] as number)));
    });
    assert.ok(Math.max(...gaps) < OWNERLESS_MS, `gaps ${gaps.join(', ')} ms`);
    const twice = [...Map.groupBy(deliveries, ({ body }) => body).values()].filter(
      (same) => same.length > 1,
    );
    // A move takes from the member's first heartbeat, or its farewell, until both have acted on it.
    const moves = [
      [joinedAt, joinedAt + halfAfter],
      [leftAt - AROUND_A_MOVE_MS, leftAt + aloneAfter],
    ] as const;
    const strays = twice.filter(
      ([first]) =>
        !moves.some(([from, to]) => first !== undefined && first.at >= from && first.at <= to),
    );
    t.diagnostic(
      `${sent.size} messages, ${twice.length} twice; longest gaps ${gaps.join(', ')} ms; shared after ${halfAfter} ms, alone after ${aloneAfter} ms`,
    );
    assert.deepEqual(
      strays.map(([first]) => first),
      [],
      'delivered twice although no queue moved then',
    );
    assert.ok(twice.length < sent.size / 10, `${twice.length} of ${sent.size} twice`);
    // A loaded machine makes a broker late or busy: that is not what this is about.
    const late = ['ROCKETMQ_REQUEST_TIMEOUT', 'ROCKETMQ_CONNECTION', 'ROCKETMQ_BROKER'];
    assert.deepEqual(
      [...service.problems].filter((code) => !late.includes(code)),
      [],
    );
  });

  test('an operator has a message delivered directly (309)', async () => {
    const { offsetMsgId } = await client.send({ topic: TOPIC, body: Buffer.from('again, please') });
    await until(() => direct.length === 1, 'the ordinary delivery', PATIENCE_MS);
    const told = await mqadmin(rocketmq.nameServer, [
      'queryMsgById',
      '-i',
      offsetMsgId,
      '-g',
      GROUP,
      '-d',
      'shop-dev@workers@0',
      ...(since('5.0') ? ['-t', TOPIC] : []),
    ]);
    assert.match(told, /CR_SUCCESS/);
    assert.deepEqual(direct, ['again, please', 'again, please']);
  });

  test('an operator resets the offsets by telling the members (220)', async () => {
    const before = deliveries.length;
    await mqadmin(rocketmq.nameServer, [
      'resetOffsetByTime',
      '-g',
      GROUP,
      '-t',
      TOPIC,
      '-s',
      '0',
      '-f',
      'true',
    ]);
    await until(() => deliveries.length - before >= sent.size, 'everything again', PATIENCE_MS);
  });
});
