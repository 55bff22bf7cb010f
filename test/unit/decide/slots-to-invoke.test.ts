import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotsToInvoke } from '../../../src/decide/dispatch/slots-to-invoke.ts';
import { INVOCATION_VALID_MS } from '../../../src/decide/dispatch/which-to-invoke.ts';
import type { Assignment, SlotPlace } from '../../../src/model/assignment.ts';
import { lease } from '../../support/assignments.ts';

const NOW = 100_000;
const item = (slot: number, fields: Partial<Assignment> = {}): Assignment<SlotPlace> => ({
  ...{ cluster: 'default', consumerGroup: 'workers', startOffset: 0n },
  ...{ slot, generation: 1, fence: 0, ...fields },
  queue: { slot },
});

describe('slots that need an invocation as their member', () => {
  const invokedAt = (at: number) => new Map([['slot/0', { at, fence: 0, committed: undefined }]]);
  for (const [what, fields, invoked, expected] of [
    ['never held', {}, new Map(), [0]],
    ['held', { lease: lease() }, new Map(), []],
    ['held by one that died', { lease: lease({ leaseUntil: NOW - 1 }) }, new Map(), [0]],
    ['held by one that ends soon', { lease: lease({ endsAt: NOW + 1_000 }) }, new Map(), [0]],
    ['paused', { pausedUntil: NOW + 1 }, new Map(), []],
    ['invoked just now', {}, invokedAt(NOW - INVOCATION_VALID_MS + 1), []],
    // A member that comes and goes at once is not invoked in a tight circle.
    ['invoked, came and went', { fence: 7 }, invokedAt(NOW - 1), []],
    ['invoked in vain', {}, invokedAt(NOW - INVOCATION_VALID_MS), [0]],
  ] as const)
    test(what, () => {
      const slots = slotsToInvoke([item(0, fields)], invoked, NOW);
      assert.deepEqual(
        slots.map(({ slot }) => slot),
        expected,
      );
    });

  test('each by itself', () => {
    const items = [item(0, { lease: lease() }), item(1), item(2)];
    assert.deepEqual(
      slotsToInvoke(items, invokedAt(NOW), NOW).map(({ slot }) => slot),
      [1, 2],
    );
  });
});
