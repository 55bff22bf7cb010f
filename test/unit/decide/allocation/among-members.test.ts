import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { allocate, allocateAmongMembers } from '../../../../src/decide/allocation/allocate.ts';
import { FOREIGN_SLOT } from '../../../../src/model/membership.ts';
import { queueKey } from '../../../../src/model/message-queue.ts';

const queues = Array.from({ length: 8 }, (_, n) => ({
  topic: 'orders',
  brokerName: n < 4 ? 'broker-a' : 'broker-b',
  queueId: n % 4,
}));
const slots = (members: readonly string[], own: readonly string[]) => [
  ...allocateAmongMembers({ name: 'AVG' }, queues, members, own).values(),
];

const F = FOREIGN_SLOT;

describe('allocation among the members of a group', () => {
  test('a slot gets what its client id gets, the rest is foreign', () => {
    assert.deepEqual(slots(['10.0.0.1@java', 'shop@g@0'], ['shop@g@0']), [F, F, F, F, 0, 0, 0, 0]);
    assert.deepEqual(slots(['shop@g@1', 'shop@g@0', '10.0.0.1@java'], ['shop@g@0', 'shop@g@1']), [
      F,
      F,
      F,
      0,
      0,
      0,
      1,
      1,
    ]);
    assert.deepEqual(slots(['10.0.0.1@java'], ['shop@g@0']), Array(8).fill(FOREIGN_SLOT));
  });

  // Measured on Java: [A, A, B] gives A its first share only, B the last two queues, and nobody the second share.
  test('both shares of a client id that stands twice are its slot’s', () => {
    assert.deepEqual(slots(['A', 'A', 'B'], ['A']), [0, 0, 0, 0, 0, 0, F, F]);
  });

  test('CONFIG gives the slots what is theirs', () => {
    const strategy = {
      name: 'CONFIG',
      queues: [{ slot: 0, topic: 'orders', brokerName: 'broker-a', queueId: 2 }],
    } as const;
    assert.deepEqual(
      [...allocateAmongMembers(strategy, queues, ['java', 'A'], ['A']).values()],
      [F, F, 0, F, F, F, F, F],
    );
  });

  test('for every strategy and membership: what Java gives to the others is never ours, everything else of a full strategy is', () => {
    const names = fc.constantFrom('AVG', 'AVG_BY_CIRCLE', 'CONSISTENT_HASH');
    const ids = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        names,
        ids,
        fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
        (name, members, own) => {
          // Others stand once: Java's members have ids of their own.
          const seen = members.filter(
            (id, index) => own.includes(id) || members.indexOf(id) === index,
          );
          const owner = allocateAmongMembers({ name }, queues, seen, own);
          const foreign = new Set(
            seen
              .filter((id) => !own.includes(id))
              .flatMap((id) => allocate({ name }, id, queues, seen).map(queueKey)),
          );
          for (const [key, slot] of owner) assert.equal(slot === FOREIGN_SLOT, foreign.has(key));
        },
      ),
    );
  });
});
