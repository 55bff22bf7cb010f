import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createPullerWorld, type PullerWorld, RETRY, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Longer than a lease. */
const BLOCKED_MS = 40_000;
const FAILED = '1';

const orders: Readonly<Record<string, Partial<SubscriptionConfig>>> = {
  'without order': {},
  'in order': { order: { by: 'queue', suspendCurrentQueueTimeMillis: 10 } },
};

describe('an inline handler that blocks its process for longer than the lease', {
  concurrency: false,
}, () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** @param blocked what happens elsewhere while the process stands still */
  async function run(
    settings: Partial<SubscriptionConfig>,
    ends: 'at once' | 'turns later',
    blocked: () => Promise<unknown> = async () => {},
  ) {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(3);
    let stoodStillMs = 0;
    const failures = (event: RocketMQEvent) => ({
      batchItemFailures: event.Records.filter(({ body }) => body === FAILED).map(
        ({ messageId }) => ({ itemIdentifier: messageId }),
      ),
    });
    const seen = recorder(async (event) => {
      if (seen.events.length > 1) return undefined;
      await blocked();
      stoodStillMs = BLOCKED_MS;
      if (ends === 'turns later') for (let turn = 0; turn < 300; turn++) await nextTurn();
      return settings.order === undefined ? failures(event) : undefined;
    });
    const puller = world.start(seen.handler, {
      holder: 'blocked',
      remainingMs: 300_000,
      subscriptions: [{ batchSize: 3, ...settings }],
      options: { renewIntervalMs: 10_000 },
      deps: { clock: { ...systemClock, now: () => systemClock.now() + stoodStillMs } },
    });
    const [report] = (await puller.report).queues;
    return { seen, report };
  }

  for (const [mode, settings] of Object.entries(orders))
    for (const ends of ['at once', 'turns later'] as const) {
      test(`${mode}, answers ${ends}: nobody took over, so its answer counts and its queue drains`, async () => {
        const { seen, report } = await run(settings, ends);
        assert.equal(report?.reason, 'stalled');
        assert.deepEqual(seen.bodies, ['0', '1', '2']);
        assert.equal(world.committed(), 3n);
        if (settings.order === undefined)
          await until(() => world.broker.messages(RETRY.topic).length === 1, 'its failure counts');
        const { lease, crash } = await world.assignmentOf();
        assert.deepEqual([lease, crash], [undefined, undefined], 'released, and no death');
      });

      test(`${mode}, answers ${ends}: somebody took over, so it does not count`, async () => {
        const { report } = await run(settings, ends, async () => {
          await world.expire('blocked');
          await world.die('next');
        });
        assert.equal(report?.reason, 'lease-lost');
        assert.equal(world.committed(), 0n);
        assert.deepEqual(world.broker.messages(RETRY.topic), []);
        assert.equal((await world.assignmentOf()).lease?.holder, 'next');
      });
    }

  test('a table that cannot be reached: the lease is lost', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    let stoodStillMs = 0;
    const seen = recorder(() => {
      stoodStillMs = BLOCKED_MS;
    });
    const puller = world.start(seen.handler, {
      remainingMs: 300_000,
      options: { renewIntervalMs: 10_000 },
      deps: {
        clock: { ...systemClock, now: () => systemClock.now() + stoodStillMs },
        store: { ...world.store, renew: () => Promise.reject(new Error('away')) },
      },
    });
    await until(() => seen.records.length === 1, 'a delivery');
    const [report] = (await puller.report).queues;
    assert.equal(report?.reason, 'lease-lost');
    assert.equal(world.committed(), 0n);
  });
});
