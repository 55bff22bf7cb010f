import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goesAlone } from '../../../src/decide/batch/goes-alone.ts';

describe('a message is delivered alone', () => {
  const before = (failures: number, maxFailures: number, ageMs = 0, maxAgeMs?: number) =>
    goesAlone({ failures, maxFailures, ageMs, maxAgeMs });

  it('at the last delivery that its limit allows, and not before', () => {
    assert.deepEqual([before(1, 2), before(2, 2), before(3, 2)], [false, true, true]);
  });

  it('never at its first delivery, which says nothing of it yet', () => {
    assert.equal(before(0, 0), false);
    assert.equal(before(0, 3, 59_000, 60_000), false);
  });

  it('from its 16th failure on, where the limit is higher or there is none', () => {
    assert.deepEqual(
      [15, 16, 17].map((failures) => before(failures, 0x7fffffff)),
      [false, true, true],
    );
    assert.equal(before(16, 10_000), true);
  });

  it('when the next redelivery may be too old: with every delay of brokers there is such a delivery', () => {
    const delays = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600];
    for (let maxAge = 60; maxAge <= 9_000; maxAge += 7) {
      let age = 0;
      const ages = delays.map((delay) => (age += delay)).filter((each) => each <= maxAge);
      assert.ok(
        ages.some((each, index) => before(index + 1, 0x7fffffff, each * 1_000, maxAge * 1_000)),
        `maximumRecordAgeInSeconds ${maxAge}`,
      );
    }
  });
});
