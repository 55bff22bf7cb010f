import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPopAnswer } from '../../../src/client/popping.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { DEFAULT_LIMITS } from '../../../src/remoting/limits.ts';
import { record } from '../../support/records.ts';

const REQUEST = {
  consumerGroup: 'workers',
  topic: 'orders',
  brokerName: 'broker-a',
  subscription: buildSubscription('orders', '*'),
  maxMessages: 32,
  invisibleMs: 60_000,
  pollMs: 0,
  start: 'min',
} as const;

/** The handles of an answer whose messages of queue 3 have these properties POP_CK, from offset 0 on. */
function handles(checkpoints: readonly (string | undefined)[], startOffsetInfo: string) {
  const records = checkpoints.map((POP_CK, at) =>
    record({ queueOffset: BigInt(at), properties: POP_CK === undefined ? {} : { POP_CK } }),
  );
  const answer = {
    code: 0,
    language: 'JAVA',
    version: 513,
    opaque: 1,
    flag: 1,
    remark: undefined,
    extFields: {
      popTime: '5',
      invisibleTime: '60000',
      reviveQid: '1',
      restNum: '0',
      startOffsetInfo,
    },
    body: Buffer.concat(records),
  } as const;
  return readPopAnswer(answer, REQUEST, DEFAULT_LIMITS).messages.map(
    ({ handle: { ckQueueOffset, retryMark, queueOffset } }) => [
      ckQueueOffset,
      retryMark,
      queueOffset,
    ],
  );
}

describe('the handles of popped messages', () => {
  test('the broker’s own, on a message from the retry topic, counts', () => {
    assert.deepEqual(handles(['7 5 60000 1 1 broker-a 3 0'], '0 3 9;1 3 7'), [[7n, 1, 0n]]);
  });

  for (const [what, forged] of [
    ['is no handle', 'anything'],
    ['is empty of numbers', 'a b c d e f g h'],
    ['is of another message', '7 5 60000 1 1 broker-a 3 4711'],
    ['is of another queue', '7 5 60000 1 1 broker-a 2 1'],
  ] as const)
    test(`a producer’s property that ${what} spoils neither its message nor the answer`, () => {
      assert.deepEqual(handles([undefined, forged, undefined], '0 3 9'), [
        [9n, 0, 0n],
        [9n, 0, 1n],
        [9n, 0, 2n],
      ]);
      assert.deepEqual(handles([undefined, forged].slice(1), '2 3 9'), [[9n, 2, 0n]]);
    });
});
