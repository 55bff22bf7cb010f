import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  normalRetryMessage,
  outgoingBatch,
  outgoingMessage,
  queueOfKey,
  setAsideMessage,
  writableQueues,
} from '../../../src/client/outgoing.ts';
import type { Message } from '../../../src/model/message.ts';
import type { OutgoingMessage } from '../../../src/ports/rocketmq.ts';
import { decodeBatchItems } from '../../../src/records/batch-items.ts';
import { parseProperties } from '../../../src/records/properties.ts';

const uniqKey = (): string => 'KEY';
const body = Buffer.from('body');
const propertiesOf = (text: string) => Object.fromEntries(parseProperties(text));

describe('outgoingMessage', () => {
  it('carries tags, keys, own properties and a UNIQ_KEY', () => {
    const outgoing = outgoingMessage(
      { topic: 'T', body, tags: 'A', keys: ['k1', 'k2'], flag: 3, properties: { own: 'x' } },
      uniqKey,
    );
    const request = outgoing.request(5, 1234);
    assert.equal(outgoing.msgId, 'KEY');
    assert.deepEqual(propertiesOf(request.properties), {
      own: 'x',
      TAGS: 'A',
      KEYS: 'k1 k2',
      UNIQ_KEY: 'KEY',
    });
    assert.deepEqual(
      [request.topic, request.queueId, request.bornTimestamp, request.flag, request.batch],
      ['T', 5, 1234, 3, false],
    );
    assert.equal(request.body, body);
  });

  it('keeps a UNIQ_KEY that is given, in a map too', () => {
    assert.equal(
      outgoingMessage({ topic: 'T', body, properties: new Map([['UNIQ_KEY', 'MINE']]) }, uniqKey)
        .msgId,
      'MINE',
    );
  });

  for (const [what, message, text] of [
    ['an empty body', { topic: 'T', body: Buffer.alloc(0) }, /has no body/],
    [
      'a separator in a value',
      { topic: 'T', body, properties: { a: 'x\u0002y' } },
      /"a" contains U\+0001 or U\+0002/,
    ],
    ['a separator in the tag', { topic: 'T', body, tags: 'x\u0001' }, /"TAGS" contains/],
    [
      'properties over 32767 bytes',
      { topic: 'T', body, properties: { a: 'é'.repeat(16_400) } },
      /take more than 32767 bytes/,
    ],
  ] as const)
    it(`refuses ${what}, alone and in a batch`, () => {
      for (const attempt of [
        () => outgoingMessage(message, uniqKey),
        () => outgoingBatch([message], uniqKey),
      ])
        assert.throws(attempt, { code: 'ROCKETMQ_MESSAGE_ILLEGAL', message: text });
    });
});

describe('sharding keys', () => {
  const queues = Array.from({ length: 8 }, (_, queueId) => ({
    topic: 'T',
    brokerName: 'broker-a',
    queueId,
  }));

  it('stand in the message, and choose the queue as Java’s SelectMessageQueueByHash', () => {
    const { request } = outgoingMessage({ topic: 'T', body, shardingKey: 'order-17' }, uniqKey);
    assert.deepEqual(propertiesOf(request(0, 0).properties), {
      __SHARDINGKEY: 'order-17',
      UNIQ_KEY: 'KEY',
    });
    // "a".hashCode() is 97; that of "polygenelubricants" is Integer.MIN_VALUE, which Math.abs alone would leave negative.
    assert.equal(queueOfKey(queues, 'a')?.queueId, 1);
    assert.equal(queueOfKey(queues, '')?.queueId, 0);
    assert.equal(queueOfKey(queues, 'polygenelubricants')?.queueId, 0);
    assert.equal(queueOfKey(queues.slice(0, 5), 'polygenelubricants')?.queueId, 3);
    assert.equal(queueOfKey([], 'a'), undefined);
  });

  it('are a property, too, by which a message that is sent on finds its queue', () => {
    const keyOf = (message: Partial<OutgoingMessage>) =>
      outgoingMessage({ topic: 'T', ...message, body, keys: [] }, uniqKey).shardingKey;
    assert.equal(keyOf({ properties: { __SHARDINGKEY: 'a' } }), 'a');
    assert.equal(keyOf({ properties: new Map([['__SHARDINGKEY', 'a']]) }), 'a');
    assert.equal(keyOf({ properties: { __SHARDINGKEY: 'a' }, shardingKey: 'b' }), 'b');
    assert.equal(keyOf({ properties: { __SHARDINGKEY: '' } }), undefined, 'it is not stored');
    assert.equal(keyOf({}), undefined);
  });

  it('must be the same in a batch, which goes to one queue', () => {
    const message = (shardingKey?: string) => ({
      topic: 'T',
      body,
      ...(shardingKey === undefined ? {} : { shardingKey }),
    });
    const withProperty = (key: string) => ({ ...message(), properties: { __SHARDINGKEY: key } });
    for (const same of [message('a'), withProperty('a')])
      assert.equal(outgoingBatch([message('a'), same], uniqKey).shardingKey, 'a');
    for (const other of [message('b'), withProperty('b'), message()])
      assert.throws(() => outgoingBatch([message('a'), other], uniqKey), /same shardingKey/);
    // A queue that the caller names has messages of any key.
    assert.equal(outgoingBatch([message('a'), message('b')], uniqKey, true).shardingKey, 'a');
  });
});

describe('outgoingBatch', () => {
  it('puts the messages one behind the other', () => {
    let n = 0;
    const keys = (): string => `KEY${n++}`;
    const batch = outgoingBatch(
      ['one', 'two'].map((text) => ({ topic: 'T', body: Buffer.from(text), tags: text })),
      keys,
    );
    const request = batch.request(1, 0);
    assert.deepEqual([batch.msgId, request.batch, request.topic], ['KEY0,KEY1', true, 'T']);
    assert.deepEqual(
      decodeBatchItems(request.body).map((item) => [
        String(item.body),
        propertiesOf(String(item.propertyBytes)),
      ]),
      [
        ['one', { TAGS: 'one', UNIQ_KEY: 'KEY0' }],
        ['two', { TAGS: 'two', UNIQ_KEY: 'KEY1' }],
      ],
    );
  });

  it('refuses no messages, and messages of several topics', () => {
    assert.throws(() => outgoingBatch([], uniqKey), { code: 'ROCKETMQ_USAGE' });
    assert.throws(
      () =>
        outgoingBatch(
          [
            { topic: 'T', body },
            { topic: 'U', body },
          ],
          uniqKey,
        ),
      { code: 'ROCKETMQ_USAGE' },
    );
  });
});

describe('setAsideMessage', () => {
  const message = {
    ...{ topic: '%RETRY%group', body, flag: 7, sysFlag: 0x308, reconsumeTimes: 2, msgId: 'ID' },
    ...{ bornTimestamp: 55, storeTimestamp: 77 },
    properties: new Map([
      ...([
        ['UNIQ_KEY', 'ID'],
        ['own', 'x'],
        ['RETRY_TOPIC', 'orders'],
        ['ORIGIN_MESSAGE_ID', 'FIRST'],
        ['REAL_TOPIC', '%RETRY%group'],
        ['SERVERLESS_FIRST_STORED_MS', '33'],
        ['SERVERLESS_SET_ASIDE', '1 66'],
      ] as const),
    ]),
  } as unknown as Message;

  it('keeps count, birth and first store of the message, and no limit ends it', () => {
    const aside = { level: 4, times: 2, at: 99 };
    const request = setAsideMessage('group', message, aside);
    assert.deepEqual(
      [request.topic, request.queueId, request.flag, request.sysFlag, request.bornTimestamp],
      ['%RETRY%group', -1, 7, 0, 55],
    );
    assert.deepEqual([request.reconsumeTimes, request.maxReconsumeTimes], [2, 2_147_483_647]);
    assert.deepEqual(propertiesOf(request.properties), {
      UNIQ_KEY: 'ID',
      own: 'x',
      RETRY_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: 'FIRST',
      DELAY: '4',
      SERVERLESS_FIRST_STORED_MS: '33',
      SERVERLESS_SET_ASIDE: '2 99',
    });
  });

  it('adds failures that the broker has not counted', () => {
    const aside = { level: 3, times: 1, at: 99 };
    assert.equal(setAsideMessage('group', message, aside, 3).reconsumeTimes, 5);
  });
});

describe('normalRetryMessage', () => {
  const properties = new Map([
    ['UNIQ_KEY', 'ID'],
    ['own', 'x'],
    ['DELAY', '2'],
    ['TRAN_MSG', 'true'],
    ['RECONSUME_TIME', '9'],
    ['MAX_RECONSUME_TIMES', '9'],
  ]);
  const message = {
    topic: 'orders',
    body,
    flag: 7,
    sysFlag: 0x308,
    reconsumeTimes: 2,
    storeTimestamp: 77,
    msgId: 'ID',
    properties,
  } as unknown as Message;
  const retry: Message = { ...message, topic: '%RETRY%group' };

  it('goes to the group’s retry topic in the group’s own name, once more failed', () => {
    const request = normalRetryMessage('group', message, 0, 16, 99);
    const {
      topic,
      producerGroup,
      queueId,
      reconsumeTimes,
      maxReconsumeTimes,
      flag,
      sysFlag,
      bornTimestamp,
    } = request;
    assert.deepEqual(
      [topic, producerGroup, queueId, flag, sysFlag, bornTimestamp],
      ['%RETRY%group', 'group', -1, 7, 0, 99],
    );
    assert.deepEqual(
      [reconsumeTimes, maxReconsumeTimes, request.body, request.defaultTopicQueueNums],
      [1, 2_147_483_647, body, 1],
    );
    assert.deepEqual(propertiesOf(request.properties), {
      UNIQ_KEY: 'ID',
      own: 'x',
      DELAY: '3',
      RETRY_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: 'ID',
      SERVERLESS_FIRST_STORED_MS: '77',
    });
  });

  it('counts on from the count of a retry', () => {
    const request = normalRetryMessage('group', retry, 0, 16, 99);
    assert.equal(request.reconsumeTimes, 3);
    assert.equal(propertiesOf(request.properties).DELAY, '5');
  });

  it('forgets the topic, the id and the timers of an earlier life', () => {
    const copy = {
      ...message,
      properties: new Map([
        ['RETRY_TOPIC', 'elsewhere'],
        ['ORIGIN_MESSAGE_ID', 'X'],
        ['SERVERLESS_FIRST_STORED_MS', '1'],
        ['TIMER_OUT_MS', '1'],
        ['REAL_TOPIC', 'x'],
      ]),
    };
    assert.deepEqual(propertiesOf(normalRetryMessage('group', copy, 1, 16, 0).properties), {
      UNIQ_KEY: 'ID',
      DELAY: '1',
      RETRY_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: 'ID',
      SERVERLESS_FIRST_STORED_MS: '77',
    });
  });

  it('at its limit goes to the DLQ, on brokers that compare in either way', () => {
    const request = normalRetryMessage('group', retry, 0, 2, 0);
    assert.deepEqual([request.reconsumeTimes, request.maxReconsumeTimes], [3, 2]);
    assert.equal(propertiesOf(request.properties).DELAY, undefined);
    // Brokers before 5.0 dead-letter a count that equals the limit.
    assert.equal(normalRetryMessage('group', retry, 0, 3, 0).maxReconsumeTimes, 2_147_483_647);
  });

  it('keeps the first topic and the first id of one that failed before', () => {
    const again = {
      ...message,
      topic: '%RETRY%group',
      properties: new Map([
        ['RETRY_TOPIC', 'orders'],
        ['ORIGIN_MESSAGE_ID', 'FIRST'],
      ]),
    };
    const { RETRY_TOPIC, ORIGIN_MESSAGE_ID } = propertiesOf(
      normalRetryMessage('group', again, 0, 16, 0).properties,
    );
    assert.deepEqual([RETRY_TOPIC, ORIGIN_MESSAGE_ID], ['orders', 'FIRST']);
  });

  it('takes a level that is given', () => {
    assert.equal(
      propertiesOf(normalRetryMessage('group', message, 9, 16, 0).properties).DELAY,
      '9',
    );
  });

  it('goes to the DLQ at once with level dead-letter: the count passes its limit, and nothing delays it', () => {
    const request = normalRetryMessage('group', message, 'dead-letter', 16, 0);
    assert(request.reconsumeTimes > (request.maxReconsumeTimes ?? 0));
    assert.equal(propertiesOf(request.properties).DELAY, undefined);
  });

  it('without end means Java’s largest number, for −1 is a limit that is always passed', () => {
    assert.equal(
      normalRetryMessage('group', message, 'broker-decides', -1, 0).maxReconsumeTimes,
      2_147_483_647,
    );
  });
});

describe('writableQueues', () => {
  it('leaves out what may not be written and what has no master', () => {
    const broker = (brokerName: string, id: number) => ({
      cluster: 'C',
      brokerName,
      brokerAddrs: new Map([[id, '1.1.1.1:1']]),
    });
    const data = (brokerName: string, perm: number) => ({
      brokerName,
      perm,
      readQueueNums: 4,
      writeQueueNums: 2,
      topicSysFlag: 0,
    });
    const route = {
      topic: 'T',
      brokers: [broker('a', 0), broker('readonly', 0), broker('slaves', 1)],
      queues: [data('a', 6), data('readonly', 4), data('slaves', 6), data('unknown', 6)],
    };
    assert.deepEqual(writableQueues(route), [
      { topic: 'T', brokerName: 'a', queueId: 0 },
      { topic: 'T', brokerName: 'a', queueId: 1 },
    ]);
  });
});
