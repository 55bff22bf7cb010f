import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  exactLevel,
  LONGEST_DELAY_SECONDS,
  levelNotShorter,
  orDefault,
  wireLevel,
} from '../../../src/decide/retry/redelivery.ts';
import {
  DEFAULT_DELAY_LEVELS,
  parseDelayLevels,
} from '../../../src/testing/broker/delay-schedule.ts';

const SECONDS = parseDelayLevels(DEFAULT_DELAY_LEVELS).map((ms) => ms / 1000);

describe('redelivery', () => {
  it('knows the levels of a stock broker', () => {
    for (const [index, seconds] of SECONDS.entries()) {
      assert.equal(exactLevel(seconds), index + 1);
      assert.equal(levelNotShorter(seconds), index + 1);
    }
    assert.equal(exactLevel(0), undefined);
    assert.equal(exactLevel(31), undefined);
  });

  it('takes the smallest level that is not shorter, and the longest when none is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: LONGEST_DELAY_SECONDS }), (seconds) => {
        const level = levelNotShorter(seconds);
        const waits = SECONDS[level - 1] ?? 0;
        if (seconds <= 7200)
          assert.ok(waits >= seconds && (level === 1 || (SECONDS[level - 2] ?? 0) < seconds));
        else assert.equal(level, 18);
      }),
    );
  });

  it('the handler’s word counts before the event’s option, and the broker decides without either', () => {
    assert.deepEqual(orDefault({ kind: 'auto' }, { level: 5 }, 1, 0.5), { kind: 'auto' });
    assert.deepEqual(orDefault({ kind: 'dlq' }, { seconds: 5 }, 1, 0.5), { kind: 'dlq' });
    assert.deepEqual(orDefault('default', { level: 5 }, 1, 0.5), { kind: 'level', level: 5 });
    assert.deepEqual(orDefault('default', { seconds: 7 }, 1, 0.5), { kind: 'seconds', seconds: 7 });
    assert.deepEqual(orDefault('default', undefined, 1, 0.5), { kind: 'auto' });
  });

  it('{ base, max, jitter } doubles the delay after each failure', () => {
    const delay = { base: 5, max: 60, jitter: 0 };
    const seconds = (failures: number, random = 0, jitter = 0) => {
      const said = orDefault('default', { ...delay, jitter }, failures, random);
      return said.kind === 'seconds' ? said.seconds : undefined;
    };
    assert.deepEqual(
      [1, 2, 3, 4, 5, 1_000].map((failures) => seconds(failures)),
      [5, 10, 20, 40, 60, 60],
    );
    assert.deepEqual(
      [seconds(5, 0, 0.5), seconds(5, 0.999_999, 0.5), seconds(5, 0.5, 1)],
      [60, 30, 30],
    );
    assert.equal(seconds(5, 0.9, 0), 60, 'without jitter nothing is chance');
  });

  it('is a delay level to brokers', () => {
    assert.deepEqual(
      [
        wireLevel({ kind: 'auto' }),
        wireLevel({ kind: 'level', level: 7 }),
        wireLevel({ kind: 'seconds', seconds: 31 }),
        wireLevel({ kind: 'dlq' }),
      ],
      ['broker-decides', 7, 5, 'dead-letter'],
    );
  });
});
