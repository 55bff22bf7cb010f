import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLOW_LIMITS, limitsFor } from '../../../src/decide/pull/flow-control.ts';

const MIB = 1024 * 1024;

test('a queue alone in a large process has Java’s limits', () => {
  assert.deepEqual(limitsFor(1, 512 * MIB), FLOW_LIMITS);
  assert.deepEqual(limitsFor(20, undefined), FLOW_LIMITS);
});

test('queues that share a process share its memory, down to what one large message needs', () => {
  assert.equal(limitsFor(4, 512 * MIB).maxBytes, Math.floor((512 * MIB * 0.4) / 4));
  assert.equal(limitsFor(1, 128 * MIB).maxBytes, Math.floor(128 * MIB * 0.4));
  assert.equal(limitsFor(100, 512 * MIB).maxBytes, 8 * MIB);
});
