import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runRequest } from '../../src/membership/run-request.ts';
import type { PullerReport } from '../../src/puller/puller-deps.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import {
  at,
  createPullerWorld,
  deployment,
  GROUP,
  type PullerSettings,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Renewals of these tests come every 100 ms: a wish would have been seen several times. */
const WAIT = { successionWaitMs: 700 };
const LATER = 9e15;

const reasons = ({ queues }: PullerReport) => queues.map(({ reason }) => reason);

/** Whoever may invoke the puller writes its request. */
describe('a forged request', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  const forged = (settings: PullerSettings = {}) =>
    world.start(recorder().handler, {
      holder: 'forged',
      notAfter: LATER,
      ...settings,
      options: WAIT,
    });

  test('replaces no holder that is at work, however often it comes', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(3);
    const seen = recorder();
    const honest = world.start(seen.handler, { holder: 'honest' });
    await until(() => world.committed() === 3n, 'the honest one works');
    const reports = await Promise.all([forged(), forged({ holder: 'b' })].map((one) => one.report));
    assert.deepEqual(reports.flatMap(reasons), ['not-acquired', 'not-acquired']);
    const { lease, successor } = await world.assignmentOf();
    assert.deepEqual([lease?.holder, successor], ['honest', undefined]);
    await world.produce(1);
    await until(() => world.committed() === 4n, 'it works on');
    assert.deepEqual(reasons(await honest.stop()), ['signal']);
  });

  test('replaces a holder that is to be succeeded: there it does what the coordinator wants', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const old = world.start(recorder().handler);
    await until(async () => (await world.assignmentOf()).lease !== undefined, 'it is held');
    world.start(recorder().handler, { source: deployment(2) });
    assert.deepEqual(reasons(await old.report), ['succession']);
  });

  test('replaces no invocation that works a slot, unless a queue of the slot is left over', async () => {
    world = await createPullerWorld();
    await world.prepare(2);
    const subscriptions = [{ maximumConcurrency: 2 }];
    const honest = world.start(recorder().handler, { holder: 'honest', subscriptions });
    await until(async () => (await world.assignmentOf()).lease !== undefined, 'it is held');
    const report = await forged({ subscriptions }).report;
    assert.deepEqual(reasons(report), ['not-acquired']);
    assert.equal((await world.store.slots.list(world.group))[0]?.lease?.holder, 'honest');
    const whole = world.start(recorder().handler, { queues: [at(0), at(1)], subscriptions });
    assert.deepEqual(reasons(await honest.report), ['signal']);
    await whole.stop();
  });

  test('makes no slots', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const subscriptions = [{ maximumConcurrency: 2 }];
    for (const slot of [1, 77, 65_535])
      assert.deepEqual(reasons(await forged({ slot, subscriptions }).report), ['refused']);
    const sharded = { pullers: 3 };
    const report = await forged({ slot: 3, subscriptions, source: sharded }).report;
    assert.deepEqual(reasons(report), ['refused']);
    assert.deepEqual(await world.store.slots.list(world.group), []);
  });

  test('delivers nothing of a disabled event, and of no other topic', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const seen = recorder();
    const settings: PullerSettings = {
      queues: [at(0), { topic: 'other', brokerName: 'broker-a', queueId: 0 }],
      subscriptions: [{ enabled: false }],
    };
    assert.deepEqual(reasons(await world.start(seen.handler, settings).report), [
      'refused',
      'refused',
    ]);
    assert.deepEqual(seen.bodies, []);
    assert.equal((await world.assignmentOf()).fence, 0);
  });

  test('joins no group of a source without coexist, and works no queue of one with it', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const shared = { source: { coexist: true as const, pullers: 1 } };
    assert.deepEqual(reasons(await forged(shared).report), ['refused']);
    const service = {
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: world.broker.nameServers } },
      sources: [source([subscription(TOPIC)], { consumerGroup: GROUP })],
    };
    const report = await runRequest(
      { ...world.group, slot: 0, queues: [at(0)], asMember: true, notAfter: LATER },
      {
        service,
        client: world.client,
        store: world.store,
        handlers: () => assert.fail('no handler is called'),
        clock: systemClock,
        logger: silentLogger,
        random: Math.random,
        holder: 'forged',
        remainingMs: () => 60_000,
      },
    );
    assert.deepEqual(reasons(report), ['unknown-source']);
    await sleep(10);
    assert.deepEqual(await world.store.slots.list(world.group), []);
  });
});
