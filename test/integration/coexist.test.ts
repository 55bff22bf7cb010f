import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { FOREIGN_SLOT } from '../../src/model/membership.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import { ensureTable } from '../../src/store/table.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { heartbeatBody } from '../contract/rocketmq/lab.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { deploy } from '../support/shared-group.ts';
import { until } from '../support/until.ts';

const HEART_BEAT = 34;
const RETRY = '%RETRY%workers';
const PATIENCE_MS = 30_000;

describe('a group that is shared with others (coexist)', () => {
  let broker: EmbeddedRocketMQ;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let dynamodb: DynamoDBClient;
  let client: RocketMQClient;
  let service: ReturnType<typeof deploy> | undefined;
  const bodies: string[] = [];

  before(async () => {
    database = await startDynalite();
  });
  after(() => database.stop());
  const begin = async (
    settings: { source?: Partial<SourceConfig>; queues?: number; invocationMs?: number } = {},
  ) => {
    broker ??= await startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 100 });
    broker.createTopic('orders', { queues: settings.queues ?? 4 });
    dynamodb = await connect(database.endpoint);
    client = createRocketMQClient({ nameServers: broker.nameServers });
    const { source: own = {}, queues: _, ...rest } = settings;
    service = deploy({
      dynamodb,
      nameServers: broker.nameServers,
      source: source([subscription('orders')], { coexist: true, pullers: 1, ...own }),
      handler: ({ Records }: RocketMQEvent) => void bodies.push(...Records.map(({ body }) => body)),
      options: { renewIntervalMs: 200, maxSuspendMs: 200 },
      logger: silentLogger,
      ...rest,
    });
    return service;
  };
  afterEach(async () => {
    await service?.end();
    await client.close();
    dynamodb.destroy();
    await broker.stop();
    broker = undefined as unknown as EmbeddedRocketMQ;
    bodies.length = 0;
  });

  const address = () => broker.brokers[0]?.address ?? '';
  const ours = async () =>
    (await service!.assignments())
      .filter(({ slot, queue }) => slot !== FOREIGN_SLOT && queue.topic === 'orders')
      .map(({ queue }) => queue.queueId)
      .sort();
  const holders = async () =>
    (await service!.assignments())
      .filter(({ lease, queue }) => lease !== undefined && queue.topic === 'orders')
      .map(({ queue }) => queue.queueId)
      .sort();
  const eventually = async (read: () => Promise<unknown>, expected: unknown, what: string) => {
    let last: unknown;
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      last = await read();
      if (JSON.stringify(last) === JSON.stringify(expected)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(last, expected, what);
  };
  const send = async (body: string, queueId: number) =>
    client.send(
      { topic: 'orders', body: Buffer.from(body) },
      { queue: { topic: 'orders', brokerName: 'broker-a', queueId } },
    );
  const joinAs = async (clientID: string, settings: { topic?: string; tags?: string } = {}) => {
    const member = await connectRaw(address());
    await member.call(HEART_BEAT, {}, { body: sharedBeat(clientID, settings) });
    return member;
  };

  test('is a member, shares the queues with a member that joins, and takes them all when it leaves', async () => {
    await begin();
    await eventually(holders, [0, 1, 2, 3], 'alone it has every queue');
    assert.deepEqual(broker.members('workers'), ['shop-dev@workers@0']);
    for (let id = 0; id < 4; id++) await send(`first ${id}`, id);
    await until(() => bodies.length === 4, 'the first messages', PATIENCE_MS);

    const joinedAt = Date.now();
    const java = await joinAs('10.0.0.1@java');
    // Sorted before ours: it gets the first half.
    await eventually(holders, [2, 3], 'the other half is drained and released');
    assert.ok(Date.now() - joinedAt < 10_000, `${Date.now() - joinedAt} ms`);
    assert.deepEqual(await ours(), [2, 3]);
    assert.deepEqual(
      (await service!.assignments())
        .filter(({ queue }) => queue.topic === 'orders')
        .map(({ slot }) => slot)
        .sort(),
      [0, 0, FOREIGN_SLOT, FOREIGN_SLOT],
    );
    // What was settled is committed: the other one goes on behind it.
    assert.deepEqual(
      [0, 1].map((queueId) =>
        broker.offset('workers', { topic: 'orders', brokerName: 'broker-a', queueId }),
      ),
      [1n, 1n],
    );
    for (let id = 0; id < 4; id++) await send(`second ${id}`, id);
    await until(() => bodies.length === 6, 'our half', PATIENCE_MS);

    java.close();
    await eventually(holders, [0, 1, 2, 3], 'everything again');
    await until(() => bodies.length === 8, 'what the other one did not take', PATIENCE_MS);
    assert.deepEqual(
      bodies.toSorted(),
      ['first', 'second'].flatMap((name) => [0, 1, 2, 3].map((id) => `${name} ${id}`)).sort(),
    );
    assert.deepEqual([...service!.problems], []);
  });

  test('an invocation of the slot that ends is replaced: one client id, no queue lost, nothing delivered twice', async () => {
    await begin({ invocationMs: 30_000 });
    await eventually(holders, [0, 1, 2, 3], 'the first invocation');
    const first = (await service!.assignments())[0]?.lease?.holder;
    for (
      let n = 0;
      n < 60 &&
      (service!.invocations.length < 2 ||
        (await service!.assignments()).some(
          ({ lease }) => lease?.holder === first || lease === undefined,
        ));
      n++
    ) {
      await send(`message ${n}`, n % 4);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await eventually(holders, [0, 1, 2, 3], 'the second invocation');
    assert.deepEqual(broker.members('workers'), ['shop-dev@workers@0']);
    const sent = [0, 1, 2, 3].reduce(
      (sum, queueId) =>
        sum + Number(broker.maxOffset({ topic: 'orders', brokerName: 'broker-a', queueId })),
      0,
    );
    await until(() => bodies.length >= sent, 'every message', PATIENCE_MS);
    assert.equal(new Set(bodies).size, sent);
    assert.equal(bodies.length, sent);
    assert.ok(service!.invocations.length >= 2);
  });

  test('two slots are two members with a share each; a client id that stands twice leaves no queue to nobody', async () => {
    await begin({ source: { pullers: 2 }, queues: 8 });
    await eventually(holders, [0, 1, 2, 3, 4, 5, 6, 7], 'two slots');
    assert.deepEqual(broker.members('workers').toSorted(), [
      'shop-dev@workers@0',
      'shop-dev@workers@1',
    ]);
    const slots = async () =>
      (await service!.assignments())
        .filter(({ queue }) => queue.topic === 'orders')
        .map(({ slot }) => slot)
        .join('');
    await eventually(slots, '00001111', 'half and half');
    // A connection of a host that is gone, which the broker has not noticed.
    const ghost = await joinAs('shop-dev@workers@0', { topic: 'orders' });
    await eventually(slots, '00000011', 'both shares are the slot’s');
    await eventually(holders, [0, 1, 2, 3, 4, 5, 6, 7], 'all are worked');
    ghost.close();
    await eventually(slots, '00001111', 'as before');
  });

  test('in order: a queue that goes from member to member is never worked by two, and nothing of it is overtaken', async () => {
    const seen: { who: string; queueId: number; n: number }[] = [];
    const atWork = new Set<number>();
    const overlaps: number[] = [];
    const handlerOf =
      (who: string) =>
      async ({ Records }: RocketMQEvent) => {
        const queueId = Records[0]?.rocketmq.queueId ?? -1;
        if (atWork.has(queueId)) overlaps.push(queueId);
        atWork.add(queueId);
        await new Promise((resolve) => setTimeout(resolve, 20));
        seen.push(...Records.map(({ body }) => ({ who, queueId, n: Number(body) })));
        atWork.delete(queueId);
      };
    broker = await startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 100 });
    broker.createTopic('orders', { queues: 4 });
    dynamodb = await connect(database.endpoint);
    await ensureTable(dynamodb, 'other-table');
    client = createRocketMQClient({ nameServers: broker.nameServers });
    const order = { by: 'queue', suspendCurrentQueueTimeMillis: 100 } as const;
    const start = (name: string, tableName?: string) =>
      deploy({
        dynamodb,
        nameServers: broker.nameServers,
        source: source(
          [subscription('orders', { order, maximumRetryAttempts: -1, batchSize: 4 })],
          { coexist: true, pullers: 1 },
        ),
        handler: handlerOf(name),
        options: { renewIntervalMs: 200, maxSuspendMs: 200 },
        logger: silentLogger,
        service: name,
        ...(tableName === undefined ? {} : { tableName }),
      });
    let sending = true;
    let sent = 0;
    const traffic = (async () => {
      for (; sending; sent++) {
        await send(String(Math.floor(sent / 4)), sent % 4);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const workers = (from: number) => [...new Set(seen.slice(from).map(({ who }) => who))].sort();
    const second = () => start('second', 'other-table');
    let other: ReturnType<typeof deploy> | undefined;
    try {
      service = start('first');
      await until(() => workers(0).length === 1, 'the first works', PATIENCE_MS);
      other = second();
      await until(() => workers(seen.length - 40).length === 2, 'both work', PATIENCE_MS);
      const before = seen.length;
      await other.end();
      await until(
        () => seen.length > before + 200 && workers(seen.length - 40).length === 1,
        'the first works alone',
        PATIENCE_MS,
      );
    } finally {
      sending = false;
      await traffic;
      await other?.end();
    }
    await until(() => seen.length >= sent, 'all is delivered', PATIENCE_MS);
    assert.deepEqual(overlaps, [], 'no queue was worked by two at a time');
    for (let queueId = 0; queueId < 4; queueId++) {
      const order = seen.filter((one) => one.queueId === queueId).map(({ n }) => n);
      assert.deepEqual(
        order,
        Array.from({ length: order.length }, (_, n) => n),
        `queue ${queueId}: each once, in its order`,
      );
    }
    assert.equal(seen.length, sent);
    assert.deepEqual(workers(0), ['first', 'second']);
  });

  test('does not join members that subscribe to something else: their heartbeats and ours would undo each other', async () => {
    broker = await startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 100 });
    broker.createTopic('bills', { queues: 1 });
    const other = await joinAs('10.0.0.1@java', { topic: 'bills' });
    await begin();
    await until(() => service!.invocations.length > 0, 'an invocation', PATIENCE_MS);
    const [report] = await Promise.all(service!.invocations);
    assert.equal(report?.queues[0]?.reason, 'refused');
    assert.deepEqual(broker.members('workers'), ['10.0.0.1@java']);
    await service!.end();
    assert.deepEqual([...service!.problems], ['ROCKETMQ_UNEQUAL_SUBSCRIPTIONS']);
    other.close();
  });
});

function sharedBeat(
  clientID: string,
  { topic = 'orders', tags }: { topic?: string; tags?: string },
): object {
  const body = heartbeatBody('workers', {
    clientID,
    topic,
    ...(tags === undefined ? {} : { tags }),
  }) as {
    consumerDataSet: { subscriptionDataSet: object[] }[];
  };
  const [retry] = (heartbeatBody('workers', { clientID, topic: RETRY }) as typeof body)
    .consumerDataSet[0]!.subscriptionDataSet;
  body.consumerDataSet[0]!.subscriptionDataSet.push(retry!);
  return body;
}
