import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLOW_LIMITS, limitsFor } from '../../../src/decide/pull/flow-control.ts';

test('a queue has Java’s limits, and more messages where a batch takes more', () => {
  assert.deepEqual(limitsFor(), FLOW_LIMITS);
  assert.deepEqual(limitsFor(1_000), FLOW_LIMITS);
  const { maxMessages, maxSpan, maxBytes } = limitsFor(5_000);
  assert.deepEqual([maxMessages, maxSpan, maxBytes], [5_000, 10_000, FLOW_LIMITS.maxBytes]);
});
