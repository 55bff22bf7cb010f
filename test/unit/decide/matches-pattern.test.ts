import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Filterable,
  MAX_FILTERED_JSON_BYTES,
  matchesAny,
} from '../../../src/decide/filter/matches-pattern.ts';
import type { FilterPattern, PatternRule } from '../../../src/model/filter-pattern.ts';

const order = {
  state: 'paid',
  amount: 250,
  vip: true,
  note: null,
  empty: '',
  lines: [{ sku: 'a-1' }, { sku: 'b-2' }],
  codes: [7, 9],
  buyer: { city: 'Berlin' },
};
const message = (settings: Partial<Filterable> = {}): Filterable => ({
  body: JSON.stringify(order),
  bodyBytes: 0,
  tags: 'paid',
  keys: ['order-17', 'buyer-3'],
  properties: { tenant: 'acme', retries: '3' },
  ...settings,
});
const matches = (pattern: FilterPattern, settings: Partial<Filterable> = {}) =>
  matchesAny([pattern], message(settings));

/** The rows of Lambda's table of comparison operators, and what follows from them. */
const ROWS: readonly (readonly [string, FilterPattern, boolean])[] = [
  ['null', { body: { note: [null] } }, true],
  ['null is not absence', { body: { missing: [null] } }, false],
  ['empty', { body: { empty: [''] } }, true],
  ['equals', { body: { state: ['paid'] } }, true],
  ['equals another', { body: { state: ['open'] } }, false],
  ['equals, upper case', { body: { state: ['PAID'] } }, false],
  ['equals, ignoring case', { body: { state: [{ 'equals-ignore-case': 'PAID' }] } }, true],
  ['a number is not its text', { body: { amount: ['250'] } }, false],
  ['true', { body: { vip: [true] } }, true],
  ['and', { body: { state: ['paid'], amount: [250] } }, true],
  ['and, one of them not', { body: { state: ['paid'], amount: [251] } }, false],
  ['or, of one field', { body: { state: ['open', 'paid'] } }, true],
  ['or, of several fields', { body: { $or: [{ state: ['open'] }, { amount: [250] }] } }, true],
  ['or, none', { body: { $or: [{ state: ['open'] }, { amount: [1] }] } }, false],
  ['or over the parts of a message', { $or: [{ tags: ['open'] }, { keys: ['order-17'] }] }, true],
  ['not', { body: { state: [{ 'anything-but': ['open', 'new'] }] } }, true],
  ['not, and it is', { body: { state: [{ 'anything-but': 'paid' }] } }, false],
  [
    'not, for a field that is not there',
    { body: { missing: [{ 'anything-but': 'paid' }] } },
    false,
  ],
  ['not with a prefix', { body: { state: [{ 'anything-but': { prefix: 'pa' } }] } }, false],
  ['not with a suffix', { body: { state: [{ 'anything-but': { suffix: 'x' } }] } }, true],
  ['numeric, equals', { body: { amount: [{ numeric: ['=', 250] }] } }, true],
  ['numeric, range', { body: { amount: [{ numeric: ['>', 100, '<=', 250] }] } }, true],
  ['numeric, below', { body: { amount: [{ numeric: ['<', 250] }] } }, false],
  ['numeric, at least', { body: { amount: [{ numeric: ['>=', 250.5] }] } }, false],
  ['numeric, of a text', { properties: { retries: [{ numeric: ['>', 1] }] } }, false],
  ['exists', { body: { state: [{ exists: true }] } }, true],
  ['exists, not there', { body: { missing: [{ exists: true }] } }, false],
  ['does not exist', { body: { missing: [{ exists: false }] } }, true],
  [
    'does not exist, below a part that is not there',
    { body: { missing: { part: [{ exists: false }] } } },
    true,
  ],
  ['exists with null', { body: { note: [{ exists: true }] } }, true],
  ['begins with', { body: { state: [{ prefix: 'pa' }] } }, true],
  ['ends with', { body: { state: [{ suffix: 'id' }] } }, true],
  ['begins with, of a number', { body: { amount: [{ prefix: '2' }] } }, false],
  ['a part of a part', { body: { buyer: { city: ['Berlin'] } } }, true],
  ['a list has it', { body: { codes: [9] } }, true],
  ['a list has it not', { body: { codes: [8] } }, false],
  ['a list of objects has it', { body: { lines: { sku: [{ prefix: 'b-' }] } } }, true],
  ['tags', { tags: ['paid', 'refunded'] }, true],
  ['keys', { keys: [{ prefix: 'buyer-' }] }, true],
  ['properties', { properties: { tenant: ['acme'] } }, true],
  ['what every object inherits is no field', { body: { constructor: [{ exists: true }] } }, false],
];

describe('filterPatterns', () => {
  for (const [name, pattern, expected] of ROWS)
    test(name, () => assert.equal(matches(pattern), expected));

  test('a message matches when one of them does', () => {
    assert.equal(matchesAny([{ tags: ['open'] }, { body: { amount: [250] } }], message()), true);
    assert.equal(matchesAny([{ tags: ['open'] }, { body: { amount: [251] } }], message()), false);
  });

  const kinds = {
    text: 'paid',
    'a number': '17',
    'a text in quotes': '"paid"',
    empty: '',
    'half JSON': '{"state":',
    object: '{"state":"paid"}',
    list: ' [{"state":"paid"}]',
    binary: undefined,
  };
  const isJson = (kind: string) => kind === 'object' || kind === 'list';
  for (const [kind, body] of Object.entries(kinds))
    test(`fields are for a body that is JSON, rules for one that is text: ${kind}`, () => {
      const about = (pattern: FilterPattern) => matches(pattern, { body });
      assert.equal(about({ body: { state: ['paid'] } }), isJson(kind));
      assert.equal(about({ body: { missing: [{ exists: false }] } }), isJson(kind));
      assert.equal(about({ body: { a: { b: { c: [{ exists: false }] } } } }), isJson(kind));
      const isText = !isJson(kind) && body !== undefined;
      assert.equal(about({ body: [{ exists: true }] }), isText);
      assert.equal(about({ body: [{ 'anything-but': 'open' }] }), isText);
      assert.equal(about({ body: [body ?? ''] }), isText);
      assert.equal(about({ tags: ['paid'] }), true, 'nothing is asked about the body');
      assert.equal(about({ $or: [{ body: { state: ['x'] } }, { tags: ['paid'] }] }), true);
    });

  test('numbers that no double is equal to are no numbers for rules', () => {
    const about = (rule: PatternRule, amount: string) =>
      matches({ body: { amount: [rule] } }, { body: `{"amount":${amount}}` });
    for (const amount of [
      '9007199254740993',
      '0.30000000000000001',
      '1e400',
      '-12345678901234567890.5',
    ]) {
      assert.equal(about({ numeric: ['>', -1e300] }, amount), false, amount);
      assert.equal(about({ exists: true }, amount), true);
      assert.equal(about({ 'anything-but': [5] }, amount), true);
    }
    for (const amount of ['9007199254740992', '0.1', '1.5000000000000000000', '5e300', '250.00'])
      assert.equal(about({ numeric: ['>', 0] }, amount), true, amount);
    assert.equal(about(250, '2.500000000000000000e2'), true);
  });

  test('a number of a million digits is read at once', () => {
    const digits = `1${'0'.repeat(1_000_000)}1`;
    for (const amount of [digits, `0.${digits}`, `${digits}e-5`])
      assert.equal(matches({ body: { amount: [5] } }, { body: `{"amount":${amount}}` }), false);
  });

  test('what a pattern asks for in lists of lists takes no longer than reading them', () => {
    const element = '{"b":[{"c":2},{"c":3}],"c":[1,2]}';
    const body = `{"a":[${Array.from({ length: 30_000 }, () => element).join()}]}`;
    assert.equal(matches({ body: { a: { b: { c: [9] }, c: [9] } } }, { body }), false);
    assert.equal(matches({ body: { a: { b: { c: [3] }, c: [2] } } }, { body }), true);
  });

  test('a body that is no JSON matches no fields, and rules as text', () => {
    assert.equal(matches({ body: { state: ['paid'] } }, { body: 'paid' }), false);
    assert.equal(matches({ body: { state: ['paid'] } }, { body: '{"state":' }), false);
    assert.equal(matches({ body: ['paid'] }, { body: 'paid' }), true);
    assert.equal(matches({ body: [{ prefix: 'pa' }] }, { body: 'paid' }), true);
    assert.equal(matches({ body: { state: ['paid'] } }, { body: '17' }), false);
  });

  test('no tag and no keys are absent', () => {
    assert.equal(matches({ tags: [{ exists: false }] }, { tags: undefined }), true);
    assert.equal(matches({ keys: [{ exists: false }] }, { keys: [] }), true);
    assert.equal(matches({ keys: [{ exists: true }] }, { keys: [] }), false);
  });

  test('the body is parsed once, and not at all when nothing asks for it', () => {
    let reads = 0;
    const watched: Filterable = {
      ...message(),
      get body() {
        reads++;
        return JSON.stringify(order);
      },
    };
    matchesAny([{ tags: ['open'] }], watched);
    assert.equal(reads, 0);
    matchesAny(
      [{ body: { state: ['x'] } }, { body: { amount: [1] } }, { body: { vip: [true] } }],
      watched,
    );
    assert.equal(reads, 1);
  });
});

describe('a body that is nested deeper than a stack', () => {
  for (const depth of [3_000, 100_000])
    test(`${depth} lists`, () => {
      const nested = (inner: string) => '['.repeat(depth) + inner + ']'.repeat(depth);
      const pattern: FilterPattern = { body: { state: ['paid'] } };
      assert.equal(matches(pattern, { body: nested('') }), false);
      assert.equal(matches(pattern, { body: nested('{"state":"open"},[{"state":"paid"}]') }), true);
      const below: FilterPattern = { body: { order: { state: ['paid'] } } };
      assert.equal(matches(below, { body: `{"order":${nested('{"state":"paid"}')}}` }), true);
      assert.equal(
        matches({ body: { order: ['paid'] } }, { body: `{"order":${nested('')}}` }),
        false,
      );
    });

  test('100000 objects', () => {
    const depth = 100_000;
    const body = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    assert.equal(matches({ body: { a: { a: { b: [1] } } } }, { body }), false);
    assert.equal(matches({ body: { a: { a: { b: [{ exists: false }] } } } }, { body }), true);
  });

  test('a list of 500000 elements', () => {
    const body = `[${'0,'.repeat(500_000)}{"state":"paid"}]`;
    assert.equal(matches({ body: { state: ['paid'] } }, { body }), true);
  });
});

test('a body over the limit is as one that is no JSON, and is not read for fields', () => {
  const tooLarge = { bodyBytes: MAX_FILTERED_JSON_BYTES + 1 };
  for (const pattern of [
    { body: { state: ['paid'] } },
    { body: { missing: [{ exists: false }] } },
    { $or: [{ body: { state: ['paid'] } }, { tags: ['open'] }] },
    { tags: ['paid'] },
    { body: [{ prefix: '{' }] },
  ] as const)
    assert.equal(
      matches(pattern as FilterPattern, tooLarge),
      matches(pattern as FilterPattern, { body: '{ no JSON' }),
    );
  const atLimit = { bodyBytes: MAX_FILTERED_JSON_BYTES };
  assert.equal(matches({ body: { state: ['paid'] } }, atLimit), true);
  assert.equal(matches({ body: { state: ['paid'] } }, tooLarge), false);
});
