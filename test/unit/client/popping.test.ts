import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readPopAnswer } from '../../../src/client/popping.ts';
import type { PopResult } from '../../../src/ports/rocketmq.ts';
import { encodeBatchItem } from '../../../src/records/batch-items.ts';
import type { RecordFields } from '../../../src/records/encode-record.ts';
import { formatPopHandle } from '../../../src/records/pop-handle.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { SystemFlag } from '../../../src/records/system-flag.ts';
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
function read(
  fields: Partial<RecordFields>,
  msgOffsetInfo = '0 0 9;2 0 7,9',
  tags = '*',
): PopResult {
  const { popTime, invisibleTime, reviveQid } = HANDLE;
  const wire = popMessage.encodeAnswer({
    ...{ popTime, invisibleTime, reviveQid, restNum: 0n },
    startOffsetInfo: '0 0 8;2 0 5',
    msgOffsetInfo,
    records: record({ queueId: 0, queueOffset: 9n, reconsumeTimes: 0, ...fields }),
  });
  return readPopAnswer(
    {
      ...{ code: 0, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: undefined },
      ...{ extFields: wire.extFields, body: wire.body ?? Buffer.alloc(0) },
    },
    {
      ...{ consumerGroup: 'workers', topic: 'orders', brokerName: 'broker-a', start: 'min' },
      ...{ subscription: buildSubscription('orders', tags), maxMessages: 32 },
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

describe('an inner batch that is popped', () => {
  const batch = (properties: Record<string, string> = {}): Partial<RecordFields> => ({
    body: Buffer.concat(
      ['a', 'b', 'c'].map((text) =>
        encodeBatchItem({ flag: 0, body: Buffer.from(text), properties }),
      ),
    ),
    sysFlag: SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH,
    properties: { INNER_NUM: '3' },
  });
  const offsets = ({ messages }: PopResult): unknown =>
    messages.map(({ message, handle }) => [message.queueOffset, handle.queueOffset]);

  it('is unwrapped when the pop took no other record at its offsets; its messages share the handle of the record', () => {
    for (const properties of [{}, { POP_CK: formatPopHandle(HANDLE) }]) {
      const result = read(batch(properties), '0 0 9,12');
      assert.deepEqual(offsets(result), [
        [9n, 9n],
        [10n, 9n],
        [11n, 9n],
      ]);
      assert.equal(new Set(result.messages.map(({ handle }) => handle)).size, 1);
      assert.ok(result.messages.every(({ unrevivable }) => unrevivable === 'inner-batch'));
    }
  });

  it('is filtered out as a whole or not at all: its record has one acknowledgement', () => {
    const tagged = (tags: readonly string[]): Partial<RecordFields> => ({
      ...batch(),
      body: Buffer.concat(
        tags.map((tag) =>
          encodeBatchItem({ flag: 0, body: Buffer.from('x'), properties: { TAGS: tag } }),
        ),
      ),
    });
    const filtered = (tags: readonly string[]): unknown => {
      const { messages, filteredOut } = read(tagged(tags), '0 0 9,12', 'paid');
      return [messages.length, filteredOut.map(({ queueOffset }) => queueOffset)];
    };
    assert.deepEqual(filtered(['paid', 'open', 'open']), [1, []]);
    assert.deepEqual(filtered(['open', 'open', 'open']), [0, [9n]]);
  });

  for (const [name, fields, msgOffsetInfo, retryMark] of [
    ['reaches another record of the pop', {}, '0 0 9,11', 0],
    ['is not named by the pop', {}, '0 0 8', 0],
    ['comes from the retry topic', { reconsumeTimes: 1 }, '0 0 9,20;2 0 9', 2],
  ] as const)
    it(`is one undecodable record, with its own handle, when it ${name}`, () => {
      const { messages, undecodable } = read({ ...batch(), ...fields }, msgOffsetInfo);
      assert.deepEqual(messages, []);
      assert.deepEqual(
        undecodable.map(({ handle }) => [handle.queueOffset, handle.retryMark]),
        [[9n, retryMark]],
      );
    });
});

describe('the count of a popped message', () => {
  const countOf = (fields: Partial<RecordFields>): unknown =>
    read(fields).messages[0]?.message.reconsumeTimes;

  it('is the broker’s on a retry, and 0 on what a producer sent', () => {
    assert.equal(countOf({ ...withHandle(formatPopHandle(HANDLE)), reconsumeTimes: 2 }), 2);
    for (const reconsumeTimes of [20, -5]) assert.equal(countOf({ reconsumeTimes }), 0);
  });

  it('that a producer wrote, or its time of a first store, has the message copied before it is delivered', () => {
    const whyOf = (fields: Partial<RecordFields>): unknown => read(fields).messages[0]?.unrevivable;
    for (const reconsumeTimes of [20, -5]) assert.equal(whyOf({ reconsumeTimes }), 'miscounted');
    const stored = { SERVERLESS_FIRST_STORED_MS: '1' };
    assert.equal(whyOf({ properties: stored }), 'miscounted');
    assert.equal(whyOf({}), undefined);
    // What comes from the retry topic was copied there by a broker or by this client.
    const retry = { ...stored, POP_CK: formatPopHandle(HANDLE) };
    assert.equal(whyOf({ properties: retry, reconsumeTimes: 2 }), undefined);
  });

  it('is left out without a change of anything else', () => {
    const properties = { TAGS: 'paid', '1ST_POP_TIME': '1000' };
    const { message } = read({ properties, reconsumeTimes: 20 }).messages[0] ?? {};
    const { message: plain } = read({ properties }).messages[0] ?? {};
    assert.deepEqual(message?.properties, plain?.properties);
    assert.deepEqual([message?.body, message?.msgId], [plain?.body, plain?.msgId]);
  });
});
