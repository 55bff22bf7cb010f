import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DEATHS_BEFORE_ISOLATION,
  DEATHS_BEFORE_SEND_BACK,
  isolation,
  refreshCrash,
  suspect,
} from '../../../src/decide/crash/crash-record.ts';
import type { CrashRecord } from '../../../src/model/assignment.ts';

const SPAN = 2_000;
const at = (offset: bigint, count: number, more: Partial<CrashRecord> = {}): CrashRecord => ({
  offset,
  count,
  isolateUntil: offset,
  ...more,
});

describe('crash records', () => {
  it('one death changes nothing; a second without progress isolates what may have been in flight', () => {
    assert.equal(isolation(refreshCrash(at(10n, 1), 10n, SPAN), 10n), 'batch');
    const second = refreshCrash(at(10n, DEATHS_BEFORE_ISOLATION), 10n, SPAN);
    assert.deepEqual(second, { offset: 10n, count: 0, isolateUntil: 2_010n });
    assert.deepEqual(
      [10n, 2_009n, 2_010n].map((offset) => isolation(second, offset)),
      ['alone', 'alone', 'batch'],
    );
  });

  it('progress since the last death begins the story anew', () => {
    assert.deepEqual(refreshCrash(at(10n, 7), 11n, SPAN), at(11n, 1));
    assert.deepEqual(
      refreshCrash(at(10n, 2, { suspect: 10n, isolateUntil: 500n }), 11n, SPAN),
      at(11n, 1),
    );
    assert.equal(refreshCrash(undefined, 11n, SPAN), undefined);
  });

  it('an offset that was moved back begins it anew, too: what comes before the deaths is not to be delivered one by one', () => {
    assert.deepEqual(refreshCrash(at(1_000_000n, 1), 10n, SPAN), at(10n, 1));
    assert.deepEqual(refreshCrash(at(11n, 1), 10n, SPAN), at(10n, 1));
    assert.deepEqual(
      refreshCrash(at(1_000_000n, 3, { suspect: 1_000_000n, isolateUntil: 1_002_000n }), 10n, SPAN),
      at(10n, 1),
    );
    const isolated = at(10n, 0, { isolateUntil: 2_010n });
    assert.deepEqual(refreshCrash(isolated, 10n, SPAN), isolated);
    const ahead = at(15n, 1, { suspect: 15n, isolateUntil: 2_010n });
    assert.deepEqual(refreshCrash(ahead, 10n, SPAN), ahead);
  });

  it('deaths are counted per suspect, and at the limit it is sent back without a delivery', () => {
    const isolated = at(10n, 0, { isolateUntil: 20n });
    const first = suspect(isolated, 10n, 7);
    assert.deepEqual(first, at(10n, 0, { suspect: 10n, suspectedBy: 7, isolateUntil: 20n }));
    const killedTwice = { ...first, count: DEATHS_BEFORE_SEND_BACK - 1 };
    assert.equal(isolation(refreshCrash(killedTwice, 10n, SPAN), 10n), 'alone');
    assert.equal(suspect(killedTwice, 10n, 7).count, 2);
    assert.equal(suspect(killedTwice, 11n, 7).count, 0);
    const killedThrice = { ...first, count: DEATHS_BEFORE_SEND_BACK };
    assert.equal(isolation(refreshCrash(killedThrice, 10n, SPAN), 10n), 'send-back');
    assert.equal(isolation(killedThrice, 11n), 'alone');
  });

  it('every message that kills whoever takes it is sent back after a bounded number of deaths', () => {
    let record: CrashRecord | undefined;
    for (let deaths = 0; ; deaths++) {
      assert.ok(
        deaths <= DEATHS_BEFORE_ISOLATION + DEATHS_BEFORE_SEND_BACK,
        'it would go on killing',
      );
      record = refreshCrash(record, 10n, SPAN);
      const how = isolation(record, 10n);
      if (how === 'send-back') return;
      if (how === 'alone') record = suspect(record as CrashRecord, 10n, 7);
      // The store counts at the next acquisition.
      record = record === undefined ? at(10n, 1) : { ...record, count: record.count + 1 };
    }
  });
});
