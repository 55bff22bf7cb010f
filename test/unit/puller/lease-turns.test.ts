import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AssignmentStore, LeaseAnswer } from '../../../src/ports/assignment-store.ts';
import { SharedTurns } from '../../../src/puller/shared-turns.ts';
import { createHeldQueue, HELD_AT, type HeldQueueWorld } from '../../support/held-queue.ts';

type Renewal = Parameters<AssignmentStore['renew']>[0];

/** A table whose renewals wait until a test answers them. */
function waitingTable() {
  const written: Renewal[] = [];
  const answers: PromiseWithResolvers<LeaseAnswer>[] = [];
  const released: bigint[] = [];
  const store: Partial<AssignmentStore> = {
    renew(request) {
      written.push(request);
      const answer = Promise.withResolvers<LeaseAnswer>();
      answers.push(answer);
      return answer.promise;
    },
    async release(request) {
      released.push(request.committedOffset ?? -1n);
      return { applied: false, reason: 'missing', current: undefined };
    },
  };
  return { store, written, answers, released };
}

function applied({ held }: HeldQueueWorld): LeaseAnswer {
  const { queue } = held;
  return {
    applied: true,
    assignment: {
      ...{ cluster: 'default', consumerGroup: 'workers', queue, slot: 0, generation: 0, fence: 1 },
      ...{ startOffset: 0n, lease: held.lease.current },
    },
  };
}

describe('renewals of one holder', () => {
  for (const outcome of ['answered', 'failed'] as const)
    test(`take turns: what was requested meanwhile is written once, with the figures of then (${outcome})`, async () => {
      const table = waitingTable();
      const world = createHeldQueue({ store: table.store });
      const { leaseKeeper, batchLimits } = world.held;
      const first = leaseKeeper.renew();
      batchLimits.narrow(9n, 5);
      const later = [leaseKeeper.renew(), leaseKeeper.renew()];
      await nextTurn();
      assert.deepEqual(
        table.written.map((one) => one.batchLimits),
        [null],
      );
      batchLimits.narrow(9n, 1);
      if (outcome === 'answered') table.answers[0]?.resolve(applied(world));
      else table.answers[0]?.reject(new Error('no answer'));
      assert.equal(await first, outcome === 'answered');
      await nextTurn();
      assert.deepEqual(
        table.written.map((one) => one.batchLimits),
        [null, [{ until: 10n, maxMessages: 1 }]],
      );
      table.answers[1]?.resolve(applied(world));
      assert.deepEqual(await Promise.all(later), [true, true]);
      const last = leaseKeeper.renew();
      assert.equal(table.written.length, 3);
      table.answers[2]?.resolve(applied(world));
      assert.equal(await last, true);
    });

  test('that wait for their turn are not written after the release', async () => {
    const table = waitingTable();
    const world = createHeldQueue({ store: table.store });
    const renewals = [world.held.leaseKeeper.renew(), world.held.leaseKeeper.renew()];
    await world.held.leaseKeeper.close();
    table.answers[0]?.resolve(applied(world));
    assert.deepEqual(await Promise.all(renewals), [true, true]);
    assert.deepEqual([table.written.length, table.released.length], [1, 1]);
  });

  test('that wait for their turn are not written after the lease is lost', async () => {
    const table = waitingTable();
    const { held } = createHeldQueue({ store: table.store });
    const renewals = [held.leaseKeeper.renew(), held.leaseKeeper.renew()];
    table.answers[0]?.resolve({ applied: false, reason: 'taken-over', current: undefined });
    assert.deepEqual(await Promise.all(renewals), [true, true]);
    assert.deepEqual([table.written.length, held.lifecycle.isLost], [1, true]);
  });
});

describe('a lease that is released', () => {
  const ends: readonly [string, (table: ReturnType<typeof waitingTable>) => void][] = [
    ['not answered', ({ answers }) => answers[0]?.reject(new Error('no answer'))],
    [
      'refused',
      ({ answers }) =>
        answers[0]?.resolve({ applied: false, reason: 'taken-over', current: undefined }),
    ],
  ];
  for (const [name, end] of ends)
    test(`is not reported as lost by a regain under way that is ${name}`, async () => {
      const table = waitingTable();
      const world = createHeldQueue({ store: table.store });
      const { held } = world;
      held.lease.extend(HELD_AT + 30_000);
      world.pass(40_000);
      const regained = held.holdsLease();
      await held.leaseKeeper.close();
      end(table);
      assert.equal(await regained, false);
      assert.deepEqual([held.lifecycle.isLost, held.lifecycle.ending], [false, undefined]);
      assert.equal(await held.holdsLease(), false);
      assert.deepEqual([table.written.length, table.released.length], [1, 1]);
      assert.deepEqual(
        world.logs.filter(({ code }) => code === 'ROCKETMQ_LEASE_LOST'),
        [],
      );
    });

  test('is not used any more: nothing is committed by a commit that was waiting', async () => {
    const table = waitingTable();
    const { held } = createHeldQueue({ store: table.store });
    assert.equal(held.lease.mayAct(), true);
    await held.leaseKeeper.close();
    assert.equal(held.lease.mayAct(), false);
  });
});

test('turns: never two at once, and each caller gets a run that began after its call', async () => {
  let [running, most, runs] = [0, 0, 0];
  const turns = new SharedTurns(async () => {
    most = Math.max(most, ++running);
    const run = ++runs;
    await nextTurn();
    running--;
    if (run === 2) throw new Error('the second run fails');
    return run;
  });
  const first = turns.run();
  const second = [turns.run(), turns.run()];
  assert.equal(await first, 1);
  const third = turns.run();
  assert.deepEqual(
    (await Promise.allSettled(second)).map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  // It was requested after the first run and before the second had begun, or while that ran.
  await Promise.allSettled([third]);
  assert.ok((await turns.run()) >= 3);
  assert.equal(most, 1);
});
