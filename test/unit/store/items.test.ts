import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attemptsToKeep, MAX_ATTEMPT_RUNS } from '../../../src/decide/order/attempts.ts';
import type { Attempts } from '../../../src/model/assignment.ts';
import { assignmentFromItem, attemptsToAttribute, N, S } from '../../../src/store/items.ts';

const ITEM = {
  ...{ cluster: S('default'), consumerGroup: S('workers'), topic: S('orders') },
  ...{ brokerName: S('broker-a'), queueId: N(0), slot: N(0), generation: N(0) },
  ...{ startOffset: N(0), fence: N(0) },
};
const stored = (attempts: Attempts) =>
  assignmentFromItem({ ...ITEM, attempts: attemptsToAttribute(attempts) }).attempts;

describe('failed attempts in an item', () => {
  test('are stored as runs of neighbours with the same count, in any order', () => {
    const attempts: Attempts = new Map([
      ...[9n, 7n, 8n].map((offset): [bigint, number] => [offset, 2]),
      [10n, 3],
      [4_711_000_000_000_000_000n, 1],
    ]);
    const text = '7-9:2 10-10:3 4711000000000000000-4711000000000000000:1';
    assert.deepEqual(attemptsToAttribute(attempts), { S: text });
    assert.deepEqual(stored(attempts), attempts);
  });

  test('as many as may be kept fit the item when no two of them are neighbours', () => {
    const entries = Array.from({ length: 2 * MAX_ATTEMPT_RUNS }, (_, index) => ({
      offset: 100_000_000_000n + BigInt(index),
      localRetries: 1 + (index % 2),
    }));
    const kept = attemptsToKeep(entries, new Map(), 0n);
    assert.equal(kept.size, MAX_ATTEMPT_RUNS);
    assert.deepEqual(stored(kept), kept);
    assert.ok((attemptsToAttribute(kept).S ?? '').length < 64 * 1024);
  });

  test('the map of earlier versions is read', () => {
    const attempts = { M: { 5: N(3), 4711: N(1) } };
    assert.deepEqual(
      assignmentFromItem({ ...ITEM, attempts }).attempts,
      new Map([
        [5n, 3],
        [4_711n, 1],
      ]),
    );
  });
});
