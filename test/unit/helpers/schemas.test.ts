import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KafkaSelfManagedEventSchema } from '@aws-lambda-powertools/parser/schemas/kafka';
import fc from 'fast-check';
import { PullConsumer } from '../../../src/consumer/index.ts';
import { BatchBuilder } from '../../../src/delivery/batch.ts';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { RocketMQEventSchema } from '../../../src/helpers/schemas.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import type { RecordFields } from '../../../src/records/encode-record.ts';
import { Property } from '../../../src/records/properties.ts';
import { messageAt } from '../../support/records.ts';

const int32 = fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 31), -1, 0, 2 ** 31 - 1));
/** What a field of 64 bits can have, as a number. */
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(Number),
  fc.constantFrom(-(2 ** 60), -1, 0, 2 ** 62),
);
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const name = fc.oneof(fc.constantFrom(...Object.values(Property), '__proto__'), text);

/** What a producer and a broker can write. */
const fields: fc.Arbitrary<Partial<RecordFields>> = fc.record({
  queueId: fc.nat(2 ** 31 - 1),
  flag: int32,
  reconsumeTimes: int32,
  // 2 ** 63 itself does not fit.
  bornTimestamp: int64.filter((value) => value < 2 ** 63),
  storeTimestamp: int64.filter((value) => value < 2 ** 63),
  body: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  properties: fc.dictionary(name, text),
});
const context = fc.record({
  now: int64,
  localRetries: fc.nat(100),
  maxReconsumeTimes: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
});
const CONTEXT = {
  ...{ cluster: 'default', consumerGroup: 'g', topic: 'orders' },
  ...{ region: 'eu-west-1', accountId: '123456789012' },
};

describe('what is made of any stored record', () => {
  test('passes the schemas of its event', () => {
    fc.assert(
      fc.property(fields, context, int64, (record, own, lag) => {
        const built = () => buildRecord(messageAt(17, record), { ...CONTEXT, ...own });
        const event = (format: 'sqs' | 'kafka'): unknown => {
          const builder = new BatchBuilder(undefined, format);
          assert.equal(builder.add(built(), built), 'added');
          const info = { batchId: 'b', attempt: 1, minOffset: '17', maxOffset: '17', lag };
          return JSON.parse(builder.finish({ ...info, deadline: 1 }).json());
        };
        RocketMQEventSchema.parse(event('sqs'));
        KafkaSelfManagedEventSchema.parse(event('kafka'));
      }),
    );
  });

  test('is taken back by the PullConsumer that gave it', async () => {
    let given = 0;
    const count = async (): Promise<void> => void given++;
    const client = { sendBack: count, sendBackAsNormalMessage: count } as unknown as RocketMQ;
    const consumer = new PullConsumer(
      { consumerGroup: 'g', nameServers: 'ns:9876' },
      { client, random: () => 0 },
    );
    await fc.assert(
      fc.asyncProperty(fields, async (record) => {
        const message = messageAt(17, record);
        assert.ok(consumer.topicOf(message) !== '');
        const before = given;
        await consumer.sendBack(message);
        assert.equal(given, before + 1);
      }),
    );
  });
});
