import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nextSetAside } from '../../../src/decide/retry/set-aside.ts';

const NOW = 1_700_000_000_000;

describe('a message whose handler cannot be called', () => {
  test('goes behind longer and longer delays, up to ten minutes', () => {
    const levels: number[] = [];
    let before: { times: number; at: number } | undefined;
    for (let now = NOW; levels.length < 14; now += 600_000) {
      const step = nextSetAside(before, now);
      assert.equal(step.kind, 'send');
      if (step.kind !== 'send') return;
      levels.push(step.level);
      before = { times: step.times, at: step.at };
    }
    assert.deepEqual(levels, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 14]);
  });

  test('waits where it is when its broker brings it back before half of its delay', () => {
    assert.deepEqual(nextSetAside({ times: 1, at: NOW }, NOW + 4_999), {
      kind: 'wait',
      until: NOW + 5_000,
    });
    assert.deepEqual(nextSetAside({ times: 1, at: NOW }, NOW + 5_000), {
      ...{ kind: 'send', level: 4, times: 2, at: NOW + 5_000 },
    });
    assert.deepEqual(nextSetAside({ times: 1_000_000, at: NOW }, NOW + 1), {
      kind: 'wait',
      until: NOW + 300_000,
    });
  });

  test('begins with the shortest delay again when it was delivered meanwhile', () => {
    const now = NOW + 30 * 60_000;
    assert.deepEqual(nextSetAside({ times: 9, at: NOW }, now), {
      ...{ kind: 'send', level: 3, times: 1, at: now },
    });
  });
});
