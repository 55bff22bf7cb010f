import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const MODES = [
  ['unordered', {}, {}],
  ['unordered, several at once', { parallelizationFactor: 3 }, {}],
  ['order of queues', { order: { by: 'queue', suspendCurrentQueueTimeMillis: 1_000 } }, {}],
  [
    'order of keys',
    { order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 1_000 } },
    {},
  ],
  ['broadcasting', {}, { messageModel: 'BROADCASTING' }],
] as const;

describe('a batch', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** One of ten messages is wanted. */
  const produce = (count: number) =>
    world.produce(count, 0, (n) => ({
      body: Buffer.from(JSON.stringify({ n, wanted: n % 10 === 0 })),
      properties: { TAGS: n % 10 === 0 ? 'wanted' : 'other', __SHARDINGKEY: String(n % 7) },
    }));
  const sizes = (seen: ReturnType<typeof recorder>) =>
    seen.events.map(({ Records }) => Records.length);

  for (const [mode, options, source] of MODES) {
    const start = (own: Partial<SubscriptionConfig>) => {
      const seen = recorder();
      world.start(seen.handler, {
        source,
        subscriptions: [{ ...options, ...own } as Partial<SubscriptionConfig>],
      });
      return seen;
    };

    test(`is full while there is a backlog, over several pulls: ${mode}`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await produce(1_050);
      const seen = start({ batchSize: 250 });
      await until(() => seen.records.length === 1_050, 'all are delivered');
      assert.deepEqual(sizes(seen), [250, 250, 250, 250, 50]);
    });

    test(`is full of what patterns let through: ${mode}`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await produce(1_000);
      const seen = start({ batchSize: 30, filterPatterns: [{ body: { wanted: [true] } }] });
      await until(() => seen.records.length === 100, 'all are delivered');
      assert.deepEqual(sizes(seen), [30, 30, 30, 10]);
    });

    test(`is full of what the broker's filter lets through: ${mode}`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await produce(1_000);
      const seen = start({ batchSize: 30, filter: { type: 'TAG', expression: 'wanted' } });
      await until(() => seen.records.length === 100, 'all are delivered');
      assert.deepEqual(sizes(seen), [30, 30, 30, 10]);
    });

    test(`waits in its window for what patterns let through: ${mode}`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await produce(90);
      const seen = start({
        batchSize: 10,
        maximumBatchingWindow: 60,
        filterPatterns: [{ body: { wanted: [true] } }],
      });
      await until(() => world.broker.heldPulls() === 1, 'all was pulled');
      assert.deepEqual(sizes(seen), [], 'nine of ten are here');
      await produce(1);
      await until(() => seen.events.length === 1, 'the tenth fills the batch');
      assert.deepEqual(sizes(seen), [10]);
    });
  }

  test('is not begun, nor its window, by messages that no pattern matches', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const seen = recorder();
    world.start(seen.handler, {
      subscriptions: [
        {
          batchSize: 10,
          maximumBatchingWindow: 60,
          filterPatterns: [{ body: { wanted: [true] } }],
        },
      ],
    });
    await world.produce(50, 0, () => ({ body: Buffer.from('{"wanted":false}') }));
    await until(() => world.committed() === 50n, 'they are done while no window is open');
    assert.deepEqual(sizes(seen), []);
  });
});
