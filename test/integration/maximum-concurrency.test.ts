import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { toServiceConfig } from '../../src/config/service-config.ts';
import { maxRunMs } from '../../src/decide/budget/handler-run-time.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import type { MessageHandler } from '../../src/ports/invoke.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { createWorld, fastClock, source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { handlerConfig } from '../support/handler-config.ts';
import { startInProcess } from '../support/in-process-service.ts';
import {
  at,
  createPullerWorld,
  deployment,
  GROUP,
  gate,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

describe('maximumConcurrency', () => {
  let world: PullerWorld;
  afterEach(() => world?.stop());

  /** A handler that counts how many of its calls are under way. */
  function counting(ms: number) {
    const count = { now: 0, most: 0 };
    const seen = recorder(async () => {
      count.most = Math.max(count.most, ++count.now);
      await sleep(ms);
      count.now--;
    });
    return { count, seen };
  }

  test('no more handler calls at once over all queues, and every queue has its turns', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare(4);
    for (const queueId of [0, 1, 2, 3]) await world.produce(200, queueId);
    const { count, seen } = counting(3);
    const subscriptions = [{ batchSize: 5, parallelizationFactor: 4, maximumConcurrency: 3 }];
    world.start(seen.handler, { queues, subscriptions });
    await until(() => seen.records.length === 800, 'all is delivered', 20_000);
    assert.equal(count.most, 3);
    const middle = seen.records.slice(200, 600).map(({ rocketmq }) => rocketmq.queueId);
    for (const queueId of [0, 1, 2, 3]) {
      const turns = middle.filter((id) => id === queueId).length;
      assert.ok(turns >= 60 && turns <= 140, `queue ${queueId} had ${turns} of 400`);
    }
  });

  test('an event with several topics has one limit for all of them, and one beside it has its own', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    const topics = ['orders', 'refunds', 'returns'];
    const { config } = toServiceConfig({
      service: 'shop',
      stage: 'dev',
      custom: { clusters: { default: { nameServers: ['ns1:9876'] } } },
      functions: {
        work: {
          name: 'work',
          timeout: 10,
          events: [
            { rocketmq: { consumerGroup: GROUP, topics, maximumConcurrency: 2, batchSize: 1 } },
            {
              rocketmq: {
                ...{ consumerGroup: GROUP, topic: 'letters' },
                ...{ maximumConcurrency: 1, batchSize: 1 },
              },
            },
          ],
        },
      },
    });
    const queues = [...topics, 'letters'].map((topic) => ({ ...at(0), topic }));
    const now = { event: 0, other: 0 };
    const most = { event: 0, other: 0 };
    let handled = 0;
    for (const queue of queues) {
      if (queue.topic !== TOPIC) world.broker.createTopic(queue.topic, { queues: 1 });
      if (queue.topic !== TOPIC) await world.store.create(world.group, queue, 0, 0n);
      for (let message = 0; message < 10; message++)
        await world.client.send({ topic: queue.topic, body: Buffer.from('m') }, { queue });
    }
    const handler = async ({ Records: [record] }: RocketMQEvent): Promise<void> => {
      const of = record?.rocketmq.topic === 'letters' ? 'other' : 'event';
      most[of] = Math.max(most[of], ++now[of]);
      await sleep(10);
      now[of]--;
      handled++;
    };
    const [{ pullers, subscriptions } = assert.fail('no source')] = config.sources;
    world.start(handler, { queues, source: { pullers }, subscriptions });
    await until(() => handled === 40, 'all is delivered', 20_000);
    assert.deepEqual(most, { event: 2, other: 1 });
  });

  test('also while one invocation succeeds the other: nothing is called before the last call of the old one has ended', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare(2);
    await world.produce(300, 0);
    await world.produce(300, 1);
    const { count, seen } = counting(20);
    const settings = {
      queues,
      subscriptions: [{ batchSize: 5, parallelizationFactor: 4, maximumConcurrency: 2 }],
    };
    const first = world.start(seen.handler, settings);
    await until(() => seen.events.length > 10, 'the first one works');
    world.start(seen.handler, { ...settings, source: deployment(2) });
    const report = await first.report;
    assert.ok(report.queues.every(({ reason }) => reason === 'signal'));
    await until(
      () => world.committed(at(0)) === 300n && world.committed(at(1)) === 300n,
      'all is done',
      20_000,
    );
    assert.equal(count.most, 2);
    assert.equal(seen.records.length, 600, 'each once');
  });

  test('queues are kept until all are idle', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare(2);
    await world.produce(1, 0);
    const { passed, open } = gate();
    const options = { idleTimeoutMs: 200 };
    const puller = world.start(() => passed, {
      queues,
      subscriptions: [{ maximumConcurrency: 1 }],
      options,
    });
    await until(
      () => world.logs.filter(({ message }) => message === 'queue acquired').length === 3,
      'all are held',
    );
    await sleep(700);
    assert.ok((await world.assignmentOf(at(1))).lease, 'idle, but held');
    open();
    const report = await puller.report;
    assert.deepEqual([...new Set(report.queues.map(({ reason }) => reason))], ['idle']);
    assert.equal((await world.assignmentOf(at(1))).lease, undefined);
  });

  test('after a death it waits for the handlers that the dead one may have called', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare();
    await world.produce(1);
    const { slots } = world.store;
    await slots.create(world.group, 0);
    const now = Date.now();
    const dead = {
      ...world.group,
      queue: { slot: 0 },
      slot: 0,
      holder: 'dead',
      now,
      leaseUntil: now - 1,
      endsAt: now,
    };
    assert.ok((await slots.acquire(dead)).applied);
    await sleep(2);
    const seen = recorder();
    const handler = handlerConfig('inline', 1);
    const startedAt = Date.now();
    const puller = world.start(seen.handler, {
      queues,
      subscriptions: [{ maximumConcurrency: 1, handler }],
    });
    await until(() => seen.events.length === 1, 'it is delivered');
    assert.ok(Date.now() - startedAt >= 990);
    await puller.stop();
    const [seat] = await slots.list(world.group);
    assert.deepEqual([seat?.lease, seat?.crash], [undefined, undefined]);
  });

  test('after a death a successor waits for the rest of that time only, and one that has to go before its end says so', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare();
    await world.produce(1);
    const { slots } = world.store;
    await slots.create(world.group, 0);
    const now = Date.now();
    const dead = {
      ...world.group,
      queue: { slot: 0 },
      slot: 0,
      holder: 'dead',
      now,
      leaseUntil: now - 1,
      endsAt: now,
    };
    assert.ok((await slots.acquire(dead)).applied);
    await sleep(2);
    const seen = recorder();
    const handler = handlerConfig('function', 2);
    const messageHandler = createInlineHandler(seen.handler, () => ({}) as Context);
    const subscriptions = [{ maximumConcurrency: 1, handler }];
    const clock = fastClock(20);
    const settings = { queues, subscriptions, deps: { clock }, remainingMs: 600_000 };
    const startedAt = clock.now();
    const first = world.start(messageHandler, settings);
    await until(
      () => world.logs.some(({ message }) => message.startsWith("the slot's last invocation died")),
      'it waits',
    );
    const second = world.start(messageHandler, { ...settings, source: deployment(2) });
    assert.ok(
      (await first.report).queues.every(
        ({ reason, handled }) => reason === 'signal' && handled === 0,
      ),
    );
    await until(() => seen.events.length === 1, 'it is delivered');
    const waited = clock.now() - startedAt;
    const maxMs = maxRunMs(handler);
    assert.ok(waited >= maxMs - 2_000, `functions of the dead one could still run: ${waited} ms`);
    await second.stop();
    const [seat] = await slots.list(world.group);
    assert.deepEqual([seat?.lease, seat?.crash], [undefined, undefined]);
  });

  test('a call whose answer got lost counts as long as its function may run', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare(2);
    for (const queueId of [0, 1]) await world.produce(1, queueId);
    const handler = handlerConfig('function', 1);
    const clock = fastClock(20);
    const called: number[] = [];
    const broken: MessageHandler = {
      async invoke() {
        called.push(clock.now());
        return called.length === 1
          ? { kind: 'unavailable', error: new Error('socket hang up'), mayRun: true }
          : { kind: 'answered', answer: null };
      },
    };
    const puller = world.start(broken, {
      queues,
      subscriptions: [{ maximumConcurrency: 1, handler }],
      deps: { clock },
      remainingMs: 600_000,
    });
    await until(() => called.length === 3, 'both are delivered', 10_000);
    const [lost = 0, next = 0] = called;
    assert.ok(next - lost >= maxRunMs(handler), `the next call came after ${next - lost} ms`);
    await puller.stop();
    assert.equal((await world.store.slots.list(world.group))[0]?.crash, undefined);
  });

  test('functions that were not waited for any longer count as long as they may run', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare();
    await world.produce(2);
    const handler = handlerConfig('function', 1);
    const subscriptions = [{ maximumConcurrency: 1, handler }];
    const deaf: MessageHandler = {
      invoke: (_payload, { signal }) =>
        new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        ),
    };
    const startedAt = Date.now();
    const { queues: given } = await world.start(deaf, {
      remainingMs: 10_000,
      queues,
      subscriptions,
    }).report;
    const clock = fastClock(20);
    assert.ok(given.every(({ reason, handled }) => reason === 'deadline' && handled === 0));
    const seen = recorder();
    const puller = world.start(seen.handler, {
      queues,
      subscriptions,
      deps: { clock },
      remainingMs: 600_000,
    });
    await until(() => seen.records.length === 2, 'both are delivered');
    const waitedMs = clock.now() - startedAt;
    assert.ok(waitedMs >= maxRunMs(handler), `${waitedMs} ms`);
    await puller.stop();
    const [seat] = await world.store.slots.list(world.group);
    assert.deepEqual([seat?.lease, seat?.crash], [undefined, undefined]);
  });
});

test('the coordinator gives all queues of the slot to one invocation', async () => {
  const world = await createWorld();
  try {
    world.broker.createTopic('orders', { queues: 3 });
    world.broker.createTopic('%RETRY%workers', { queues: 1 });
    world.broker.createGroup('workers');
    const limited = source([subscription('orders', { maximumConcurrency: 5 })], { pullers: 1 });
    await world.pass(limited);
    const all = [
      '%RETRY%workers/broker-a/0',
      'orders/broker-a/0',
      'orders/broker-a/1',
      'orders/broker-a/2',
    ];
    assert.deepEqual(
      world.invocations.map(({ slot, queues }) => [slot, queues.map(queueKey).sort()]),
      [[0, all]],
    );
    // Everything is consumed, then one queue gets a message: still all of them.
    for (const { queue } of await world.items())
      await world.client.commitOffset('workers', queue, 0n);
    await world.send('orders', 1);
    await world.pass(limited);
    assert.deepEqual(
      world.invocations.slice(1).map(({ queues }) => queues.map(queueKey).sort()),
      [all],
    );
  } finally {
    await world.stop();
  }
});

test('two slots keep to the limit together, also while queues are added and move between them', async () => {
  const broker = await startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 200 });
  const database = await startDynalite();
  const dynamodb = await connect(database.endpoint);
  const client = createRocketMQClient({ nameServers: broker.nameServers });
  broker.createTopic('orders', { queues: 4 });
  broker.createGroup('workers');
  broker.createTopic('%RETRY%workers', { queues: 1 });
  const send = async (queueId: number, count: number) => {
    const batch = Array.from({ length: count }, (_, index) => ({
      topic: 'orders',
      body: Buffer.from(`${queueId}-${index}`),
    }));
    await client.sendBatch(batch, { queue: { topic: 'orders', brokerName: 'broker-a', queueId } });
  };
  const handled = new Map<string, Set<number>>();
  let [inFlight, most, calls] = [0, 0, 0];
  for (const queueId of [0, 1, 2, 3]) await send(queueId, 300);
  const service = startInProcess({
    client,
    dynamodb,
    nameServer: broker.nameServers[0] ?? '',
    source: source(
      [subscription('orders', { maximumConcurrency: 3, parallelizationFactor: 2, batchSize: 2 })],
      { pullers: 2 },
    ),
    options: { commitIntervalMs: 200, renewIntervalMs: 500, idleTimeoutMs: 5_000 },
    handler: async ({ Records }) => {
      calls++;
      most = Math.max(most, ++inFlight);
      await sleep(50);
      inFlight--;
      for (const { rocketmq } of Records) {
        const offsets = handled.get(String(rocketmq.queueId)) ?? new Set();
        handled.set(String(rocketmq.queueId), offsets.add(Number(rocketmq.queueOffset)));
      }
    },
  });
  const sum = () => [...handled.values()].reduce((all, { size }) => all + size, 0);
  try {
    await until(() => calls > 50, 'both slots work', 30_000);
    const slotsBefore = new Map(
      (await service.assignments()).map(({ queue, slot }) => [queueKey(queue), slot]),
    );
    broker.createTopic('orders', { queues: 6 });
    await send(4, 30);
    await send(5, 30);
    await until(() => sum() === 1_260, 'all is handled', 60_000);
    const moved = (await service.assignments()).filter(
      ({ queue, slot }) => (slotsBefore.get(queueKey(queue)) ?? slot) !== slot,
    );
    assert.ok(moved.length > 0, 'a queue moved');
    assert.equal(most, 3);
  } finally {
    await service.end();
    await client.close();
    dynamodb.destroy();
    await database.stop();
    await broker.stop();
  }
});
