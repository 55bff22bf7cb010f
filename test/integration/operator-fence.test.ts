import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { missingPauses } from '../../src/decide/state/missing-pauses.ts';
import { pauseQueues, resumeQueues } from '../../src/flow/operator-pauses.ts';
import type { OperatorPause } from '../../src/model/assignment.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import { fenced } from '../../src/operator/fence.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { at, createPullerWorld, type PullerWorld } from '../support/puller-world.ts';

const HOUR_MS = 3_600_000;
const SOURCE = source([subscription('orders')]);

describe('an operator works on a queue while others pause and resume', () => {
  let world: PullerWorld;
  let now: number;
  before(async () => {
    world = await createPullerWorld();
    await world.prepare(1);
  });
  after(() => world.stop());
  beforeEach(async () => {
    now = Date.now();
    await resumeQueues(world.store, { group: world.group, scope: '*' }, now);
  });

  const wish = (hours: number, reason: string): OperatorPause => ({
    since: now,
    until: now + hours * HOUR_MS,
    reason,
  });
  const pause = (scope: string, hours: number, reason: string) =>
    pauseQueues(world.store, { group: world.group, scope }, wish(hours, reason));
  const item = async () =>
    (await world.store.read(world.group, at(0))) ?? assert.fail('no such queue');
  /** Fences the queue, and does something meanwhile. */
  const reset = async (meanwhile: () => Promise<unknown> = async () => {}) => {
    const deps = {
      store: world.store,
      clock: { now: () => Date.now(), sleep: async () => {} },
      remainingMs: () => 60_000,
      service: { sources: [SOURCE] },
    } as unknown as OperatorDeps;
    const { held } = await fenced(deps, SOURCE, [at(0)], 'an operator resets', async () => {
      assert.ok((await item()).operatorPause !== undefined, 'the queue is fenced');
      await meanwhile();
    });
    assert.deepEqual(held, []);
    return (await item()).operatorPause;
  };

  test('nothing is left of the fence', async () => {
    assert.equal(await reset(), undefined);
  });

  test('a pause that was there is there afterwards, the shorter one too', async () => {
    await pause('*', 1 / 60, 'a minute');
    assert.equal((await reset())?.reason, 'a minute');
    await pause('orders', 2, 'the topic');
    assert.equal((await reset())?.reason, 'the topic');
  });

  test('a pause of the group that comes meanwhile counts, not one that is over', async () => {
    await world.store.setOperatorPause(world.group, at(0), wish(-1, 'yesterday'));
    assert.deepEqual(await reset(() => pause('*', 1, 'stop now')), wish(1, 'stop now'));
  });

  test('so does one of the queue that ends before the fence would', async () => {
    const before = wish(1 / 60, 'a moment');
    assert.deepEqual(await reset(() => pause(queueKey(at(0)), 1 / 60, 'a moment')), before);
  });

  test('a pause that is ended meanwhile does not come back', async () => {
    await pause('*', 1 / 60, 'a minute');
    const resume = () => resumeQueues(world.store, { group: world.group, scope: '*' }, Date.now());
    assert.equal(await reset(resume), undefined);
  });

  test('the coordinator pauses a queue whose own pause ends before that of its group', async () => {
    await pause('*', 1, 'stop now');
    for (const hours of [-1, 1 / 60]) {
      await world.store.setOperatorPause(world.group, at(0), wish(hours, 'another'));
      const missing = missingPauses(
        [await item()],
        await world.store.standingPauses(world.group),
        now,
      );
      assert.deepEqual(
        missing.map(({ pause: one }) => one),
        [wish(1, 'stop now')],
      );
    }
  });
});
