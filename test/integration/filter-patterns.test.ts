import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FilterPattern } from '../../src/model/filter-pattern.ts';
import { createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';

describe('filterPatterns', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  const everySecond: readonly FilterPattern[] = [{ body: { even: [true] } }];
  const produce = (count: number) =>
    world.produce(count, 0, (n) => ({
      body: Buffer.from(JSON.stringify({ n, even: n % 2 === 0 })),
      properties: { __SHARDINGKEY: String(n % 3) },
    }));
  const allCommitted = async (offset: bigint) => {
    while (world.committed() !== offset) await sleep(10);
  };

  for (const [mode, settings] of [
    ['any order', {}],
    ['order of queues', { order: { by: 'queue', suspendCurrentQueueTimeMillis: 1_000 } }],
    [
      'order of keys',
      {
        order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 1_000 },
        parallelizationFactor: 3,
      },
    ],
  ] as const)
    test(`handlers get what matches, in whole batches, and the rest is done: ${mode}`, async () => {
      world = await createPullerWorld();
      await world.prepare(1);
      await produce(90);
      const seen = recorder();
      const puller = world.start(seen.handler, {
        subscriptions: [{ filterPatterns: everySecond, batchSize: 15, ...settings }],
      });
      await allCommitted(90n);
      const { queues } = await puller.stop();
      assert.deepEqual(
        seen.bodies.map((body) => JSON.parse(body).n).sort((a, b) => a - b),
        Array.from({ length: 45 }, (_, n) => 2 * n),
      );
      assert.equal(queues[0]?.handled, 45);
      if (mode === 'any order')
        assert.ok(
          seen.events.length <= 6,
          'what is left out does not cut batches: a pull brings 32 messages',
        );
    });

  test('a queue of which nothing matches is committed to its end', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await produce(1_200);
    const seen = recorder();
    const puller = world.start(seen.handler, {
      subscriptions: [{ filterPatterns: [{ tags: ['paid'] }] }],
    });
    await allCommitted(1_200n);
    await puller.stop();
    assert.deepEqual(seen.bodies, []);
  });
});
