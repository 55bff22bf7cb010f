import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueState } from '../../../src/decide/state/queue-state.ts';
import type { Assignment } from '../../../src/model/assignment.ts';

const NOW = 1_000_000;
const lease = {
  holder: 'h',
  slot: 1,
  fence: 1,
  acquiredAt: 0,
  leaseUntil: NOW + 5_000,
  endsAt: NOW + 90_000,
};
const item = (settings: Partial<Assignment> = {}): Assignment => ({
  cluster: 'default',
  consumerGroup: 'workers',
  queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
  slot: 1,
  generation: 1,
  startOffset: 0n,
  fence: 0,
  ...settings,
});

for (const [expected, assignment, enabled, lag] of [
  ['consuming', item({ lease }), true, 5n],
  ['moving', item({ lease, slot: 2 }), true, 5n],
  ['moving', item({ lease, successor: { holder: 'n', until: NOW + 1 } }), true, 0n],
  ['consuming', item({ lease, successor: { holder: 'n', until: NOW - 1 } }), true, 0n],
  ['consuming', item({ lease, pausedUntil: NOW + 9 }), true, 5n],
  ['waiting', item({ lease: { ...lease, leaseUntil: NOW - 1 } }), true, 5n],
  ['waiting', item(), true, 1n],
  ['idle', item(), true, 0n],
  ['idle', item(), true, undefined],
  ['paused', item({ pausedUntil: NOW + 9 }), true, 5n],
  ['waiting', item({ pausedUntil: NOW - 9 }), true, 5n],
  ['disabled', item(), false, 5n],
  ['retired', item({ retiredAt: 7, lease }), true, 5n],
] as const)
  test(`${expected}: ${JSON.stringify(assignment, (_, value) => (typeof value === 'bigint' ? String(value) : value))}, lag ${lag}`, () =>
    assert.equal(queueState(assignment, enabled, lag, NOW), expected));
