import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { AssignmentStore } from '../../src/ports/assignment-store.ts';
import { createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Fits into invocations of seconds. */
const QUICK = {
  handler: {
    invocation: 'inline',
    functionKey: 'handler',
    functionName: 'handler',
    timeout: 1,
  },
} satisfies Partial<SubscriptionConfig>;

describe('a table whose answers do not come', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
    await world.prepare(1);
  });
  afterEach(() => world.stop());

  test('an acquisition that was applied without an answer is taken up, and is no death', async () => {
    await world.produce(3);
    let lost = 0;
    const store: AssignmentStore = {
      ...world.store,
      async acquire(request) {
        const answer = await world.store.acquire(request);
        if (lost++ === 0) throw new Error('no answer came');
        return answer;
      },
    };
    const seen = recorder();
    world.start(seen.handler, { deps: { store } });
    await until(() => world.committed() === 3n, 'all is committed');
    const item = await world.assignmentOf();
    assert.deepEqual([item.fence, item.crash], [1, undefined]);
  });

  test('the lease of another invocation with the same request id is not taken up', async () => {
    const now = Date.now();
    const lease = { leaseUntil: now + 20_000, endsAt: now + 20_000 };
    const key = { ...world.group, queue: (await world.assignmentOf()).queue, holder: 'same' };
    await world.store.acquire({ ...key, slot: 0, now: now - 1, ...lease });
    let failed = 0;
    const store: AssignmentStore = {
      ...world.store,
      acquire: (request) =>
        failed++ === 0 ? Promise.reject(new Error('no answer')) : world.store.acquire(request),
    };
    const options = { successionWaitMs: 500 };
    const report = await world.start(() => undefined, { holder: 'same', deps: { store }, options })
      .report;
    assert.equal(report.queues[0]?.reason, 'not-acquired');
  });

  test('renewals without an answer: the clock is watched all the same, the queue is committed and given back in time', async () => {
    await world.produce(3);
    const store: AssignmentStore = { ...world.store, renew: () => new Promise(() => {}) };
    const seen = recorder();
    const begun = Date.now();
    const report = await world.start(seen.handler, {
      deps: { store },
      subscriptions: [QUICK],
      remainingMs: 12_000,
      options: { reserveMs: 6_000, commitIntervalMs: 60_000 },
    }).report;
    assert.equal(report.queues[0]?.reason, 'deadline');
    assert.ok(Date.now() - begun < 11_900, 'before the end of the invocation');
    assert.equal(world.committed(), 3n);
    assert.equal((await world.assignmentOf()).lease, undefined);
  });

  test('a release without an answer does not hold the invocation beyond its end', async () => {
    const store: AssignmentStore = { ...world.store, release: () => new Promise(() => {}) };
    const begun = Date.now();
    const report = await world.start(() => undefined, {
      deps: { store },
      subscriptions: [QUICK],
      remainingMs: 8_000,
      options: { reserveMs: 6_000 },
    }).report;
    assert.equal(report.queues[0]?.reason, 'deadline');
    assert.ok(Date.now() - begun < 7_900);
  });
});
