import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FILL_MS, waitsUntil } from '../../../src/decide/batch/batching-window.ts';
import { bisection, firstPart } from '../../../src/decide/batch/bisect.ts';

describe('bisecting', () => {
  it('always makes two parts that are not empty; halves when a single message is in reach, else one goes alone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 10_000 }),
        fc.integer({ min: 1, max: 30 }),
        (count, callsLeft) => {
          const first = firstPart(count, callsLeft);
          assert.ok(first >= 1 && first < count);
          assert.equal(first, 2 ** callsLeft >= count ? Math.ceil(count / 2) : 1);
        },
      ),
    );
  });

  it('every invocation that has time for two calls settles a message, however long its handler takes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 10_000 }),
        fc.integer({ min: 2, max: 20 }),
        (batchSize, calls) => {
          let [count, left] = [batchSize, calls];
          // The worst case: every call takes its whole timeout and fails.
          for (left--; count > 1; left--) {
            if (bisection(left, calls) !== 'split')
              assert.fail(`${count} messages are left when the time is over`);
            count = firstPart(count, left);
          }
          assert.ok(left >= 0);
        },
      ),
    );
  });

  it('fails the batch when no invocation has time for more than one call, and leaves it when only this one has none', () => {
    assert.deepEqual(
      [bisection(0, 1), bisection(0, 2), bisection(1, 1)],
      ['fail', 'leave', 'split'],
    );
  });
});

describe('the batching window', () => {
  const wanted = { batchSize: 10, maxBytes: 1_000, windowMs: 500 };
  it('ends with the batch size, the bytes, or the time since the first message', () => {
    assert.equal(waitsUntil({ count: 9, bytes: 999, since: 100 }, wanted, 599), 600);
    assert.equal(waitsUntil({ count: 9, bytes: 999, since: 100 }, wanted, 600), undefined);
    assert.equal(waitsUntil({ count: 10, bytes: 0, since: 100 }, wanted, 100), undefined);
    assert.equal(waitsUntil({ count: 1, bytes: 1_000, since: 100 }, wanted, 100), undefined);
  });
  it('is longer while a backlog fills the batch, for a time of its own', () => {
    const waiting = { count: 9, bytes: 0, since: 100 };
    const none = { ...wanted, windowMs: 0 };
    assert.equal(waitsUntil(waiting, none, 100), undefined);
    assert.equal(waitsUntil({ ...waiting, fillsSince: 200 }, none, 201), 200 + FILL_MS);
    assert.equal(waitsUntil({ ...waiting, fillsSince: 200 }, none, 200 + FILL_MS), undefined);
    assert.equal(waitsUntil({ ...waiting, count: 10, fillsSince: 200 }, none, 201), undefined);
    const long = { ...wanted, windowMs: 10 * FILL_MS };
    assert.equal(waitsUntil({ ...waiting, fillsSince: 200 }, long, 201), 100 + 10 * FILL_MS);
  });
});
