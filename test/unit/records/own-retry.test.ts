import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../../src/model/message.ts';
import { failedDeliveries, firstStoredAt, whyAsMessage } from '../../../src/records/own-retry.ts';
import { Property } from '../../../src/records/properties.ts';

const GROUP = { consumerGroup: 'workers' };
const POP = { ...GROUP, mode: 'pop' } as const;
const OWN = '%RETRY%workers';

function message(
  topic: string,
  properties: Record<string, string> = {},
  fields: Partial<Message> = {},
): Message {
  return {
    topic,
    properties: new Map(Object.entries(properties)),
    reconsumeTimes: 0,
    storeTimestamp: 1_000,
    ...fields,
  } as Message;
}

describe('failedDeliveries', () => {
  it('is the broker’s count on the retry topic of the group and nowhere else', () => {
    const counted = { reconsumeTimes: 17 };
    assert.equal(failedDeliveries(message(OWN, {}, counted), GROUP), 17);
    for (const topic of ['orders', '%DLQ%workers', '%DLQ%other', '%RETRY%other'])
      assert.equal(failedDeliveries(message(topic, {}, counted), GROUP), 0, topic);
    assert.equal(failedDeliveries(message('orders', {}, counted), POP), 17);
    const negative = { reconsumeTimes: -5 };
    assert.equal(failedDeliveries(message(OWN, {}, negative), GROUP), 0);
    assert.equal(failedDeliveries(message('orders', {}, negative), POP), 0);
  });
});

describe('firstStoredAt', () => {
  const kept = { [Property.FIRST_STORED]: '400' };

  it('is the store time of a message that was not sent back, whatever its producer wrote', () => {
    assert.equal(firstStoredAt(message('orders', kept), GROUP), 1_000);
    assert.equal(firstStoredAt(message('%DLQ%other', kept), GROUP), 1_000);
  });

  it('is what the retry message says, and the retry’s own store time without it', () => {
    assert.equal(firstStoredAt(message(OWN, kept), GROUP), 400);
    assert.equal(firstStoredAt(message(OWN), GROUP), 1_000);
    for (const wrong of ['9999', '-1', 'soon', '1e3', '9'.repeat(40)])
      assert.equal(
        firstStoredAt(message(OWN, { [Property.FIRST_STORED]: wrong }), GROUP),
        1_000,
        wrong,
      );
  });

  it('is the first pop of a popped retry', () => {
    const popped = { [Property.FIRST_POP_TIME]: '700' };
    assert.equal(firstStoredAt(message('orders', popped, { reconsumeTimes: 1 }), POP), 700);
    assert.equal(firstStoredAt(message('orders', popped), POP), 1_000);
    const copied = { ...popped, [Property.FIRST_STORED]: '600' };
    for (const reconsumeTimes of [0, 1])
      assert.equal(firstStoredAt(message('orders', copied, { reconsumeTimes }), POP), 600);
    assert.equal(firstStoredAt(message('orders', popped, { reconsumeTimes: 1 }), GROUP), 1_000);
  });
});

describe('whyAsMessage', () => {
  const cases: [name: string, message: Message, aged: boolean, why: string | undefined][] = [
    ['an ordinary message', message('orders'), false, undefined],
    [
      'an earlier first id without a key',
      message('orders', { ORIGIN_MESSAGE_ID: 'A' }),
      false,
      'inexact',
    ],
    ['a copy with RETRY_TOPIC', message('orders', { RETRY_TOPIC: 'x' }), false, 'misleading'],
    [
      'a dead letter with its count',
      message('%DLQ%x', {}, { reconsumeTimes: 9 }),
      false,
      'misleading',
    ],
    ['a retry', message(OWN, { RETRY_TOPIC: 'x' }, { reconsumeTimes: 9 }), false, undefined],
    ['two keys', message('orders', {}, { otherUniqKey: 'B' }), false, 'inexact'],
    ['two keys on a retry', message(OWN, {}, { otherUniqKey: 'B' }), false, 'inexact'],
    ['an age that counts', message('orders'), true, 'inexact'],
    ['an age that counts on a retry without its time', message(OWN), true, 'inexact'],
    ['an age that is kept', message(OWN, { [Property.FIRST_STORED]: '1' }), true, undefined],
    [
      'an age that a producer wrote',
      message('orders', { [Property.FIRST_STORED]: '1' }),
      false,
      'inexact',
    ],
    [
      'the first id of a redriven message',
      message('orders', { ORIGIN_MESSAGE_ID: 'A', UNIQ_KEY: 'B' }),
      false,
      undefined,
    ],
  ];
  for (const [name, given, aged, why] of cases)
    it(`${name}: ${why ?? 'request 36 does'}`, () => {
      assert.equal(whyAsMessage(given, GROUP, aged), why);
    });

  it('a popped retry has the count of its own group', () => {
    assert.equal(whyAsMessage(message('orders', {}, { reconsumeTimes: 3 }), POP, false), undefined);
  });
});
