import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KafkaSelfManagedEventSchema } from '@aws-lambda-powertools/parser/schemas/kafka';
import type { SelfManagedKafkaEvent } from 'aws-lambda';
import { BatchBuilder, MAX_EVENT_BYTES } from '../../../src/delivery/batch.ts';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { EVENT_FORMAT } from '../../../src/delivery/event-formats.ts';
import { withPointer } from '../../../src/delivery/offload-body.ts';
import { readAnswer } from '../../../src/delivery/read-answer.ts';
import type { RocketMQRecord } from '../../../src/model/event.ts';
import {
  EVENT_FORMATS,
  type EventFormatName,
  type EventOfFormat,
  type RocketMQCloudEvent,
  type RocketMQRawMessage,
} from '../../../src/model/event-formats.ts';
import { RECORD_CONTEXT as CONTEXT, messageAt } from '../../support/records.ts';

const INFO = {
  batchId: 'b',
  attempt: 1,
  minOffset: '4711',
  maxOffset: '4712',
  lag: 0,
  deadline: 1_700_000_030_000,
};
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const BINARY = Buffer.from([0xff, 0x00, 0xfe]);
const RECORDS = [
  buildRecord(
    messageAt(4711, {
      properties: {
        TAGS: 'paid',
        KEYS: 'order-17 c-3',
        UNIQ_KEY: 'AC1A2B3C',
        tenant: 'äcme',
        traceparent: TRACEPARENT,
        ['__proto__']: 'x',
      },
    }),
    CONTEXT,
  ),
  buildRecord(messageAt(4712, { body: BINARY, properties: { UNIQ_KEY: 'AC1A2B3D' } }), CONTEXT),
];

function event<Format extends EventFormatName>(format: Format): EventOfFormat[Format] {
  const builder = new BatchBuilder(MAX_EVENT_BYTES, format);
  for (const record of RECORDS)
    assert.equal(
      builder.add(record, () => record),
      'added',
    );
  return JSON.parse(builder.finish(INFO).json());
}

describe('eventFormat', () => {
  it('a pointer instead of a body is text in each, with the facts of the body beside it', () => {
    const pointer = { bucket: 'large', key: 'bodies/1' };
    const pointing = withPointer(RECORDS[1] ?? assert.fail('no record'), pointer);
    const made = <Format extends EventFormatName>(format: Format): EventOfFormat[Format] => {
      const builder = new BatchBuilder(undefined, format);
      builder.add(pointing, () => pointing);
      return builder.finish(INFO).event() as EventOfFormat[Format];
    };
    const [kafka] = Object.values(made('kafka').records).flat();
    for (const [body, facts] of [
      [made('sqs').Records[0]?.body, made('sqs').Records[0]?.rocketmq],
      [Buffer.from(kafka?.value ?? '', 'base64').toString(), kafka?.rocketmq],
      [made('raw')[0]?.body, made('raw')[0]?.rocketmq],
      [made('cloudevents')[0]?.data.body, made('cloudevents')[0]?.data.rocketmq],
    ] as const) {
      assert.equal(
        body,
        '["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"large","s3Key":"bodies/1"}]',
      );
      assert.deepEqual(
        [facts?.s3Pointer, facts?.bodyEncoding, facts?.bodySize],
        [pointer, 'base64', BINARY.length],
      );
    }
  });

  for (const format of EVENT_FORMATS)
    it(`${format}: JSON text and object are the same event, for a function and in this process`, () => {
      const inline = new BatchBuilder(undefined, format);
      for (const record of RECORDS) inline.add(record, () => record);
      const payload = inline.finish(INFO);
      assert.deepEqual(JSON.parse(JSON.stringify(payload.event())), event(format));
      assert.deepEqual(JSON.parse(payload.json()), event(format));
    });

  for (const format of EVENT_FORMATS)
    it(`${format}: no JSON is made of a record that a handler in this process gets`, () => {
      const [record] = RECORDS as [RocketMQRecord];
      const toJSON = () => assert.fail('JSON is made');
      const guarded = { ...record, toJSON, rocketmq: { ...record.rocketmq, toJSON } };
      const builder = new BatchBuilder(undefined, format);
      builder.add(guarded, () => guarded);
      const inProcess = builder.finish(INFO).event();
      assert.equal(EVENT_FORMAT[format].itemsOf(inProcess).length, 1);
    });

  it('kafka is what Lambda gives of a self-managed Kafka, with RocketMQ’s own fields beside', () => {
    const kafka = event('kafka');
    const typed: SelfManagedKafkaEvent = kafka as SelfManagedKafkaEvent;
    assert.deepEqual(Object.keys(typed.records), ['orders-broker-a-3']);
    const [first, second] = kafka.records['orders-broker-a-3']!;
    assert.deepEqual(
      [first?.topic, first?.partition, first?.offset, first?.timestamp, first?.timestampType],
      ['orders', 3, 4711, 1_700_000_000_000, 'CREATE_TIME'],
    );
    assert.equal(Buffer.from(first?.key ?? '', 'base64').toString(), 'order-17 c-3');
    assert.equal(Buffer.from(first?.value ?? '', 'base64').toString(), '{"orderId":17}');
    const headers = first?.headers.map(
      (header) =>
        Object.entries(header).map(([name, bytes]) => [name, Buffer.from(bytes).toString()])[0],
    );
    assert.deepEqual(headers, [
      ['tenant', 'äcme'],
      ['traceparent', TRACEPARENT],
      ['__proto__', 'x'],
    ]);
    assert.deepEqual(
      [first?.messageId, first?.rocketmq.brokerName, first?.rocketmq.tags],
      ['AC1A2B3C', 'broker-a', 'paid'],
    );
    assert.deepEqual(Buffer.from(second?.value ?? '', 'base64'), BINARY);
    assert.equal(second?.key, undefined);
    const parsed = KafkaSelfManagedEventSchema.parse(kafka);
    assert.equal(parsed.records['orders-broker-a-3']?.[0]?.value, '{"orderId":17}');
  });

  it('raw is Function Compute’s RawData: properties apart, the body as text', () => {
    const [first, second] = event('raw');
    assert.deepEqual(first?.systemProperties, {
      TAGS: 'paid',
      KEYS: 'order-17 c-3',
      UNIQ_KEY: 'AC1A2B3C',
    });
    assert.deepEqual(
      first?.userProperties,
      JSON.parse(`{"tenant":"äcme","traceparent":"${TRACEPARENT}","__proto__":"x"}`),
    );
    assert.deepEqual(
      [first?.topic, first?.body, first?.rocketmq.bodyEncoding],
      ['orders', '{"orderId":17}', 'utf8'],
    );
    assert.deepEqual(
      [second?.body, second?.rocketmq.bodyEncoding],
      [BINARY.toString('base64'), 'base64'],
    );
  });

  it('cloudevents are events of version 1.0 whose data is raw', () => {
    const cloud = event('cloudevents');
    const { data, ...attributes } = cloud[0] as RocketMQCloudEvent;
    assert.deepEqual(attributes, {
      specversion: '1.0',
      id: 'AC1A2B3C',
      source: 'arn:aws:sqs:eu-west-1:123456789012:rocketmq/prod/orders/order-worker',
      type: 'mq:Topic:SendMessage',
      subject: 'orders',
      time: '2023-11-14T22:13:20.000Z',
      datacontenttype: 'application/json; charset=utf-8',
      traceparent: TRACEPARENT,
    });
    assert.deepEqual(data, event('raw')[0] as RocketMQRawMessage);
    for (const name of Object.keys(attributes))
      assert.match(name, /^[a-z0-9]+$/, 'CloudEvents allows no other names');
  });

  it('takes any time of birth, which is the producer’s: cloudevents tell when it was stored, where that is no time of theirs', () => {
    for (const bornTimestamp of [
      -1,
      Number.MIN_SAFE_INTEGER,
      253_402_300_800_000,
      Number.MAX_SAFE_INTEGER,
    ])
      for (const format of EVENT_FORMATS) {
        const builder = new BatchBuilder(MAX_EVENT_BYTES, format);
        const record = buildRecord(messageAt(4711, { bornTimestamp }), CONTEXT);
        assert.equal(
          builder.add(record, () => record),
          'added',
          `${format} ${bornTimestamp}`,
        );
        if (format !== 'cloudevents') continue;
        const [made] = builder.finish(INFO).event() as EventOfFormat['cloudevents'];
        assert.equal(made?.time, new Date(record.rocketmq.storeTimestamp).toISOString());
      }
  });

  it('is counted in its own bytes', () => {
    for (const format of EVENT_FORMATS) {
      const builder = new BatchBuilder(MAX_EVENT_BYTES, format);
      let at = 0;
      const build = () => {
        const properties = { UNIQ_KEY: `id ${at}` };
        return buildRecord(
          messageAt(at, { body: Buffer.alloc(100_000, 'x'), properties }),
          CONTEXT,
        );
      };
      while (builder.add(build(), build) === 'added') at++;
      const bytes = Buffer.byteLength(builder.finish(INFO).json());
      assert.ok(
        bytes <= MAX_EVENT_BYTES + 1_024 && bytes > MAX_EVENT_BYTES - 140_000,
        `${format}: ${bytes} bytes in ${at} records`,
      );
    }
  });
});

describe('answers to events of format kafka', () => {
  const read = (itemIdentifier: unknown, format: EventFormatName = 'kafka') =>
    readAnswer({ batchItemFailures: [{ itemIdentifier, delaySeconds: 5 }] }, RECORDS, format);
  const failed = (identifier: unknown) => {
    const verdict = read(identifier);
    return verdict.kind === 'read' ? [...verdict.failures.keys()] : verdict.reason;
  };

  it('name records by the queue and the offset, as AWS’s documents and as tools write it', () => {
    assert.deepEqual(failed({ 'topic-partition': 'orders-broker-a-3', offset: 4712 }), [1]);
    assert.deepEqual(failed({ partition: 'orders-broker-a-3', offset: 4711 }), [0]);
    assert.deepEqual(failed({ 'topic-partition': 'orders-3', offset: '4712' }), [1]);
    assert.deepEqual(failed({ partition: 3, offset: 4712 }), [1]);
    assert.deepEqual(failed('AC1A2B3D'), [1]);
    assert.deepEqual(failed(RECORDS[0]?.receiptHandle), [0]);
  });

  it('that name none of the batch are invalid', () => {
    for (const identifier of [
      { 'topic-partition': 'orders-broker-b-3', offset: 4711 },
      { 'topic-partition': 'orders-broker-a-3', offset: 4713 },
      { partition: 2, offset: 4711 },
      { partition: 3, offset: null },
      { offset: 4711 },
      {},
      null,
      4711,
      ['orders-broker-a-3', 4711],
    ])
      assert.equal(read(identifier).kind, 'invalid', JSON.stringify(identifier));
  });

  it('mean nothing in other formats', () => {
    for (const format of ['sqs', 'raw', 'cloudevents'] as const)
      assert.equal(
        read({ 'topic-partition': 'orders-broker-a-3', offset: 4711 }, format).kind,
        'invalid',
      );
  });
});
