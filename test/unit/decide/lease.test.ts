import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  isLive,
  LEASE_DURATION_MS,
  leaseUntil,
  mayAct,
  RENEW_INTERVAL_MS,
  renewalDue,
  SAFETY_MARGIN_MS,
} from '../../../src/decide/lease/lease.ts';
import { lease } from '../../support/assignments.ts';

describe('lease rules', () => {
  test('a holder acts until the safety margin, not in its first millisecond', () => {
    const held = { leaseUntil: 30_000 };
    assert.equal(mayAct(held, 24_999), true);
    assert.equal(mayAct(held, 25_000), false);
    assert.equal(mayAct(held, 29_999, 0), true);
    assert.equal(mayAct(held, 30_000, 0), false);
  });
  test('a lease never passes the end of the invocation', () => {
    assert.equal(leaseUntil(1_000, 900_000), 1_000 + LEASE_DURATION_MS);
    assert.equal(leaseUntil(890_000, 900_000), 900_000);
  });
  test('two renewals may fail before the holder has to stop', () => {
    assert.ok(2 * RENEW_INTERVAL_MS < LEASE_DURATION_MS - SAFETY_MARGIN_MS);
    assert.equal(renewalDue(0, RENEW_INTERVAL_MS - 1), false);
    assert.equal(renewalDue(0, RENEW_INTERVAL_MS), true);
  });
  test('others see it live to its last millisecond, long after the holder stopped', () => {
    const held = lease({ leaseUntil: 30_000 });
    assert.equal(isLive(held, 30_000), true);
    assert.equal(isLive(held, 30_001), false);
    assert.equal(isLive(undefined, 0), false);
  });
});
