import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtocolError } from '../../../src/errors.ts';
import { formatAddress, formatHost, parseAddress } from '../../../src/records/host.ts';
import { createUniqKeys, offsetMsgId, parseOffsetMsgId } from '../../../src/records/message-id.ts';
import {
  formatProperties,
  hasSeparator,
  isSystemProperty,
  otherUniqKey,
  parseProperties,
} from '../../../src/records/properties.ts';

describe('parseProperties', () => {
  const parse = (text: string): Record<string, string> => Object.fromEntries(parseProperties(text));

  it('reads names and values, the last separator or not', () => {
    assert.deepEqual(parse('k\u0001v\u0002TAGS\u0001TagA\u0002'), { k: 'v', TAGS: 'TagA' });
    assert.deepEqual(parse('k\u0001v\u0002TAGS\u0001TagA'), { k: 'v', TAGS: 'TagA' });
    assert.deepEqual(parse(''), {});
  });

  it('passes over what Java passes over', () => {
    assert.deepEqual(
      parse('\u0001v\u0002k\u0001\u0002ab\u0002longer without\u0002x\u0001y\u0002'),
      { x: 'y' },
    );
    assert.deepEqual(parse('a\u0001b\u0001c\u0002'), { a: 'b\u0001c' });
    assert.deepEqual(parse('\u0002\u0002k\u0001v'), { k: 'v' });
  });

  it('lets later ones win', () =>
    assert.deepEqual(parse('k\u00011\u0002k\u00012\u0002'), { k: '2' }));

  it('takes the first UNIQ_KEY: brokers 5.0 to 5.4 store that of a Java batch behind it', () => {
    const text = 'UNIQ_KEY\u0001own\u0002k\u0001v\u0002UNIQ_KEY\u0001batch\u0002';
    assert.deepEqual(parse(text), { UNIQ_KEY: 'own', k: 'v' });
    assert.equal(otherUniqKey(text), 'batch');
    for (const one of [
      '',
      'k\u0001v',
      'UNIQ_KEY\u0001own',
      'UNIQ_KEY\u0001a\u0002UNIQ_KEY\u0001a',
      'UNIQ_KEY\u0001\u0002UNIQ_KEY\u0001a',
    ])
      assert.equal(otherUniqKey(one), undefined, one);
  });

  it('takes linear time for text without separators between names and values', () => {
    const start = process.hrtime.bigint();
    assert.equal(parseProperties('abc\u0002'.repeat(250_000)).size, 0);
    assert.ok(
      Number(process.hrtime.bigint() - start) < 1e9,
      'a million characters took over a second',
    );
  });
});

describe('formatProperties', () => {
  it('writes maps and records, and leaves out empty values', () => {
    const text = 'k\u0001v\u0002TAGS\u0001a b\u0002';
    assert.equal(formatProperties({ k: 'v', empty: '', TAGS: 'a b' }), text);
    assert.equal(formatProperties(new Map([['k', 'v'], ['TAGS', 'a b']])), text); // biome-ignore format: one line
    assert.equal(formatProperties({}), '');
  });

  it('has a check for texts that would break it', () => {
    assert.deepEqual(['a', 'a\u0001', '\u0002a', ''].map(hasSeparator), [false, true, true, false]);
  });
});

describe('isSystemProperty', () => {
  it('knows Java’s names', () => {
    assert.deepEqual(
      ['TAGS', 'UNIQ_KEY', 'PGROUP', '__SHARDINGKEY', 'tenant', 'tags'].map(isSystemProperty),
      [true, true, true, true, false, false],
    );
  });
});

describe('message ids', () => {
  it('go there and back', () => {
    const v4 = { storeHost: { address: '127.0.0.1', port: 10911 }, commitLogOffset: 456789n };
    assert.equal(offsetMsgId(v4.storeHost, v4.commitLogOffset), '7F00000100002A9F000000000006F855');
    assert.deepEqual(parseOffsetMsgId('7F00000100002A9F000000000006F855'), v4);
    const v6 = {
      storeHost: { address: '2001:db8:0:0:0:0:c5b7:1', port: 10911 },
      commitLogOffset: 0x6d947b94c2cn,
    };
    assert.equal(
      offsetMsgId(v6.storeHost, v6.commitLogOffset),
      '20010DB80000000000000000C5B7000100002A9F000006D947B94C2C',
    );
    assert.deepEqual(
      parseOffsetMsgId(offsetMsgId(v6.storeHost, v6.commitLogOffset).toLowerCase()),
      v6,
    );
  });

  it('are refused when they are no ids', () => {
    for (const id of ['', '7F', 'x'.repeat(32), 'AC1A2B3C'.repeat(5)])
      assert.throws(() => parseOffsetMsgId(id), ProtocolError);
  });
});

describe('createUniqKeys', () => {
  const source = {
    address: '172.26.43.60',
    pid: 0x1_2345,
    random: 0xdeadbeef,
    now: () => Date.UTC(2026, 10, 1) + 0x1234,
  };

  it('makes 32 characters: address, pid, random, time in the month, counter', () => {
    const next = createUniqKeys(source);
    assert.equal(next(), 'AC1A2B3C2345DEADBEEF000012340000');
    assert.equal(next(), 'AC1A2B3C2345DEADBEEF000012340001');
  });

  it('makes 56 from an IPv6 address', () => {
    assert.match(
      createUniqKeys({ ...source, address: '2001:db8::1' })(),
      /^20010DB80000000000000000000000012345DEADBEEF000012340000$/,
    );
  });

  it('counts for itself and repeats nothing within 65,536 keys', () => {
    const [one, two] = [createUniqKeys(source), createUniqKeys({ ...source, random: 1 })];
    const keys = new Set(Array.from({ length: 65_536 }, one));
    assert.equal(keys.size, 65_536);
    assert.ok(!keys.has(two()));
  });

  it('holds the last day of a long month', () => {
    assert.equal(
      createUniqKeys({ ...source, now: () => Date.UTC(2026, 9, 31, 23, 59, 59, 999) })().length,
      32,
    );
  });
});

describe('hosts', () => {
  it('are read in every spelling and printed as Java prints them', () => {
    const spellings: [string, string][] = [
      ['10.0.3.17', '10.0.3.17'],
      ['2001:db8::1', '2001:db8:0:0:0:0:0:1'],
      ['::', '0:0:0:0:0:0:0:0'],
      ['::1', '0:0:0:0:0:0:0:1'],
      ['FE80::', 'fe80:0:0:0:0:0:0:0'],
      ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['::ffff:a00:1', '0:0:0:0:0:ffff:a00:1'],
    ];
    for (const [text, printed] of spellings)
      assert.equal(formatAddress(parseAddress(text)), printed);
    assert.equal(formatHost({ address: '10.0.3.17', port: 1 }), '10.0.3.17:1');
    assert.equal(formatHost({ address: '::1', port: 1 }), '[::1]:1');
  });

  it('are refused when they are none', () => {
    for (const text of [
      '',
      'localhost',
      '1.2.3',
      '1.2.3.256',
      '1.2.3.4.5',
      '1.2..4',
      '1:2',
      ':::',
      'x::1',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
      '1::2::3',
      '::1.2.3.4',
      'fe80::1%eth0',
    ])
      assert.throws(() => parseAddress(text), ProtocolError, text);
  });
});
