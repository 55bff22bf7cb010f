import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  lagFigures,
  mayWaitMs,
  type QueueLag,
  STALLED_AFTER_MS,
} from '../../../src/decide/lag/lag-figures.ts';

const NOW = 100_000_000;
const queue = (lag: number, settings: Partial<QueueLag> = {}): QueueLag => ({
  lag: BigInt(lag),
  waitingSince: lag > 0 ? NOW - 1_000 : undefined,
  progressAt: undefined,
  owned: true,
  rests: false,
  ...settings,
});

describe('the lag of a group', () => {
  test('is summed, and the oldest message gives the age', () => {
    const queues = [queue(5), queue(0), queue(12, { waitingSince: NOW - 90_000 })];
    assert.deepEqual(lagFigures(queues, NOW), {
      UnmeasuredQueues: 0,
      SumOffsetLag: 17,
      MaxOffsetLag: 12,
      OldestMessageAge: 90_000,
      StalledQueues: 0,
      UnownedQueues: 0,
    });
  });

  test('of no queues, and of queues without lag, is 0; an offset above the queue’s end is no lag', () => {
    const nothing = {
      UnmeasuredQueues: 0,
      SumOffsetLag: 0,
      MaxOffsetLag: 0,
      OldestMessageAge: 0,
      StalledQueues: 0,
      UnownedQueues: 0,
    };
    assert.deepEqual(lagFigures([], NOW), nothing);
    assert.deepEqual(lagFigures([queue(0), queue(-3)], NOW), nothing);
  });

  test('has no age when nobody could tell it, rather than a comforting 0', () => {
    assert.equal(
      'OldestMessageAge' in lagFigures([queue(4, { waitingSince: undefined })], NOW),
      false,
    );
  });

  test('of queues that could not be measured is not 0', () => {
    assert.deepEqual(lagFigures([], NOW, 0, 16), { UnmeasuredQueues: 16 });
    assert.deepEqual(lagFigures([queue(0)], NOW, 0, 1), { UnmeasuredQueues: 1 });
    const old = NOW - STALLED_AFTER_MS;
    assert.deepEqual(lagFigures([queue(3, { waitingSince: old, owned: false })], NOW, 0, 1), {
      UnmeasuredQueues: 1,
      OldestMessageAge: STALLED_AFTER_MS,
      StalledQueues: 1,
      UnownedQueues: 1,
    });
  });

  test('a clock behind the broker’s makes no negative age', () => {
    assert.equal(lagFigures([queue(1, { waitingSince: NOW + 300 })], NOW).OldestMessageAge, 0);
  });

  test('a queue stalls when something waits and nothing moved for long, be it held or not', () => {
    const old = NOW - STALLED_AFTER_MS;
    const stalled = (settings: Partial<QueueLag>, lag = 1) =>
      lagFigures([queue(lag, settings)], NOW).StalledQueues;
    assert.equal(stalled({ waitingSince: old }), 1);
    assert.equal(stalled({ waitingSince: old, progressAt: old - 5 }), 1);
    assert.equal(stalled({ waitingSince: old, progressAt: old + 5 }), 0, 'it moved since');
    assert.equal(stalled({ waitingSince: old + 5, progressAt: 0 }), 0, 'what waits is young');
    assert.equal(stalled({ waitingSince: old, rests: true }), 0, 'somebody wants it to rest');
    assert.equal(stalled({ waitingSince: undefined }, 0), 0);
  });

  test('a queue is nobody’s when a message waits for longer than a puller needs to come', () => {
    const unowned = (settings: Partial<QueueLag>) =>
      lagFigures([queue(1, { owned: false, ...settings })], NOW).UnownedQueues;
    assert.equal(unowned({ waitingSince: NOW - 10_000 }), 1);
    assert.equal(unowned({ waitingSince: NOW - 9_999 }), 0);
    assert.equal(unowned({ waitingSince: NOW - 60_000, owned: true }), 0);
    assert.equal(unowned({ waitingSince: NOW - 60_000, rests: true }), 0);
  });

  test('what may wait by its deployment’s rules is nobody’s, or stalled, so much later', () => {
    assert.equal(mayWaitMs({}), 0);
    const waitMs = mayWaitMs({
      lookEveryMs: 60_000,
      activation: { lagThreshold: 5n, maxMessageAgeMs: 300_000 },
    });
    assert.equal(waitMs, 360_000);
    const figures = (since: number) =>
      lagFigures([queue(1, { owned: false, waitingSince: NOW - since })], NOW, waitMs);
    assert.equal(figures(369_999).UnownedQueues, 0);
    assert.equal(figures(370_000).UnownedQueues, 1);
    assert.equal(figures(STALLED_AFTER_MS + 359_999).StalledQueues, 0);
    assert.equal(figures(STALLED_AFTER_MS + 360_000).StalledQueues, 1);
  });
});
