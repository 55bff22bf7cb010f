import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ageBeyondLimit } from '../../../src/decide/age/record-age.ts';

describe('ageBeyondLimit', () => {
  it('counts whole seconds from the first store, and only beyond the limit', () => {
    const cases: [now: number, max: number | undefined, age: number | undefined][] = [
      [1_000, undefined, undefined],
      [60_999, 60, undefined],
      [61_000, 60, 61],
      [0, 0, undefined],
    ];
    for (const [now, max, age] of cases) assert.equal(ageBeyondLimit(0, now, max), age);
  });

  it('takes a broker whose clock is ahead for a young message', () => {
    assert.equal(ageBeyondLimit(10_000, 0, 60), undefined);
  });
});
