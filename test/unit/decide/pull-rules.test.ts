import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  BROKER_TICK_MS,
  fitsHandler,
  mustGiveUp,
  RESERVE_MS,
  suspendTime,
  workTime,
} from '../../../src/decide/budget/time-budget.ts';
import {
  LEASE_DURATION_MS,
  leaseUntil,
  mayAct,
  SAFETY_MARGIN_MS,
} from '../../../src/decide/lease/lease.ts';
import { FLOW_LIMITS, flowControl } from '../../../src/decide/pull/flow-control.ts';
import { backoff } from '../../../src/decide/retry/backoff.ts';

describe('time budget', () => {
  it('no long poll can outlive the work time, whatever the broker’s tick', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -10_000, max: 900_000 }),
        fc.nat(30_000),
        (workMs, longestMs) => {
          const suspendMs = suspendTime(workMs, longestMs);
          assert.ok(suspendMs >= 0 && suspendMs <= longestMs);
          if (suspendMs > 0) assert.ok(suspendMs + BROKER_TICK_MS <= workMs);
        },
      ),
    );
  });

  it('a handler that takes its whole timeout ends while its lease still lets the puller settle', () => {
    const endsAt = 1_000_000;
    const start = endsAt - (20_000 + RESERVE_MS);
    assert.equal(fitsHandler(endsAt - start, 20_000, RESERVE_MS), true);
    assert.equal(fitsHandler(endsAt - start - 1, 20_000, RESERVE_MS), false);
    const answeredAt = start + 20_000;
    assert.equal(
      mayAct({ leaseUntil: leaseUntil(answeredAt, endsAt, LEASE_DURATION_MS) }, answeredAt),
      true,
    );
  });

  it('a handler that did not answer is given up after its last moment, and before the lease forbids to act', () => {
    assert.equal(workTime(RESERVE_MS, RESERVE_MS), 0);
    assert.equal(mustGiveUp(RESERVE_MS, RESERVE_MS), false);
    assert.equal(mustGiveUp(SAFETY_MARGIN_MS + 1_000, RESERVE_MS), true);
  });
});

describe('flow control', () => {
  const within = {
    count: FLOW_LIMITS.maxMessages,
    bytes: FLOW_LIMITS.maxBytes,
    span: FLOW_LIMITS.maxSpan,
  };
  it('has Java’s limits', () => {
    assert.deepEqual([within.count, within.bytes, within.span], [1_000, 104_857_600, 2_000]);
    assert.equal(flowControl(within), undefined);
    assert.equal(flowControl({ ...within, count: 1_001 }), 'count');
    assert.equal(flowControl({ ...within, bytes: 104_857_601 }), 'bytes');
    assert.equal(flowControl({ ...within, span: 2_001 }), 'span');
  });
});

describe('back-off', () => {
  it('doubles up to its longest, between half a step and a step', () => {
    const times = { firstMs: 200, longestMs: 10_000 };
    assert.deepEqual(
      [1, 2, 3, 7, 1_000].map((attempt) => backoff(attempt, 0, times)),
      [100, 200, 400, 5_000, 5_000],
    );
    assert.ok(Math.abs(backoff(2, 0.999, times) - 400) < 1);
  });
});
