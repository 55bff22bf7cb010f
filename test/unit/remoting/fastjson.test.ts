import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtocolError } from '../../../src/errors.ts';
import {
  asArray,
  asInteger,
  asObject,
  asString,
  parseFastjson,
  stringifyJson,
} from '../../../src/remoting/fastjson.ts';

describe('parseFastjson', () => {
  it('reads plain JSON, from text and from bytes', () => {
    const text = '{"a":[1,-2.5,1e3,true,false,null,"x\\n\\u4e2d\\"",{}],"b":{"c":[]}}';
    assert.deepEqual(parseFastjson(text), JSON.parse(text));
    assert.deepEqual(parseFastjson(Buffer.from(text)), JSON.parse(text));
  });

  it('reads bare integer keys, as a name server before 4.9.4 and every cluster answer has them', () => {
    const text = '{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921",-1:"x"},"cluster":"c"}';
    assert.deepEqual(parseFastjson(text), {
      brokerAddrs: { 0: '127.0.0.1:10911', 1: '127.0.0.1:10921', '-1': 'x' },
      cluster: 'c',
    });
  });

  it('reads object keys into a Map', () => {
    const text =
      '{"offsetTable":{{"brokerName":"a","queueId":1,"topic":"T"}:{"offset":5},{"brokerName":"a","queueId":2,"topic":"T"}:{"offset":6}}}';
    const table = asObject(parseFastjson(text), 'answer').offsetTable;
    assert.ok(table instanceof Map);
    assert.deepEqual(
      [...table],
      [
        [{ brokerName: 'a', queueId: 1, topic: 'T' }, { offset: 5 }],
        [{ brokerName: 'a', queueId: 2, topic: 'T' }, { offset: 6 }],
      ],
    );
  });

  it('loses no key of a map that mixes objects and names', () => {
    assert.deepEqual(parseFastjson('{{"a":1}:2,"b":3}'), new Map<unknown, unknown>([[{ a: 1 }, 2], ['b', 3]]) as never); // biome-ignore format: one line
  });

  it('keeps integers exact beyond 2^53, and only those are bigint', () => {
    assert.deepEqual(
      parseFastjson(
        '[9007199254740991,9007199254740992,9223372036854775807,-9223372036854775808,1700000000000]',
      ),
      [
        9007199254740991,
        9007199254740992n,
        9223372036854775807n,
        -9223372036854775808n,
        1700000000000,
      ],
    );
    assert.equal(parseFastjson(' 9007199254740993'), 9007199254740993n);
    assert.deepEqual(parseFastjson('{"offset": 9007199254740993,"s":"9007199254740993"}'), {
      offset: 9007199254740993n,
      s: '9007199254740993',
    });
    assert.deepEqual(parseFastjson('{9007199254740993:1}'), { '9007199254740993': 1 });
  });

  it('reads fractions and exponents as numbers, also long ones', () => {
    assert.deepEqual(parseFastjson('[9007199254740993.5,9007199254740993e2,9007199254740993]'), [
      9007199254740994,
      900719925474099300,
      9007199254740993n,
    ]);
  });

  it('reads strings in single quotes, and every escape', () => {
    assert.deepEqual(parseFastjson(`{'a':'it\\'s "x"',"b":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u4e2d"}`), {
      a: 'it\'s "x"',
      b: '"\\/\b\f\n\r\t中',
    });
    assert.deepEqual(parseFastjson('{0:"\\"\\\\\\/\\b\\f\\n\\r\\t\\u4e2d 文🚀"}'), {
      0: '"\\/\b\f\n\r\t中 文🚀',
    });
  });

  it('keeps a field named __proto__ a field', () => {
    for (const text of ['{"__proto__":{"x":1}}', '{"__proto__":{"x":1},"b":9007199254740993}']) {
      const value = asObject(parseFastjson(text), 'value');
      assert.equal(Object.getPrototypeOf(value), Object.prototype);
      assert.equal(Object.keys(value)[0], '__proto__');
    }
  });

  it('bounds the depth, for JSON and for its dialect', () => {
    const nested = (depth: number, inner: string): string =>
      '['.repeat(depth) + inner + ']'.repeat(depth);
    assert.doesNotThrow(() => parseFastjson(nested(60, '1')));
    assert.doesNotThrow(() => parseFastjson(nested(60, '{0:1}')));
    assert.throws(() => parseFastjson(nested(70, '1')), {
      name: 'ProtocolError',
      message: /nesting deeper/,
    });
    assert.throws(() => parseFastjson(nested(70, '{0:1}')), {
      name: 'ProtocolError',
      message: /nesting deeper/,
    });
    assert.throws(() => parseFastjson('['.repeat(1_000_000)), ProtocolError);
    assert.throws(() => parseFastjson('{'.repeat(1_000_000)), ProtocolError);
    assert.deepEqual(parseFastjson(`["${'['.repeat(100)}\\"${'{'.repeat(100)}"]`), [
      `${'['.repeat(100)}"${'{'.repeat(100)}`,
    ]);
  });

  for (const text of [
    '',
    ' ',
    '{',
    '[1,',
    '{"a"}',
    '{a:1}',
    '{"a":1,}',
    '[1]2',
    '"abc',
    "'abc",
    '{0:"\\x"}',
    '{0:"\\u12"}',
    '-',
    '+1',
    'nul',
    'undefined',
    '{[1]:',
    '\u0000',
  ])
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseFastjson(text), ProtocolError));

  it('shows the place of the error', () => {
    assert.throws(() => parseFastjson('{0:"ok",1:what}'), {
      message: /no value at 10: \{0:"ok",1:what\}/,
    });
  });
});

describe('stringifyJson', () => {
  it('writes a bigint as the integer it is', () => {
    assert.equal(
      stringifyJson({ a: 9223372036854775807n, b: [1n, -2n], c: 'x', d: undefined }),
      '{"a":9223372036854775807,"b":[1,-2],"c":"x"}',
    );
  });
});

describe('the readers of values', () => {
  it('give what they are asked for', () => {
    assert.deepEqual(asObject({ a: 1 }, 'x'), { a: 1 });
    assert.deepEqual(asArray([1], 'x'), [1]);
    assert.deepEqual([asArray(null, 'x'), asArray(undefined, 'x')], [[], []]);
    assert.equal(asString('s', 'x'), 's');
    assert.equal(asInteger(-3, 'x'), -3);
  });

  it('name what is something else', () => {
    for (const value of [null, undefined, 1, 'x', [], new Map()])
      assert.throws(() => asObject(value as never, 'the route'), /the route is no JSON object/);
    assert.throws(() => asArray({}, 'the list'), /the list is no JSON array/);
    assert.throws(() => asString(1, 'the name'), /the name is no string/);
    for (const value of [1.5, '1', 1n, null])
      assert.throws(() => asInteger(value, 'the perm'), /the perm is no whole number/);
  });
});
