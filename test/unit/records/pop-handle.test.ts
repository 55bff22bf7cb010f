import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../src/errors.ts';
import {
  formatPopHandle,
  parsePopHandle,
  parseStartOffsets,
  poppedTopic,
} from '../../../src/records/pop-handle.ts';

const handle = {
  ckQueueOffset: 7n,
  popTime: 1_763_870_400_123n,
  invisibleTime: 60_000n,
  reviveQid: 3,
  retryMark: 1,
  brokerName: 'broker-a',
  queueId: 2,
  queueOffset: 9_007_199_254_740_993n,
} as const;

test('a handle is what ExtraInfoUtil writes, and is read back', () => {
  const text = '7 1763870400123 60000 3 1 broker-a 2 9007199254740993';
  assert.equal(formatPopHandle(handle), text);
  assert.deepEqual(parsePopHandle(text), handle);
});

test('the retry mark names the topic', () => {
  const topicOf = (retryMark: 0 | 1 | 2) => poppedTopic('orders', 'workers', { retryMark });
  assert.deepEqual(([0, 1, 2] as const).map(topicOf), [
    'orders',
    '%RETRY%workers_orders',
    '%RETRY%workers+orders',
  ]);
});

test('start offsets are told by retry mark and queue', () => {
  assert.deepEqual(
    [...parseStartOffsets('0 3 17;1 0 4')],
    [
      ['0@3', 17n],
      ['1@0', 4n],
    ],
  );
  assert.deepEqual([...parseStartOffsets('')], []);
});

for (const bad of [
  '',
  '7 1 2 3 0 broker-a 2',
  '7 1 2 3 9 broker-a 2 4',
  '7 1 2 x 0 broker-a 2 4',
  '7 1 2 3 0  2 4',
])
  test(`"${bad}" is no handle`, () => assert.throws(() => parsePopHandle(bad), ProtocolError));

for (const bad of ['0 1', '0 1 2 3', '5 1 2', '0 one 2'])
  test(`"${bad}" is no start offset`, () =>
    assert.throws(() => parseStartOffsets(bad), ProtocolError));
