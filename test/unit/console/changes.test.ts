import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changesBetween } from '../../../src/console/changes.ts';
import type { QueueView, Snapshot } from '../../../src/console/console-model.ts';
import { Counts } from '../../../src/console/counts.ts';

const queue = (settings: Partial<QueueView> = {}): QueueView => ({
  topic: 'orders',
  brokerName: 'broker-a',
  queueId: 0,
  slot: 0,
  state: 'idle',
  ...settings,
});
const snapshot = (...queues: QueueView[]): Snapshot => ({
  at: 7,
  groups: [
    {
      cluster: 'default',
      consumerGroup: 'workers',
      lag: '0',
      queues,
      deadLetters: { stored: '0', waiting: '0' },
      counts: {},
    },
  ],
});
const texts = (before: Snapshot | undefined, after: Snapshot) =>
  changesBetween(before, after).map(({ text }) => text);

describe('events of the rebalance', () => {
  test('none at the first look, none when nothing changed', () => {
    assert.deepEqual(texts(undefined, snapshot(queue())), []);
    assert.deepEqual(texts(snapshot(queue()), snapshot(queue())), []);
  });

  test('a new queue, a holder, another, none', () => {
    const held = (holder: string) => snapshot(queue({ holder, state: 'consuming' }));
    assert.deepEqual(texts(snapshot(), snapshot(queue({ slot: 3 }))), ['assigned to slot 3']);
    assert.deepEqual(texts(snapshot(queue()), held('aaaaaaaa-1')), ['taken by aaaaaaaa']);
    assert.deepEqual(texts(held('aaaaaaaa-1'), held('bbbbbbbb-2')), [
      'taken over from aaaaaaaa by bbbbbbbb',
    ]);
    assert.deepEqual(texts(held('aaaaaaaa-1'), snapshot(queue())), ['released by aaaaaaaa']);
  });

  test('a move, a pause, a retirement; with group and queue', () => {
    assert.deepEqual(
      changesBetween(snapshot(queue()), snapshot(queue({ slot: 1, state: 'paused' }))),
      [
        {
          at: 7,
          consumerGroup: 'workers',
          queue: 'orders/broker-a/0',
          text: 'moves from slot 0 to slot 1',
        },
        { at: 7, consumerGroup: 'workers', queue: 'orders/broker-a/0', text: 'is paused' },
      ],
    );
    assert.deepEqual(texts(snapshot(queue()), snapshot(queue({ state: 'retired' }))), [
      'is retired',
    ]);
  });
});

test('counts are sums by event source, of known metrics; nonsense is passed over', () => {
  const counts = new Counts();
  counts.add('{"EventSource":"shop-dev/workers","PolledEventCount":3,"Other":9,"constructor":1}');
  counts.add('{"EventSource":"shop-dev/workers","PolledEventCount":4}');
  for (const nonsense of [
    '',
    'null',
    '[]',
    '{"PolledEventCount":3}',
    '{"EventSource":"shop-dev/workers","PolledEventCount":"3"}',
  ])
    counts.add(nonsense);
  assert.deepEqual(counts.of('shop-dev/workers'), { PolledEventCount: 7 });
  assert.deepEqual(counts.of('shop-dev/others'), {});
});
