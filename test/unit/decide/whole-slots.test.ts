import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Invoked, QueueFacts } from '../../../src/decide/dispatch/which-to-invoke.ts';
import { whichToInvoke } from '../../../src/decide/dispatch/which-to-invoke.ts';
import { JOIN_AFTER_MS, wholeSlots } from '../../../src/decide/dispatch/whole-slots.ts';
import { shareOf } from '../../../src/decide/slots/share-of.ts';
import type { Assignment } from '../../../src/model/assignment.ts';
import { queueKey } from '../../../src/model/message-queue.ts';
import { assignment, lease } from '../../support/assignments.ts';

const NOW = 1_000_000;
const WORK: QueueFacts = { committed: 0n, max: 5n };
const IDLE: QueueFacts = { committed: 5n, max: 5n };
const key = (id: number) => queueKey(assignment(id).queue);

function dispatch(items: Assignment[], facts: Record<number, QueueFacts>, invokedAt?: number) {
  const invoked = new Map<string, Invoked>(
    invokedAt === undefined
      ? []
      : items.map(({ queue }) => [queueKey(queue), { at: invokedAt, fence: 0, committed: 0n }]),
  );
  const known = new Map(Object.entries(facts).map(([id, fact]) => [key(Number(id)), fact]));
  const { requests, idle } = wholeSlots(
    whichToInvoke(items, known, invoked, 2, NOW),
    items,
    invoked,
    NOW,
  );
  return [
    requests.map(({ slot, queues }) => [slot, queues.map(({ queueId }) => queueId)]),
    idle.map(({ queue }) => queue.queueId),
  ];
}

describe('slots with one invocation at a time', () => {
  test('one queue with messages takes all queues of its slot with it, but none that rests', () => {
    const items = [
      assignment(0),
      assignment(1),
      assignment(2, { slot: 1 }),
      assignment(3, { pausedUntil: NOW }),
    ].map((item) => ({
      ...item,
      slot: item.queue.queueId === 2 ? 1 : 0,
    }));
    assert.deepEqual(dispatch(items, { 0: IDLE, 1: WORK, 2: IDLE }), [[[0, [0, 1]]], [0, 2]]);
  });

  test('a queue that is left over while its slot is worked waits a minute, so that the slot is not given back again and again', () => {
    const items = [
      assignment(0, {
        slot: 0,
        lease: lease({ slot: 0, leaseUntil: NOW + 9_000, endsAt: NOW + 500_000 }),
      }),
      assignment(1, { slot: 0 }),
    ];
    assert.deepEqual(dispatch(items, { 1: WORK }, NOW - JOIN_AFTER_MS + 1), [[], []]);
    const fresh = items.map((item) => ({ ...item, fence: 0 }));
    assert.deepEqual(
      dispatch(fresh, { 1: WORK }, NOW - 20_000),
      [[[0, [0, 1]]], []],
      'a new queue does not wait',
    );
    assert.deepEqual(dispatch(items, { 1: WORK }, NOW - JOIN_AFTER_MS), [[[0, [0, 1]]], []]);
  });

  test('a successor gets all queues, of a holder that ends soon and of a queue that moved', () => {
    const ending = lease({
      slot: 0,
      acquiredAt: NOW - 800_000,
      endsAt: NOW + 10_000,
      leaseUntil: NOW + 10_000,
    });
    const items = [assignment(0, { slot: 0, lease: ending }), assignment(1, { slot: 0 })];
    assert.deepEqual(dispatch(items, { 1: IDLE }, NOW - 20_000)[0], [[0, [0, 1]]]);
    const elsewhere = lease({ slot: 1, leaseUntil: NOW + 9_000, endsAt: NOW + 500_000 });
    const own = lease({ slot: 0, leaseUntil: NOW + 9_000, endsAt: NOW + 500_000 });
    const moved = [
      assignment(0, { slot: 0, lease: own }),
      assignment(1, { slot: 0, lease: elsewhere }),
    ];
    assert.deepEqual(dispatch(moved, {}, NOW - 20_000)[0], [[0, [0, 1]]]);
  });

  test('the shares of all slots make up the limit, and each has one call at least', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 100 }),
        (limit, wanted) => {
          const slots = Math.min(limit, wanted);
          const shares = Array.from({ length: slots }, (_, slot) => shareOf(limit, slots, slot));
          assert.equal(
            shares.reduce((sum, share) => sum + share, 0),
            limit,
          );
          assert.ok(Math.min(...shares) >= 1 && Math.max(...shares) - Math.min(...shares) <= 1);
        },
      ),
    );
  });
});
