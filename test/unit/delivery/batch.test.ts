import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BatchBuilder, MAX_EVENT_BYTES } from '../../../src/delivery/batch.ts';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../../src/model/event.ts';
import { messageAt } from '../../support/records.ts';

const LAMBDA_LIMIT = 6_291_556;
const CONTEXT = {
  cluster: 'default',
  consumerGroup: 'workers',
  topic: 'orders',
  region: 'eu-west-1',
  accountId: '123456789012',
  maxReconsumeTimes: 16,
  localRetries: 0,
  now: 0,
};
const INFO: RocketMQEvent['rocketmqBatch'] = {
  batchId: '0'.repeat(36),
  attempt: 1_000,
  minOffset: String(2n ** 63n - 1n),
  maxOffset: String(2n ** 63n - 1n),
  lag: Number.MAX_SAFE_INTEGER,
  deadline: 9_999_999_999_999,
};
const recordOf = (body: Buffer, at = 0) =>
  buildRecord(messageAt(at, { body, properties: { UNIQ_KEY: `id ${at}` } }), CONTEXT);

const add = (builder: BatchBuilder, record: RocketMQRecord) => builder.add(record, () => record);

describe('BatchBuilder', () => {
  it('cuts by the real bytes of the event, envelope and escapes included', () => {
    for (const letter of ['x', '"', '\u0001', 'ü', '🚀', '\u2028']) {
      const builder = new BatchBuilder(MAX_EVENT_BYTES);
      const body = Buffer.from(letter.repeat(100_000));
      let at = 0;
      while (add(builder, recordOf(body, at)) === 'added') at++;
      assert.ok(at > 1, 'several fit');
      const json = builder.finish(INFO).json();
      assert.ok(
        Buffer.byteLength(json) <= LAMBDA_LIMIT,
        `${JSON.stringify(letter)}: ${Buffer.byteLength(json)} bytes`,
      );
      assert.ok(
        Buffer.byteLength(json) + Buffer.byteLength(JSON.stringify(recordOf(body, at))) >
          MAX_EVENT_BYTES,
        'no more would have fitted',
      );
      const event = JSON.parse(json) as RocketMQEvent;
      assert.equal(event.Records.length, at);
      assert.deepEqual(event.rocketmqBatch, INFO);
    }
  });

  it('JSON text and object are the same event', () => {
    const builder = new BatchBuilder(MAX_EVENT_BYTES);
    for (let at = 0; at < 3; at++) add(builder, recordOf(Buffer.from(`body "${at}"`), at));
    const payload = builder.finish(INFO);
    assert.deepEqual(JSON.parse(payload.json()), JSON.parse(JSON.stringify(payload.event())));
  });

  it('no two records of an event have an identifier in common', () => {
    const record = (at: number, topic: string, UNIQ_KEY: string) =>
      buildRecord(messageAt(at, { topic, properties: { UNIQ_KEY } }), CONTEXT);
    for (const format of ['sqs', 'kafka', 'cloudevents', 'raw'] as const) {
      const builder = new BatchBuilder(undefined, format);
      assert.equal(add(builder, record(1, 'orders', 'A')), 'added');
      assert.equal(add(builder, record(2, 'orders', 'A')), 'same-id');
      // A popped retry beside an ordinary message.
      const other = add(builder, record(1, '%RETRY%workers_orders', 'B'));
      assert.equal(other, format === 'kafka' ? 'same-id' : 'added');
    }
  });

  it('a single message that no event can carry is told apart from a full event', () => {
    const builder = new BatchBuilder(MAX_EVENT_BYTES);
    const huge = recordOf(Buffer.from('\n'.repeat(3_500_000)));
    assert.equal(add(builder, huge), 'too-large');
    assert.equal(add(builder, recordOf(Buffer.alloc(4_000_000, 'x'))), 'added');
    assert.equal(add(builder, recordOf(Buffer.alloc(4_000_000, 'x'), 1)), 'full');
    assert.equal(add(builder, recordOf(Buffer.from('\n'.repeat(3_500_000)), 2)), 'too-large');
    assert.equal(builder.items.length, 1);
  });

  it('does not make JSON of a record whose body no event can carry', () => {
    const body = 'x'.repeat(MAX_EVENT_BYTES + 1);
    const toJSON = () => assert.fail('no JSON is made');
    const huge = { ...recordOf(Buffer.from('x')), body, toJSON };
    assert.equal(add(new BatchBuilder(MAX_EVENT_BYTES), huge), 'too-large');
  });

  it('a handler in this process is concerned by no payload limit', () => {
    const builder = new BatchBuilder(undefined);
    for (let at = 0; at < 3; at++)
      assert.equal(add(builder, recordOf(Buffer.from('\n'.repeat(3_500_000)), at)), 'added');
    assert.equal((builder.finish(INFO).event() as RocketMQEvent).Records.length, 3);
  });
});
