import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import type { Message } from '../../../src/model/message.ts';
import {
  BODY_PLACEHOLDER_PROPERTY,
  DROPPED_PROPERTIES_PROPERTY,
  deadLetterOf,
  EMPTY_BODY_PLACEHOLDER,
  fittingForm,
  loggedContent,
  undecodableMessage,
} from '../../../src/records/dead-letter-form.ts';
import { formatProperties } from '../../../src/records/properties.ts';

const ORIGIN = { topic: 'orders', messageId: 'ORIGIN' };
const message = (body: Buffer, properties: Record<string, string> = {}): Message => ({
  ...undecodableMessage(
    {
      queueId: 0,
      queueOffset: 7n,
      commitLogOffset: 7_000n,
      reconsumeTimes: 2,
      offsetMsgId: 'STORED',
      error: new Error('none'),
      stored: body,
    },
    { brokerName: 'broker-a', topic: 'orders' },
  ),
  properties: new Map(Object.entries(properties)),
});
const bytesOf = (properties: ReadonlyMap<string, string>) =>
  Buffer.byteLength(formatProperties(properties));

describe('a dead letter in a form that brokers take', () => {
  it('keeps body, own properties and origin when they fit; delays are over', () => {
    const letter = deadLetterOf(
      message(Buffer.from('body'), {
        own: 'x',
        UNIQ_KEY: 'U',
        DELAY: '3',
        TIMER_DELAY_MS: '77',
        TIMER_OUT_MS: '78',
      }),
      ORIGIN,
      5,
    );
    assert.deepEqual(Object.fromEntries(letter.properties), {
      own: 'x',
      UNIQ_KEY: 'U',
      RETRY_TOPIC: 'orders',
      DLQ_ORIGIN_TOPIC: 'orders',
      ORIGIN_MESSAGE_ID: 'ORIGIN',
      DLQ_ORIGIN_MESSAGE_ID: 'ORIGIN',
    });
    assert.deepEqual(
      [String(letter.body), letter.sysFlag, letter.reconsumeTimes],
      ['body', 0, 5],
      'all failed deliveries count',
    );
  });

  it('has a placeholder for an empty body, and says so', () => {
    const { body, properties } = fittingForm(Buffer.alloc(0), new Map());
    assert.deepEqual(body, EMPTY_BODY_PLACEHOLDER);
    assert.equal(properties.get(BODY_PLACEHOLDER_PROPERTY), 'true');
  });

  it('always fits, drops the user’s largest properties first and names them, whatever a producer wrote', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const value = fc.oneof(
      text,
      fc.integer({ min: 0, max: 33_000 }).map((length) => 'ü'.repeat(length)),
    );
    fc.assert(
      fc.property(fc.dictionary(text, value, { maxKeys: 30 }), (own) => {
        const { properties } = deadLetterOf(
          message(Buffer.from('x'), { ...own, UNIQ_KEY: 'U', TAGS: 'paid' }),
          ORIGIN,
          0,
        );
        assert.ok(bytesOf(properties) <= 30_000, String(bytesOf(properties)));
        assert.equal(properties.get('UNIQ_KEY'), 'U');
        assert.equal(properties.get('TAGS'), 'paid');
        assert.equal(properties.get('RETRY_TOPIC'), 'orders');
        assert.equal(properties.get('ORIGIN_MESSAGE_ID'), 'ORIGIN');
      }),
    );
    const { properties } = fittingForm(
      Buffer.from('x'),
      new Map([
        ['small', 's'],
        ['large', 'l'.repeat(20_000)],
        ['larger', 'l'.repeat(25_000)],
      ]),
    );
    assert.deepEqual(
      [[...properties.keys()], properties.get(DROPPED_PROPERTIES_PROPERTY)],
      [['small', 'large', DROPPED_PROPERTIES_PROPERTY], 'larger'],
    );
  });

  it('is compressed where its body was, or the broker’s limit would refuse it', () => {
    const body = Buffer.alloc(6 * 1024 * 1024, 'x');
    const letter = deadLetterOf(message(body), ORIGIN, 0);
    assert.equal(letter.sysFlag & 1, 1);
    assert.ok(letter.body.length < 1024 * 1024 && inflateSync(letter.body).equals(body));
  });
});

describe('the last log line of a message', () => {
  it('has it whole when it is small', () => {
    assert.deepEqual(loggedContent(Buffer.from('body'), new Map([['own', 'x']])), {
      bodyBase64: 'Ym9keQ==',
      bodyBytes: 4,
      properties: { own: 'x' },
      cut: false,
    });
  });

  it('is bounded and says what is missing, for any message', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200_000 }),
        fc.array(fc.integer({ min: 0, max: 33_000 }), { maxLength: 5 }),
        (size, lengths) => {
          const properties = new Map(lengths.map((length, n) => [`p${n}`, 'y'.repeat(length)]));
          const content = loggedContent(Buffer.alloc(size, 1), properties);
          assert.ok(JSON.stringify(content).length < 100_000);
          const whole =
            Buffer.from(content.bodyBase64, 'base64').length === size &&
            Object.keys(content.properties).length === properties.size;
          assert.equal(content.cut, !whole);
          if (size + bytesOf(properties) <= 60_000) assert.equal(content.cut, false);
        },
      ),
    );
  });
});
