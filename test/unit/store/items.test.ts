import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attemptsToKeep, MAX_ATTEMPT_RUNS } from '../../../src/decide/order/attempts.ts';
import type { Attempts, LeasePlace } from '../../../src/model/assignment.ts';
import { moveQueue } from '../../../src/store/conditions.ts';
import {
  assignmentFromItem,
  attemptsToAttribute,
  identity,
  N,
  queueItemKey,
  S,
} from '../../../src/store/items.ts';
import { WITHOUT_TENANT } from '../../../src/store/tenant.ts';

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

describe('what is leased, in the forms that tables of deployments have', () => {
  const group = { cluster: 'default', consumerGroup: 'workers' };
  const slots = 'GROUP#default#workers#seats';
  for (const [what, place, key, attributes] of [
    [
      'a queue',
      { topic: 'orders', brokerName: 'broker-a', queueId: 3 },
      ['GROUP#default#workers', 'QUEUE#orders#broker-a#3'],
      ['workers', 'orders', 'broker-a', 3],
    ],
    [
      'the first place of POP mode',
      { topic: 'orders', brokerName: 'broker-a', queueId: 0, pops: true },
      ['GROUP#default#workers', 'QUEUE#orders#broker-a#-1'],
      ['workers', 'orders', 'broker-a', -1],
    ],
    [
      'its third place',
      { topic: 'orders', brokerName: 'broker-a', queueId: 2, pops: true },
      ['GROUP#default#workers', 'QUEUE#orders#broker-a#-3'],
      ['workers', 'orders', 'broker-a', -3],
    ],
    ['slot 0', { slot: 0 }, [slots, 'QUEUE#%SEAT%##0'], ['workers#seats', '%SEAT%', '', 0]],
    ['slot 12', { slot: 12 }, [slots, 'QUEUE#%SEAT%##12'], ['workers#seats', '%SEAT%', '', 12]],
  ] as const satisfies readonly (readonly [string, LeasePlace, unknown, unknown])[])
    test(`${what} is written and read`, () => {
      const [pk, sk] = key;
      assert.deepEqual(queueItemKey(WITHOUT_TENANT, group, place), { pk: S(pk), sk: S(sk) });
      const [consumerGroup, topic, brokerName, queueId] = attributes;
      const stored = {
        ...{ cluster: S('default'), consumerGroup: S(consumerGroup), topic: S(topic) },
        ...{ brokerName: S(brokerName), queueId: N(queueId) },
      };
      assert.deepEqual(identity(group, place), stored);
      const item = assignmentFromItem<LeasePlace>({ ...ITEM, ...stored });
      assert.deepEqual([item.consumerGroup, item.queue], ['workers', place]);
    });

  test('slot -1 is read as another member’s', () => {
    assert.equal(assignmentFromItem({ ...ITEM, slot: N(-1) }).slot, 'foreign');
    const { set } = moveQueue('foreign', 4);
    assert.deepEqual(set.slot, N(-1));
  });
});
