import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { retryTopic } from '../../../src/model/message-queue.ts';
import { RECORD_CONTEXT as CONTEXT, messageAt } from '../../support/records.ts';

const md5 = (text: string) => createHash('md5').update(text).digest('hex');

const HANDLE = /^(orders|%RETRY%order-worker)\/broker-a\/3\/4\.[\da-f-]{36}$/;

describe('buildRecord', () => {
  it('a receiptHandle is of one delivery, and nothing in the message tells it', () => {
    for (const topic of ['orders', retryTopic(CONTEXT.consumerGroup)])
      for (const mode of ['pull', 'pop'] as const) {
        const message = messageAt(4, { topic, properties: { UNIQ_KEY: `${topic}/broker-a/3/4` } });
        const handles = [0, 1].map(() => buildRecord(message, { ...CONTEXT, mode }).receiptHandle);
        for (const handle of handles) assert.match(handle, HANDLE);
        assert.equal(new Set(handles).size, 2);
      }
  });

  it('a UNIQ_KEY is the messageId, whatever it looks like', () => {
    for (const key of [
      'orders/broker-a/3/5',
      'shop/de/1/42',
      `orders/broker-a/3/4.${randomUUID()}`,
    ])
      for (const topic of ['orders', retryTopic(CONTEXT.consumerGroup)])
        assert.equal(
          buildRecord(messageAt(4, { topic, properties: { UNIQ_KEY: key } }), CONTEXT).messageId,
          key,
        );
  });

  it('is shaped like an SQS record, with RocketMQ’s own fields beside', () => {
    const properties = {
      TAGS: 'paid',
      KEYS: 'order-17 customer-3',
      UNIQ_KEY: 'AC1A2B3C',
      __SHARDINGKEY: 'order-17',
      tenant: 'acme',
    };
    const record = buildRecord(
      messageAt(4711, {
        properties,
        commitLogOffset: 1_234n,
        topic: retryTopic(CONTEXT.consumerGroup),
      }),
      CONTEXT,
    );
    assert.deepEqual(JSON.parse(JSON.stringify(record)), {
      messageId: 'AC1A2B3C',
      receiptHandle: record.receiptHandle,
      body: '{"orderId":17}',
      attributes: {
        ApproximateReceiveCount: '3',
        SentTimestamp: '1700000000000',
        ApproximateFirstReceiveTimestamp: '1700000000500',
        SenderId: '10.0.3.17:52114',
        SequenceNumber: '4711',
        MessageGroupId: 'order-17',
      },
      messageAttributes: {
        tenant: {
          dataType: 'String',
          stringValue: 'acme',
          stringListValues: [],
          binaryListValues: [],
        },
      },
      md5OfBody: md5('{"orderId":17}'),
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:eu-west-1:123456789012:rocketmq/prod/orders/order-worker',
      awsRegion: 'eu-west-1',
      rocketmq: {
        schemaVersion: '1.0',
        cluster: 'prod',
        topic: 'orders',
        consumerGroup: 'order-worker',
        brokerName: 'broker-a',
        queueId: 3,
        queueOffset: '4711',
        offsetMsgId: '0A00031200002A9F00000000000004D2',
        idempotencyKey: record.rocketmq.idempotencyKey,
        tags: 'paid',
        keys: ['order-17', 'customer-3'],
        shardingKey: 'order-17',
        reconsumeTimes: 2,
        maxReconsumeTimes: 16,
        bornTimestamp: 1_700_000_000_000,
        storeTimestamp: 1_700_000_000_123,
        bornHost: '10.0.3.17:52114',
        storeHost: '10.0.3.18:10911',
        bodyEncoding: 'utf8',
        bodySize: 14,
        flag: -7,
        properties,
      },
    });
  });

  it('bodies that are no UTF-8 come as base64; the digest is of the text that the handler sees', () => {
    const body = Buffer.from([0xff, 0xfe, 0x00, 0x80]);
    const record = buildRecord(messageAt(1, { body }), CONTEXT);
    assert.deepEqual(
      [record.body, record.rocketmq.bodyEncoding, record.rocketmq.bodySize],
      ['//4AgA==', 'base64', 4],
    );
    assert.equal(record.md5OfBody, md5('//4AgA=='));
    const text = buildRecord(messageAt(1, { body: Buffer.from('grüße 🚀') }), CONTEXT);
    assert.deepEqual(
      [text.body, text.rocketmq.bodyEncoding, text.rocketmq.bodySize],
      ['grüße 🚀', 'utf8', 12],
    );
    assert.equal(buildRecord(messageAt(1, { body: Buffer.alloc(0) }), CONTEXT).body, '');
  });

  it('a message without tags, keys and sharding key leaves them out; the broker’s id stands in for a missing client id', () => {
    const message = messageAt(1, { properties: {} });
    const record = buildRecord(message, CONTEXT);
    assert.deepEqual(
      [
        'tags' in record.rocketmq,
        'shardingKey' in record.rocketmq,
        'MessageGroupId' in record.attributes,
        record.rocketmq.keys,
      ],
      [false, false, false, []],
    );
    assert.equal(record.messageId, message.offsetMsgId);
  });

  it('a redelivery names the user’s topic; the handle says where it was pulled from; local retries count', () => {
    const message = messageAt(9, {
      topic: '%RETRY%order-worker',
      properties: { RETRY_TOPIC: 'orders' },
      reconsumeTimes: 4,
    });
    const record = buildRecord(message, { ...CONTEXT, localRetries: 2 });
    assert.equal(record.rocketmq.topic, 'orders');
    assert.match(record.eventSourceARN, /rocketmq\/prod\/orders\/order-worker$/);
    assert.match(record.receiptHandle, /^%RETRY%order-worker\/broker-a\/3\/9\.[\da-f-]{36}$/);
    assert.deepEqual(
      [record.rocketmq.reconsumeTimes, record.attributes.ApproximateReceiveCount],
      [6, '7'],
    );
  });

  it('numbers beyond 2^53 stay exact, IPv6 hosts get brackets', () => {
    const queueOffset = 2n ** 62n + 1n;
    const record = buildRecord(
      messageAt(0, { queueOffset, bornHost: { address: '2001:db8::1', port: 80 } }),
      CONTEXT,
    );
    assert.equal(record.rocketmq.queueOffset, String(queueOffset));
    assert.equal(record.attributes.SequenceNumber, String(queueOffset));
    assert.equal(record.attributes.SenderId, '[2001:db8:0:0:0:0:0:1]:80');
  });

  it('a property may have any name', () => {
    const record = buildRecord(
      messageAt(1, { properties: { ['__proto__']: 'x', constructor: 'y' } }),
      CONTEXT,
    );
    assert.deepEqual(Object.keys(record.messageAttributes).sort(), ['__proto__', 'constructor']);
    assert.match(JSON.stringify(record), /"__proto__":\{"dataType":"String","stringValue":"x"/);
  });

  it('leaves the producer’s trace out when it is told so', () => {
    const message = messageAt(1, {
      properties: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    });
    assert.match(
      buildRecord(message, CONTEXT).attributes.AWSTraceHeader ?? '',
      /^Root=1-0af76519-/,
    );
    assert.ok(
      !('AWSTraceHeader' in buildRecord(message, { ...CONTEXT, traced: false }).attributes),
    );
  });
});
