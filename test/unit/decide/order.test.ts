import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attemptsToKeep, MAX_ATTEMPT_RUNS } from '../../../src/decide/order/attempts.ts';
import {
  blocksForLong,
  endsInOrder,
  type OrderedResult,
} from '../../../src/decide/order/ends-in-order.ts';
import {
  LOCK_AGAIN_MS,
  LOCK_RENEW_MS,
  LOCK_VALID_MS,
  lockAnswered,
  lockUnanswered,
  unlocked,
} from '../../../src/decide/order/lock-time.ts';

describe('the ends of an ordered batch', () => {
  const result = (
    lane: string | undefined,
    verdict: OrderedResult['verdict'],
    failures = 0,
    maxFailures = 16,
  ): OrderedResult => ({
    lane,
    verdict,
    failures,
    maxFailures,
  });

  test('a lane stops at its first failure, whatever is said of what is behind it; other lanes go on when the handler did', () => {
    const batch = [
      result('a', 'done'),
      result('b', 'done'),
      result('a', 'failed'),
      result('b', 'done'),
      result('a', 'done'),
      result('a', 'dlq'),
    ];
    const [before, others] = [
      ['done', 'done', 'again'],
      ['untouched', 'untouched'],
    ];
    assert.deepEqual(endsInOrder(batch, true), [...before, 'done', ...others]);
    assert.deepEqual(endsInOrder(batch, false), [...before, 'untouched', ...others]);
  });

  test('a handler that may have stopped has handled nothing behind its first failure', () => {
    for (const verdict of ['failed', 'dlq', 'drop'] as const) {
      const batch = [result('a', 'done'), result('b', verdict), result('c', 'done')];
      assert.equal(endsInOrder(batch, false)[2], 'untouched', verdict);
      assert.equal(endsInOrder([...batch, result(undefined, 'done')], false)[3], 'untouched');
      assert.equal(endsInOrder(batch, true)[2], 'done');
    }
  });

  test('messages without a lane fail for themselves', () => {
    assert.deepEqual(
      endsInOrder(
        [result(undefined, 'failed'), result(undefined, 'done'), result(undefined, 'failed')],
        true,
      ),
      ['again', 'done', 'again'],
    );
  });

  test('at the limit it is the dead-letter queue, for the first one of the lane only', () => {
    assert.deepEqual(
      endsInOrder([result('a', 'failed', 1, 2), result('a', 'failed', 9, 2)], true),
      ['again', 'untouched'],
    );
    assert.deepEqual(
      endsInOrder([result('a', 'failed', 2, 2), result('a', 'failed', 9, 2)], true),
      ['dlq', 'untouched'],
    );
    assert.deepEqual(endsInOrder([result('a', 'failed', 0, 0)], true), ['dlq']);
  });

  test('the handler may say it at once: drop or dlq, and the rest of the lane comes again', () => {
    assert.deepEqual(
      endsInOrder([result('a', 'drop'), result('a', 'done'), result('b', 'dlq')], true),
      ['drop', 'untouched', 'dlq'],
    );
  });

  test('a message that blocks its lane is worth a word at 16 failures and whenever they have doubled', () => {
    const spoken = Array.from({ length: 200 }, (_, failures) => failures).filter(blocksForLong);
    assert.deepEqual(spoken, [16, 32, 64, 128]);
  });
});

describe('attempts to keep', () => {
  test('those of unfinished messages, and those that were left of messages not pulled again yet', () => {
    const entries = [
      { offset: 5n, localRetries: 2 },
      { offset: 6n, localRetries: 0 },
    ];
    const loaded = new Map([
      [4n, 7],
      [9n, 3],
    ]);
    assert.deepEqual(
      attemptsToKeep(entries, loaded, 7n),
      new Map([
        [5n, 2],
        [9n, 3],
      ]),
    );
  });

  test('of too many, those nearest to their limit', () => {
    const entries = Array.from({ length: MAX_ATTEMPT_RUNS + 10 }, (_, index) => ({
      offset: BigInt(2 * index),
      localRetries: index < 10 ? 1 : 2,
    }));
    const kept = attemptsToKeep(entries, new Map(), 10_000n);
    assert.equal(kept.size, MAX_ATTEMPT_RUNS);
    assert.deepEqual([kept.get(18n), kept.get(20n)], [undefined, 2]);
  });

  test('all of a queue that its largest batches fill, when neighbours have the same count', () => {
    const entries = Array.from({ length: 20_000 }, (_, index) => ({
      offset: BigInt(index),
      localRetries: index < 10_000 ? 1 : 2,
    }));
    assert.equal(attemptsToKeep(entries, new Map(), 20_000n).size, 20_000);
  });
});

describe('the time of a broker lock', () => {
  test('is trusted for 30 s from its sending, and asked again after 20 s', () => {
    const locked = lockAnswered(unlocked(0), 100, 900, true);
    assert.deepEqual(locked, {
      askAt: 100 + LOCK_RENEW_MS,
      validUntil: 100 + LOCK_VALID_MS,
      term: 1,
      elsewhere: false,
    });
  });

  test('an answer that fails to come takes nothing away, and is asked for soon', () => {
    const locked = lockAnswered(unlocked(0), 0, 0, true);
    assert.deepEqual(lockUnanswered(locked, 20_500), { ...locked, askAt: 20_500 + LOCK_AGAIN_MS });
  });

  test('somebody else’s lock ends ours at once; what we get back is a new term, as it is after it ran out', () => {
    const locked = lockAnswered(unlocked(0), 0, 0, true);
    const gone = lockAnswered(locked, 20_000, 20_010, false);
    assert.deepEqual(
      [gone.validUntil, gone.elsewhere, gone.askAt],
      [0, true, 20_010 + LOCK_AGAIN_MS],
    );
    assert.equal(lockAnswered(gone, 21_010, 21_020, true).term, 2);
    assert.equal(lockAnswered(locked, 29_999, 29_999, true).term, 1);
    assert.equal(lockAnswered(locked, 30_000, 30_000, true).term, 2);
  });
});
