import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { handOverOf, waitedFor } from '../../../src/decide/lease/hand-over.ts';
import type { Assignment, Lease } from '../../../src/model/assignment.ts';

const HELD_UNTIL = 50_000;
const lease: Lease = {
  holder: 'second',
  slot: 0,
  fence: 2,
  acquiredAt: 60_000,
  leaseUntil: 90_000,
  endsAt: 900_000,
};
const item: Assignment = {
  cluster: 'default',
  consumerGroup: 'workers',
  queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
  slot: 0,
  generation: 1,
  startOffset: 0n,
  fence: 2,
  heldUntil: HELD_UNTIL,
  committedOffset: 100n,
};

describe('a queue that goes from one holder to the next', () => {
  const known = { heldUntil: HELD_UNTIL, acquiredAt: 60_000 };

  test('is told of when the last holder’s end is known, and the group stands where it left it or further on', () => {
    assert.deepEqual(handOverOf({}, item, lease, 100n), known);
    // The last one died after commits that its item does not know.
    assert.deepEqual(handOverOf({}, item, lease, 130n), known);
  });

  test('is not told of for its first holder, after a pause, when its offset was moved back, nor in a shared group', () => {
    const { heldUntil: _heldUntil, ...unknown } = item;
    const { committedOffset: _committed, ...young } = item;
    assert.equal(handOverOf({}, unknown, lease, 100n), undefined);
    assert.equal(handOverOf({}, young, lease, 100n), undefined);
    assert.equal(handOverOf({}, item, lease, 99n), undefined);
    assert.equal(
      handOverOf({ coexist: true }, item, lease, 100n),
      undefined,
      'other members may have worked it',
    );
  });

  test('slept, when its first message was stored after the end: the message waited until its handler was called', () => {
    assert.deepEqual(waitedFor(known, 59_000, 61_500), { metric: 'WakeLatency', ms: 2_500 });
    assert.deepEqual(waitedFor(known, HELD_UNTIL, 61_500), { metric: 'WakeLatency', ms: 11_500 });
  });

  test('had a gap, when messages were left over: from the one lease to the other, whenever the handler was called', () => {
    assert.deepEqual(waitedFor(known, HELD_UNTIL - 1, 75_000), {
      metric: 'SuccessionGap',
      ms: 10_000,
    });
  });

  test('tells no negative times when clocks differ', () => {
    assert.deepEqual(waitedFor(known, 62_000, 61_500), { metric: 'WakeLatency', ms: 0 });
    assert.deepEqual(waitedFor({ ...known, acquiredAt: HELD_UNTIL - 200 }, 10_000, 61_500), {
      metric: 'SuccessionGap',
      ms: 0,
    });
  });
});
