import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readPopAnswer } from '../../../src/client/popping.ts';
import type { PopResult } from '../../../src/ports/rocketmq.ts';
import type { RecordFields } from '../../../src/records/encode-record.ts';
import { formatPopHandle } from '../../../src/records/pop-handle.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { DEFAULT_LIMITS } from '../../../src/remoting/limits.ts';
import { popMessage } from '../../../src/requests/pop-message.ts';
import { record } from '../../support/records.ts';

const HANDLE = {
  ckQueueOffset: 5n,
  popTime: 12n,
  invisibleTime: 60_000n,
  reviveQid: 3,
  retryMark: 2,
  brokerName: 'broker-a',
  queueId: 0,
  queueOffset: 9n,
} as const;

/** The answer of a pop that took offset 9 of the topic's queue 0 and offsets 7 and 9 of its retry queue 0. */
function read(fields: Partial<RecordFields>): PopResult {
  const { popTime, invisibleTime, reviveQid } = HANDLE;
  const wire = popMessage.encodeAnswer({
    ...{ popTime, invisibleTime, reviveQid, restNum: 0n },
    startOffsetInfo: '0 0 8;2 0 5',
    msgOffsetInfo: '0 0 9;2 0 7,9',
    records: record({ queueId: 0, queueOffset: 9n, reconsumeTimes: 0, ...fields }),
  });
  return readPopAnswer(
    {
      ...{ code: 0, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: undefined },
      ...{ extFields: wire.extFields, body: wire.body ?? Buffer.alloc(0) },
    },
    {
      ...{ consumerGroup: 'workers', topic: 'orders', brokerName: 'broker-a', start: 'min' },
      ...{ subscription: buildSubscription('orders', '*'), maxMessages: 32 },
      ...{ invisibleMs: 60_000, pollMs: 0 },
    },
    DEFAULT_LIMITS,
  );
}

const handleOf = (fields: Partial<RecordFields>): unknown => read(fields).messages[0]?.handle;
const withHandle = (text: string): Partial<RecordFields> => ({ properties: { POP_CK: text } });

describe('the handle of a popped message', () => {
  it('is made from the answer for an ordinary message, and read from a retry', () => {
    assert.deepEqual(handleOf({}), { ...HANDLE, retryMark: 0, ckQueueOffset: 8n });
    assert.deepEqual(handleOf(withHandle(formatPopHandle(HANDLE))), HANDLE);
  });

  for (const [name, text] of [
    ['no handle', 'x'],
    ['that of an earlier pop', formatPopHandle({ ...HANDLE, popTime: 11n })],
    ['that of another message', formatPopHandle({ ...HANDLE, queueOffset: 10n })],
    ['that of an ordinary message', formatPopHandle({ ...HANDLE, retryMark: 0 })],
  ] as const)
    it(`is not what a producer wrote: ${name}`, () => {
      const forged = withHandle(text);
      assert.deepEqual(handleOf(forged), { ...HANDLE, retryMark: 0, ckQueueOffset: 8n });
      // The broker keeps the property when the message comes again from the retry topic.
      assert.deepEqual(handleOf({ ...forged, reconsumeTimes: 1 }), HANDLE);
      assert.deepEqual(handleOf({ ...forged, queueOffset: 7n }), { ...HANDLE, queueOffset: 7n });
      assert.deepEqual(read({ ...forged, queueOffset: 6n }).messages, []);
    });
});

describe('the count of a popped message', () => {
  const countOf = (fields: Partial<RecordFields>): unknown =>
    read(fields).messages[0]?.message.reconsumeTimes;

  it('is the broker’s on a retry, and 0 on what a producer sent', () => {
    assert.equal(countOf({ ...withHandle(formatPopHandle(HANDLE)), reconsumeTimes: 2 }), 2);
    for (const reconsumeTimes of [20, -5]) assert.equal(countOf({ reconsumeTimes }), 0);
  });

  it('is left out without a change of anything else', () => {
    const properties = { TAGS: 'paid', '1ST_POP_TIME': '1000' };
    const { message } = read({ properties, reconsumeTimes: 20 }).messages[0] ?? {};
    const { message: plain } = read({ properties }).messages[0] ?? {};
    assert.deepEqual(message?.properties, plain?.properties);
    assert.deepEqual([message?.body, message?.msgId], [plain?.body, plain?.msgId]);
  });
});
