import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  deduplicationId,
  digestKey,
  dimensionValue,
  messageGroupId,
  objectKey,
} from '../../../src/model/aws-names.ts';

/** What producers may write. */
const HOSTILE = [
  '',
  ' ',
  '.',
  '..',
  '/../../other-tenant/x',
  'a/b',
  'a\\b',
  'a b',
  'line\nline',
  '\u0000\u001b]52;c;x\u0007',
  '\u202e\u2028',
  'ß🚀',
  '\ud800',
  '\ud801',
  'a!b',
  'a~b',
  'x'.repeat(129),
  'x'.repeat(40_000),
  '__proto__',
];
const texts = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 140 }),
);

describe('names of AWS that are made of texts', () => {
  test('keys of S3: the safe characters, no segment of dots, at most 1,024 bytes', () => {
    fc.assert(
      fc.property(texts, texts, texts, texts, (cluster, topic, id, broker) => {
        const key = objectKey('p'.repeat(400), [
          ...[cluster, topic],
          [id, { hyphened: broker }, '7.json'],
        ]);
        assert.match(key, /^[\w.!-]+(\/[\w.!-]+){3}$/);
        assert.ok(Buffer.byteLength(key) <= 1024);
        for (const part of key.split('/')) assert.doesNotMatch(part, /^\.+$/);
      }),
    );
    for (const text of HOSTILE)
      assert.match(digestKey('p', ['t'], text, 'ab12'), /^p\/t\/[\w.-]{0,128}-ab12$/);
    assert.equal(
      objectKey('rocketmq', ['default', ['AC1A2B3C', { hyphened: 'broker-a' }, '7.json']]),
      'rocketmq/default/AC1A2B3C-broker-a-7.json',
    );
  });

  test('keys of S3: hyphens within texts that hyphens join make no two keys one', () => {
    const key = (...[id = '', broker = '', ...others]: string[]) =>
      objectKey('p', [[id, { hyphened: broker }, ...others]]);
    const plain = (...names: string[]) => objectKey('p', [names]);
    assert.notEqual(plain('a-b', 'c'), plain('a', 'b-c'));
    const both = (one: string, other: string) =>
      objectKey('p', [[{ hyphened: one }, { hyphened: other }]]);
    assert.notEqual(both('a-b', 'c'), both('a', 'b-c'));
    for (const [one, other] of [
      [
        ['a-b', 'c'],
        ['a', 'b-c'],
      ],
      [
        ['a-b', 'c', '7'],
        ['a', 'b-c', '7'],
      ],
      [
        ['a', 'b', 'c-d'],
        ['a', 'b-c', 'd'],
      ],
      [
        ['a', 'b-7', '1', '2.json'],
        ['a', 'b', '7', '1-2.json'],
      ],
      [
        ['', 'b-c'],
        ['-b', 'c'],
      ],
    ] as const)
      assert.notEqual(key(...one), key(...other));
    // Ids of clients have no hyphens, names of brokers do.
    assert.equal(key('AC1A2B3C', 'broker-a', '0', '7.json'), 'p/AC1A2B3C-broker-a-0-7.json');
    assert.equal(
      objectKey('p', [
        { time: '2026-01-02T03.04.05.006Z', names: ['AC1A', { hyphened: 'broker-a' }, '0'] },
      ]),
      'p/2026-01-02T03.04.05.006Z-AC1A-broker-a-0',
    );
    const hyphened = fc.array(fc.constantFrom('-', 'a', 'b', '!', '_'), { maxLength: 4 });
    const lists = fc.array(
      hyphened.map((letters) => letters.join('')),
      { minLength: 3, maxLength: 3 },
    );
    fc.assert(
      fc.property(lists, lists, (one, other) => {
        assert.equal(key(...one) === key(...other), one.join('|') === other.join('|'));
      }),
      { seed: 11, numRuns: 5_000 },
    );
  });

  test('message groups of SQS: 1 to 128 letters, digits and punctuation marks', () => {
    fc.assert(
      fc.property(texts, (text) => {
        assert.match(messageGroupId(text), /^[!-~]{1,128}$/);
      }),
    );
    for (const plain of ['order-17', 'orders/broker-a/0', 'a:b@c', 'x'.repeat(128)])
      assert.equal(messageGroupId(plain), plain);
  });

  test('deduplication ids of SQS, whatever they are made of', () => {
    const ids = HOSTILE.flatMap((text) => [
      deduplicationId([text, 'x']),
      deduplicationId(['x', text]),
    ]);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(id, /^[0-9a-f]{64}$/);
  });

  test('dimensions of CloudWatch: 1 to 1,024 printable ASCII characters, and the same when cleaned again', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const value = dimensionValue(text);
        assert.match(value, /^(?=.*\S)[ -~]{1,1024}$/);
        assert.equal(dimensionValue(value), value);
      }),
    );
    assert.equal(dimensionValue('shop-dev/workers'), 'shop-dev/workers');
  });

  test('two texts never have one name, also where one was chosen for the name of the other', () => {
    const partOf = (text: string) => objectKey('p', [text]);
    for (const nameOf of [messageGroupId, partOf] as readonly ((text: string) => string)[]) {
      const names = new Map(HOSTILE.map((text) => [nameOf(text), text]));
      assert.equal(names.size, HOSTILE.length);
      for (const text of HOSTILE) {
        const name = nameOf(text).replace(/^p\//, '');
        if (name !== text) assert.notEqual(nameOf(name), nameOf(text));
      }
      fc.assert(
        fc.property(texts, texts, (one, other) => {
          if (one !== other) assert.notEqual(nameOf(one), nameOf(other));
        }),
      );
    }
  });
});
