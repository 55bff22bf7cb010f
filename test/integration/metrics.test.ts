import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MetricName } from '../../src/model/metrics.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';
import { createPullerWorld, type PullerWorld, recorder, TOPIC } from '../support/puller-world.ts';

type Values = Partial<Record<MetricName, number>>;

/** What CloudWatch would be told, by dimensions. */
function gauges() {
  const told = new Map<string, Values>();
  return {
    told,
    record(dimensions: Readonly<Record<string, string>>, values: Values) {
      const key = Object.values(dimensions).join(' ');
      told.set(key, { ...told.get(key), ...values });
    },
  };
}

function counting() {
  const counts: Values = {};
  const meter = {
    count(metric: MetricName, value = 1) {
      counts[metric] = (counts[metric] ?? 0) + value;
    },
  };
  return { counts, meter };
}

describe('a run of the coordinator tells', () => {
  let world: World;
  afterEach(() => world.stop());

  const service = (of: ServiceConfig['sources'], settings: Partial<ServiceConfig> = {}): ServiceConfig => ({
    service: 'shop',
    stage: 'dev',
    clusters: {},
    sources: of,
    ...settings,
  });

  test('lag and age of each group, queues that nobody works, and that it ran', async () => {
    world = await createWorld({}, 1);
    world.broker.createTopic('orders', { queues: 2 });
    const before = Date.now();
    await world.send('orders', 0, 5);
    await sleep(5);
    await world.send('orders', 1, 2);
    const { record, told } = gauges();
    const of = [source([subscription('orders')])];
    await world.run(of, { gauges: { record }, service: service(of, { metrics: ['LagMetrics', 'QueueMetrics'] }) });
    const { OldestMessageAge = -1, ...group } = told.get('shop-dev/workers') ?? {};
    assert.deepEqual(group, { ActivePollers: 0, SumOffsetLag: 7, MaxOffsetLag: 5, StalledQueues: 0, UnownedQueues: 0 });
    assert.ok(OldestMessageAge >= 0 && OldestMessageAge <= Date.now() - before, `${OldestMessageAge} ms`);
    assert.equal(told.get('shop-dev/workers orders broker-a/0')?.SumOffsetLag, 5);
    assert.equal(told.get('shop-dev/workers orders broker-a/1')?.SumOffsetLag, 2);
    assert.deepEqual(told.get('shop-dev'), { CoordinatorHeartbeat: 1, CoordinatorErrorCount: 0 });
  });

  test('no queues without being asked for them, holders as pollers, and problems', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 2 });
    const of = [source([subscription('orders'), subscription('unknown')])];
    await world.pass(of[0]!);
    const now = world.clock.now();
    for (const { queue, slot } of await world.items())
      await world.store.acquire({
        ...world.group,
        queue,
        slot,
        holder: 'one-puller',
        now,
        leaseUntil: now + 900_000,
        endsAt: now + 900_000,
      });
    const { record, told } = gauges();
    await world.run(of, { gauges: { record } });
    assert.deepEqual([...told.keys()].sort(), ['shop-dev', 'shop-dev/workers']);
    assert.equal(told.get('shop-dev/workers')?.ActivePollers, 1);
    assert.equal(told.get('shop-dev')?.CoordinatorErrorCount, 1);
  });
});

describe('a puller counts', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  test('what it polled, invoked, committed, sent back, dead-lettered and gave up', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(40, 0, (index) => (index < 30 ? { tags: 'paid' } : { tags: 'open' }));
    const { counts, meter } = counting();
    const fails = new Map([
      ['3', 'dlq'],
      ['4', 'drop'],
      ['5', 'retry'],
    ]);
    const seen = recorder((event) => ({
      batchItemFailures: event.Records.flatMap(({ body, messageId }) =>
        fails.has(body) ? [{ itemIdentifier: messageId, action: fails.get(body) }] : [],
      ),
    }));
    const puller = world.start(seen.handler, {
      deps: { meter },
      subscriptions: [{ filter: { type: 'TAG', expression: 'paid' }, batchSize: 10 }],
    });
    while (world.committed() !== 40n) await sleep(10);
    await puller.stop();
    const { FilteredOutEventCount, InvokedBatchCount = 0, ...rest } = counts;
    assert.ok(InvokedBatchCount >= 3 && InvokedBatchCount <= 30, `${InvokedBatchCount} batches of at most 10`);
    assert.equal(FilteredOutEventCount, 10);
    assert.deepEqual(rest, {
      PolledEventCount: 30,
      InvokedEventCount: 30,
      FailedInvokeEventCount: 3,
      DeadLetteredEventCount: 1,
      DroppedEventCount: 1,
      RetriedEventCount: 1,
      CommittedEventCount: 40,
    });
    assert.equal((await world.assignmentOf()).committedOffset, 40n);
    assert.ok(((await world.assignmentOf()).progressAt ?? 0) > Date.now() - 60_000, 'when the group went on is noted');
  });

  test('a throttled, a failing and a senseless handler', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(1);
    const { counts, meter } = counting();
    let call = 0;
    const throttled = Object.assign(new Error('Rate exceeded'), { name: 'TooManyRequestsException' });
    const puller = world.start(
      {
        invoke: async () => {
          switch (++call) {
            case 1:
              return { kind: 'unavailable', error: throttled };
            case 2:
              return { kind: 'failed', errorType: 'Error', errorMessage: 'no' };
            default:
              return { kind: 'answered', answer: 'done' };
          }
        },
      },
      {
        queues: [
          { topic: TOPIC, brokerName: 'broker-a', queueId: 0 },
          { topic: '%RETRY%workers', brokerName: 'broker-a', queueId: 0 },
        ],
        deps: { meter },
        subscriptions: [{ maximumRetryAttempts: 1 }],
      },
    );
    while (counts.DeadLetteredEventCount === undefined) await sleep(10);
    await puller.stop();
    assert.deepEqual(
      [counts.ThrottleCount, counts.InvokeErrorCount, counts.InvalidResponseCount, counts.RetriedEventCount, counts.FailedInvokeEventCount],
      [1, 1, 1, 1, 2],
    );
  });
});
