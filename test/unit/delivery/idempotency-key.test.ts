import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { idempotencyKeyOf } from '../../../src/delivery/idempotency-key.ts';
import { withPointer } from '../../../src/delivery/offload-body.ts';
import { retryTopic } from '../../../src/model/message-queue.ts';
import { RECORD_CONTEXT as CONTEXT, messageAt } from '../../support/records.ts';

const CONTENT = { UNIQ_KEY: 'ID-1', TAGS: 'paid', KEYS: 'k', __SHARDINGKEY: 's', tenant: 'acme' };

function keyOf(properties: Record<string, string>, more = {}, context = {}): string {
  const message = messageAt(4, { properties, ...more });
  return buildRecord(message, { ...CONTEXT, ...context }).rocketmq.idempotencyKey;
}

describe('idempotencyKey', () => {
  const key = keyOf(CONTENT);

  it('is the same at each delivery, whatever the way back adds', () => {
    const added = {
      RETRY_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: '0A00031200002A9F00000000000004D2',
      '1ST_POP_TIME': '1700000000000',
      POP_CK: '0 1 2',
      ORIGIN_GROUP: 'order-worker',
      REAL_TOPIC: 'rmq_sys_wheel_timer',
      TIMER_OUT_MS: '1700000000000',
      TIMER_ROLL_TIMES: '1',
      TIMER_ROLL_LABEL: 'x',
      SERVERLESS_FIRST_STORED_MS: '1700000000000',
      DELAY: '3',
      WAIT: 'true',
      CLUSTER: 'DefaultCluster',
      MSG_REGION: 'DefaultRegion',
      TRACE_ON: 'true',
    };
    const reversed = Object.fromEntries(Object.entries({ ...CONTENT, ...added }).reverse());
    const again = { topic: retryTopic('order-worker'), reconsumeTimes: 3, commitLogOffset: 9n };
    assert.equal(keyOf(reversed, again), key);
    assert.equal(keyOf({ ...CONTENT, ...added }, {}, { mode: 'pop', now: 1 }), key);
    assert.match(key, /^[\w-]{43}$/);
  });

  it('is of the whole body, also where the record has a pointer', () => {
    const record = buildRecord(messageAt(4, { properties: CONTENT }), CONTEXT);
    const pointing = withPointer(record, { bucket: 'b', key: 'k' });
    assert.equal(pointing.rocketmq.idempotencyKey, key);
  });

  it('is another one for anything that a handler reads and a producer says', () => {
    const keys = [
      key,
      ...Object.keys(CONTENT).map((name) => keyOf({ ...CONTENT, [name]: 'other' })),
      ...Object.keys(CONTENT).map((name) =>
        keyOf(Object.fromEntries(Object.entries(CONTENT).filter(([own]) => own !== name))),
      ),
      keyOf({ ...CONTENT, more: 'x' }),
      keyOf(CONTENT, { body: Buffer.from('other') }),
      keyOf(CONTENT, { body: Buffer.alloc(0) }),
      keyOf(CONTENT, { flag: 1 }),
      keyOf(CONTENT, {}, { consumerGroup: 'mailer' }),
      keyOf(CONTENT, {}, { topic: 'returns' }),
      keyOf(CONTENT, {}, { cluster: 'test' }),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });

  it('tells bytes from their base64 as text', () => {
    const bytes = Buffer.from([0xff, 0xfe]);
    const text = Buffer.from(bytes.toString('base64'));
    const records = [bytes, text].map((body) =>
      buildRecord(messageAt(4, { properties: CONTENT, body }), CONTEXT),
    );
    assert.equal(records[0]?.body, records[1]?.body);
    assert.equal(new Set(records.map(({ rocketmq }) => rocketmq.idempotencyKey)).size, 2);
  });

  it('no text of one field reaches into another', () => {
    const of = (msgId: string, properties: [string, string][], body: string): string =>
      idempotencyKeyOf(
        { msgId, flag: 0, properties: new Map(properties), body: Buffer.from(body) },
        CONTEXT,
      );
    const keys = [
      of('a', [['b', 'c']], 'd'),
      of('a', [], '[["b","c"]]]d'),
      of('a","b', [], 'd'),
      of('a', [['b","c', 'd']], ''),
      of('a', [['b', 'c","d']], ''),
    ];
    assert.equal(new Set(keys).size, keys.length);
  });
});
