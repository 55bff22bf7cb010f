import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_CLOCK_SKEW_MS } from '../../src/model/clock-skew.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createPullerWorld, gate, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** A lease that was renewed just before the next renewal is due has this left. */
const LEFT_MS = 20_000;

describe('clocks of two sandboxes', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** A holder whose lease was renewed 10 s ago, with a message at its handler. */
  async function hold() {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const handler = gate();
    const seen = recorder(() => handler.passed);
    const store: typeof world.store = {
      ...world.store,
      renew: (request) => world.store.renew({ ...request, leaseUntil: Date.now() + LEFT_MS }),
    };
    const first = world.start(seen.handler, { deps: { store }, remainingMs: 120_000 });
    await until(() => seen.records.length === 1, 'the first works');
    while (
      ((await world.assignmentOf()).lease?.leaseUntil ?? Number.MAX_VALUE) >
      Date.now() + LEFT_MS
    )
      await sleep(10);
    return { first, handler };
  }

  const ahead = (ms: number) => ({ ...systemClock, now: () => Date.now() + ms });

  test('that differ by 30 s take no live lease', async () => {
    const { first, handler } = await hold();
    const other = recorder();
    const second = world.start(other.handler, {
      deps: { clock: ahead(MAX_CLOCK_SKEW_MS) },
      options: { successionWaitMs: 500 },
      notAfter: Date.now() + 15_000,
    });
    assert.deepEqual(
      (await second.report).queues.map(({ reason }) => reason),
      ['not-acquired'],
    );
    handler.open();
    await until(() => world.committed() === 1n, 'the first goes on');
    await first.stop();
    assert.deepEqual(other.bodies, []);
  });

  test('that differ by more are named by the holder that lost its lease', async () => {
    const { first, handler } = await hold();
    const other = recorder();
    const clock = ahead(MAX_CLOCK_SKEW_MS + 30_000);
    const second = world.start(other.handler, { deps: { clock }, notAfter: Date.now() + 120_000 });
    await until(() => other.records.length === 1, 'the second takes over');
    await until(
      () => world.logs.some(({ code }) => code === 'ROCKETMQ_CLOCK_SKEW'),
      'the difference is named',
    );
    handler.open();
    await Promise.all([first.report, second.stop()]);
  });

  test('that differ by more are named by the one that finds a lease which ends too late', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const now = Date.now() + MAX_CLOCK_SKEW_MS + 1_000;
    const lease = { holder: 'ahead', slot: 0, now, leaseUntil: now + 30_000, endsAt: now + 60_000 };
    const { queue } = await world.assignmentOf();
    assert.ok((await world.store.acquire({ ...world.group, queue, ...lease })).applied);
    const options = { successionWaitMs: 100 };
    await world.start(recorder().handler, { options }).report;
    const named = world.logs.filter(({ code }) => code === 'ROCKETMQ_CLOCK_SKEW');
    assert.equal(named.length, 1);
  });
});
