import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { LimitExceededError, ProtocolError } from '../../../src/errors.ts';
import { ENTRY_BYTES } from '../../../src/model/message.ts';
import { encodeBatchItem } from '../../../src/records/batch-items.ts';
import { decodeRecords } from '../../../src/records/decode-records.ts';
import { encodeRecord, type RecordFields } from '../../../src/records/encode-record.ts';
import { isCompressed, openMessage } from '../../../src/records/open-message.ts';
import { compressionFlag, SystemFlag } from '../../../src/records/system-flag.ts';
import { encodeLz4Frame } from '../../support/lz4.ts';
import { decodeOne, RECORD, record } from '../../support/records.ts';

const CONTEXT = { brokerName: 'broker-a' };
/** From message.md §1: written by Java's encoder, CRC included. */
const HELLO = Buffer.from(
  '00000077daa320a73610a6860000000300000000000000000000007b000000000006f85500000000' +
    '0000018bcfe56800010203040000162e0000018bcfe5687b7f00000100002a9f0000000200000000' +
    '000000000000000568656c6c6f09546f70696354657374000e6b01760254414753015461674102',
  'hex',
);
const CRC_AT = 8;
const SYS_FLAG_AT = 36;
const BODY_LENGTH_AT = 84;

function patched(bytes: Buffer, patch: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  patch(copy);
  return copy;
}

describe('decodeRecords', () => {
  it('reads the reference record of Java’s encoder, CRC checked', () => {
    const message = decodeOne(HELLO);
    assert.equal(message.topic, 'TopicTest');
    assert.equal(message.body.toString(), 'hello');
    assert.deepEqual(
      [message.queueId, message.queueOffset, message.commitLogOffset, message.reconsumeTimes],
      [3, 123n, 456789n, 2],
    );
    assert.deepEqual(message.bornHost, { address: '1.2.3.4', port: 5678 });
    assert.deepEqual(
      [message.bornTimestamp, message.storeTimestamp],
      [1700000000000, 1700000000123],
    );
    assert.equal(message.offsetMsgId, '7F00000100002A9F000000000006F855');
    assert.equal(message.msgId, message.offsetMsgId);
    assert.deepEqual(Object.fromEntries(message.properties), { k: 'v', TAGS: 'TagA' });
  });

  it('gives back what encodeRecord was given', () => {
    const message = decodeOne(record());
    const { properties, ...fields } = RECORD;
    for (const [name, value] of Object.entries(fields))
      assert.deepEqual(message[name as keyof typeof fields], value, name);
    assert.deepEqual(Object.fromEntries(message.properties), properties);
    assert.deepEqual(
      [message.brokerName, message.msgId, message.storeSize],
      ['broker-a', 'AC1A2B3C', record().length],
    );
    assert.deepEqual(decodeRecords(Buffer.alloc(0), CONTEXT), { messages: [], undecodable: [] });
  });

  it('writes V1 up to topics of 127 bytes and V2 above, and reads both', () => {
    for (const [length, magic] of [
      [127, 'daa320a7'],
      [128, 'daa320ab'],
      [300, 'daa320ab'],
    ] as const) {
      const bytes = record({ topic: 't'.repeat(length) });
      assert.equal(bytes.toString('hex', 4, 8), magic);
      assert.equal(decodeOne(bytes).topic, 't'.repeat(length));
    }
  });

  it('reads a V1 topic length above 127 as unsigned', () => {
    const v2 = record({ topic: 't'.repeat(200) });
    const at = 88 + RECORD.body.length;
    const v1 = patched(Buffer.concat([v2.subarray(0, at), v2.subarray(at + 1)]), (copy) => {
      copy.writeInt32BE(copy.length, 0);
      copy.write('daa320a7', 4, 'hex');
    });
    assert.equal(decodeOne(v1).topic, 't'.repeat(200));
  });

  it('reads IPv6 hosts, each side on its own', () => {
    const v6 = { address: '2001:db8:0:0:0:0:c107:1', port: 13325 };
    const v4 = { address: '10.0.0.1', port: 10911 };
    for (const [bornHost, storeHost] of [
      [v6, v4],
      [v4, v6],
      [v6, v6],
    ] as const) {
      const message = decodeOne(record({ bornHost, storeHost, commitLogOffset: 255n }));
      assert.deepEqual([message.bornHost, message.storeHost], [bornHost, storeHost]);
      const host =
        storeHost === v6 ? '20010DB80000000000000000C10700010000340D' : '0A00000100002A9F';
      assert.equal(message.offsetMsgId, `${host}00000000000000FF`);
    }
  });

  it('adds the offsetDelta of static topics', () => {
    const { messages } = decodeRecords(record(), { ...CONTEXT, offsetDelta: 1000n });
    assert.equal(messages[0]?.queueOffset, 5711n);
  });

  it('gives views of the answer as bodies', () => {
    const bytes = record();
    const { body } = decodeOne(bytes);
    bytes.write('X', BODY_LENGTH_AT + 4);
    assert.equal(body.toString()[0], 'X');
  });
});

describe('compressed bodies', () => {
  const plain = Buffer.from('repeat-me-'.repeat(100));
  const bodies = {
    ZLIB: deflateSync(plain),
    LZ4: encodeLz4Frame(plain),
    ZSTD: zstdCompressSync(plain),
  } as const;

  for (const type of ['ZLIB', 'LZ4', 'ZSTD'] as const)
    it(`are opened: ${type}, and the compressed bit cleared`, () => {
      const message = decodeOne(
        record({ body: bodies[type], sysFlag: SystemFlag.COMPRESSED | compressionFlag(type) }),
      );
      assert.deepEqual(message.body, plain);
      assert.equal(message.sysFlag, compressionFlag(type));
    });

  it('without a type are zlib, as clients before 4.9.4 wrote them', () => {
    assert.deepEqual(
      decodeOne(record({ body: bodies.ZLIB, sysFlag: SystemFlag.COMPRESSED })).body,
      plain,
    );
  });

  it('are the library’s: 300 times x by 5.3.3', () => {
    for (const [type, hex] of [
      ['LZ4', '04224d186070730c0000001f780100ff1450787878787800000000'],
      ['ZSTD', '28b52ffd00584c00001078780100272ac002010000'],
      ['ZLIB', '785eaba81805c40200b20a8ca1'],
    ] as const) {
      const message = decodeOne(
        record({
          body: Buffer.from(hex, 'hex'),
          sysFlag: SystemFlag.COMPRESSED | compressionFlag(type),
        }),
      );
      assert.equal(message.body.toString(), 'x'.repeat(300));
    }
  });

  it('that are gzip where zlib is announced are read', () => {
    const sysFlag = SystemFlag.COMPRESSED | compressionFlag('ZLIB');
    const body = gzipSync(plain);
    assert.deepEqual(decodeOne(record({ body, sysFlag })).body, plain);
    const { undecodable } = decodeRecords(record({ body: body.subarray(0, -9), sysFlag }), CONTEXT);
    assert.ok(undecodable[0]?.error instanceof ProtocolError);
  });

  it('open as long as the answer’s budget lasts; the rest is pulled again', () => {
    const sysFlag = SystemFlag.COMPRESSED | compressionFlag('ZLIB');
    const bytes = Buffer.concat(
      [0n, 1n, 2n, 3n].map((queueOffset) => record({ body: bodies.ZLIB, sysFlag, queueOffset })),
    );
    const opened = (maxAnswerBytes: number) => {
      const { messages, undecodable, cutAt } = decodeRecords(bytes, { ...CONTEXT, maxAnswerBytes });
      assert.deepEqual(undecodable, []);
      return [messages.length, cutAt];
    };
    assert.deepEqual(opened(plain.length * 4), [4, undefined]);
    assert.deepEqual(opened(plain.length * 3), [3, 3n]);
    assert.deepEqual(opened(plain.length * 2 + 1), [2, 2n]);
    assert.deepEqual(opened(1), [1, 1n]);
  });

  it('stay as they are stored when that is asked for, and open later', () => {
    const sysFlag = SystemFlag.COMPRESSED | compressionFlag('ZSTD');
    const bytes = record({ body: bodies.ZSTD, sysFlag });
    const [stored] = decodeRecords(bytes, { ...CONTEXT, keepCompressed: true }).messages;
    assert.ok(stored !== undefined && isCompressed(stored));
    assert.deepEqual(stored.body, bodies.ZSTD);
    const opened = openMessage(stored, plain.length);
    assert.deepEqual(opened.body, plain);
    assert.equal(isCompressed(opened), false);
    assert.deepEqual(
      [opened.msgId, opened.properties, opened.bornHost, opened.queueOffset],
      [stored.msgId, stored.properties, stored.bornHost, stored.queueOffset],
    );
    assert.equal(openMessage(opened, 0), opened);
    assert.throws(() => openMessage(stored, plain.length - 1), LimitExceededError);
  });

  it('that are empty stay empty', () => {
    assert.equal(
      decodeOne(record({ body: Buffer.alloc(0), sysFlag: SystemFlag.COMPRESSED })).body.length,
      0,
    );
  });

  it('of an unknown type are undecodable', () => {
    for (const bits of [0x400, 0x500, 0x700]) {
      const { undecodable } = decodeRecords(
        record({ sysFlag: SystemFlag.COMPRESSED | bits }),
        CONTEXT,
      );
      assert.match(undecodable[0]?.error.message ?? '', /unknown way/);
    }
  });

  for (const type of ['ZLIB', 'LZ4', 'ZSTD'] as const) {
    const sysFlag = SystemFlag.COMPRESSED | compressionFlag(type);

    it(`that expand beyond the limit are undecodable: ${type}`, () => {
      const bytes = record({ body: bodies[type], sysFlag });
      const limited = (maxDecompressedBytes: number) =>
        decodeRecords(bytes, { ...CONTEXT, maxDecompressedBytes });
      assert.equal(limited(plain.length).messages.length, 1);
      assert.ok(limited(plain.length - 1).undecodable[0]?.error instanceof LimitExceededError);
    });

    it(`that are damaged are undecodable: ${type}`, () => {
      const cut = bodies[type].subarray(0, -3);
      const { messages, undecodable } = decodeRecords(
        Buffer.concat([record({ body: cut, sysFlag }), record()]),
        CONTEXT,
      );
      assert.ok(undecodable[0]?.error instanceof ProtocolError);
      assert.equal(messages.length, 1);
    });
  }
});

describe('the CRC', () => {
  it('finds a changed body, unless it is not to be checked', () => {
    const bytes = patched(HELLO, (copy) => copy.write('J', BODY_LENGTH_AT + 4));
    assert.match(
      decodeRecords(bytes, CONTEXT).undecodable[0]?.error.message ?? '',
      /does not match its CRC/,
    );
    assert.equal(
      decodeRecords(bytes, { ...CONTEXT, checkCrc: false }).messages[0]?.body.toString(),
      'Jello',
    );
  });

  it('has 31 bits', () => {
    // crc32('b') = 0x71BEEFF9, crc32('a') = 0xE8B7BE43: the second has the bit that Java masks.
    for (const [body, crc] of [
      ['b', 0x71beeff9],
      ['a', 0x68b7be43],
    ] as const)
      assert.equal(decodeOne(record({ body: Buffer.from(body) })).bodyCRC, crc);
  });

  it('is of the stored body, before it is opened', () => {
    const bytes = record({
      body: deflateSync(Buffer.from('x'.repeat(99))),
      sysFlag: SystemFlag.COMPRESSED,
    });
    const damaged = patched(bytes, (copy) => copy.writeInt32BE(1, CRC_AT));
    assert.match(decodeRecords(damaged, CONTEXT).undecodable[0]?.error.message ?? '', /CRC/);
  });
});

describe('inner batches', () => {
  const both = SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH;
  const items = ['a', 'b', 'c'].map((text, n) =>
    encodeBatchItem({
      flag: n,
      body: Buffer.from(text),
      properties: { TAGS: `T${n}`, UNIQ_KEY: `K${n}` },
    }),
  );
  const batch = Buffer.concat(items);
  /** A record with an inner batch of the three items, as a broker stores it. */
  const batchRecord = (fields: Partial<RecordFields> = {}, num = '3'): Buffer =>
    record({
      body: batch,
      sysFlag: both,
      properties: { INNER_NUM: num },
      ...fields,
    });

  it('are unwrapped: place from the record, content from the item', () => {
    const { messages } = decodeRecords(batchRecord(), CONTEXT);
    assert.deepEqual(
      messages.map((m) => [
        m.queueOffset,
        m.commitLogOffset,
        m.flag,
        m.body.toString(),
        m.properties.get('TAGS'),
        m.msgId,
        m.reconsumeTimes,
      ]),
      [0, 1, 2].map((n) => [
        4711n + BigInt(n),
        RECORD.commitLogOffset,
        n,
        'abc'[n],
        `T${n}`,
        `K${n}`,
        0,
      ]),
    );
    assert.deepEqual(messages[2]?.storeHost, RECORD.storeHost);
    assert.deepEqual(messages[2]?.bornHost, RECORD.bornHost);
    assert.equal(messages[2]?.topic, 'orders');
  });

  it('are decompressed first, and their CRC is not looked at', () => {
    const bytes = batchRecord({ body: deflateSync(batch), sysFlag: both | SystemFlag.COMPRESSED });
    assert.equal(
      decodeRecords(
        patched(bytes, (copy) => copy.writeInt32BE(1, CRC_AT)),
        CONTEXT,
      ).messages.length,
      3,
    );
  });

  it('need both bits', () => {
    for (const sysFlag of [SystemFlag.NEED_UNWRAP, SystemFlag.INNER_BATCH])
      assert.deepEqual(decodeOne(record({ body: batch, sysFlag })).body, batch);
  });

  it('that are cut give one undecodable record and no message', () => {
    const { messages, undecodable } = decodeRecords(
      batchRecord({ body: batch.subarray(0, -1) }),
      CONTEXT,
    );
    assert.deepEqual([messages.length, undecodable.length], [0, 1]);
  });

  it('hold no more messages than a broker can count', () => {
    const tiny = encodeBatchItem({ flag: 0, body: Buffer.alloc(0), properties: {} });
    const of = (n: number) =>
      decodeRecords(
        batchRecord(
          {
            body: deflateSync(Buffer.alloc(n * tiny.length, tiny)),
            sysFlag: both | SystemFlag.COMPRESSED,
          },
          '32767',
        ),
        CONTEXT,
      );
    assert.equal(of(32767).messages.length, 32767);
    assert.ok(of(32768).undecodable[0]?.error instanceof LimitExceededError);
  });

  for (const [name, num, fields] of [
    ['no INNER_NUM', '', {}],
    ['an INNER_NUM of none', '0', {}],
    ['an INNER_NUM that is no number', '3x', {}],
    ['more than a broker can count', '32768', {}],
    ['fewer messages than INNER_NUM', '4', {}],
    ['more messages than INNER_NUM', '2', {}],
    ['no message', '1', { body: Buffer.alloc(0) }],
  ] as const)
    it(`are one undecodable record when they have ${name}`, () => {
      const { messages, undecodable } = decodeRecords(batchRecord(fields, num), CONTEXT);
      assert.deepEqual(
        [messages.length, undecodable.map(({ queueOffset }) => queueOffset)],
        [0, [4711n]],
      );
    });

  for (const [name, nextBeginOffset, next, unwrapped] of [
    ['the next record', 4720n, [4713n], false],
    ['where the next pull begins', 4713n, [], false],
    ['nothing', 4714n, [], true],
    ['nothing, and a record stands behind them', 4715n, [4714n], true],
  ] as const)
    it(`are ${unwrapped ? 'unwrapped' : 'one undecodable record'} when they reach ${name}`, () => {
      for (const offsetDelta of [0n, 1000n]) {
        const bytes = [batchRecord(), ...next.map((queueOffset) => record({ queueOffset }))];
        const context = { ...CONTEXT, offsetDelta, nextBeginOffset: nextBeginOffset + offsetDelta };
        const { messages, undecodable } = decodeRecords(Buffer.concat(bytes), context);
        assert.deepEqual(
          messages.map(({ queueOffset }) => queueOffset - offsetDelta),
          [...(unwrapped ? [4711n, 4712n, 4713n] : []), ...next],
        );
        assert.equal(undecodable.length, unwrapped ? 0 : 1);
      }
    });

  it('are opened as long as their messages fit into the answer’s budget', () => {
    const fields = { body: deflateSync(batch), sysFlag: both | SystemFlag.COMPRESSED };
    for (const bytesOf of [fields, {}]) {
      const bytes = Buffer.concat(
        [0n, 3n, 6n].map((queueOffset) => batchRecord({ ...bytesOf, queueOffset })),
      );
      const opened = (maxAnswerBytes: number) => {
        const context = { ...CONTEXT, maxAnswerBytes, keepCompressed: true, nextBeginOffset: 9n };
        const { messages, undecodable, cutAt } = decodeRecords(bytes, context);
        assert.deepEqual(undecodable, []);
        return [messages.length, cutAt];
      };
      const itemBytes = 3 * ENTRY_BYTES;
      assert.deepEqual(opened(itemBytes * 4), [9, undefined]);
      assert.deepEqual(opened(itemBytes * 2 + 2 * batch.length), [6, 6n]);
      assert.deepEqual(opened(itemBytes), [3, 3n]);
      assert.deepEqual(opened(1), [3, 3n]);
    }
  });

  it('give way to a record that has the offset of one of their messages', () => {
    const bytes = [batchRecord(), record({ queueOffset: 4712n, body: Buffer.from('real') })];
    const { messages, overlapping } = decodeRecords(Buffer.concat(bytes), CONTEXT);
    assert.deepEqual(
      messages.map(({ queueOffset, body }) => [queueOffset, body.toString()]),
      [
        [4711n, 'a'],
        [4713n, 'c'],
        [4712n, 'real'],
      ],
    );
    assert.deepEqual(overlapping, [4712n]);
  });
});

describe('undecodable records', () => {
  const good = record();

  it('keep their place, and the records around them are read', () => {
    const bad = patched(
      record({ queueOffset: 8n, commitLogOffset: 9n, reconsumeTimes: 4 }),
      (copy) => copy.writeInt32BE(0, CRC_AT),
    );
    const { messages, undecodable } = decodeRecords(Buffer.concat([good, bad, good]), {
      ...CONTEXT,
      offsetDelta: 10n,
    });
    assert.equal(messages.length, 2);
    const [{ error, stored, ...place }] = undecodable as [(typeof undecodable)[0]];
    assert.ok(error instanceof ProtocolError);
    assert.deepEqual(stored, bad);
    assert.deepEqual(place, {
      queueId: 3,
      queueOffset: 18n,
      commitLogOffset: 9n,
      reconsumeTimes: 4,
      offsetMsgId: '0A00031200002A9F0000000000000009',
    });
  });

  it('may have lengths that reach beyond them, in every field', () => {
    const topicLengthAt = BODY_LENGTH_AT + 4 + RECORD.body.length;
    const damages: ((copy: Buffer) => void)[] = [
      (copy) => copy.writeInt32BE(0x7fffffff, BODY_LENGTH_AT),
      (copy) => copy.writeInt32BE(-1, BODY_LENGTH_AT),
      (copy) => copy.writeUInt8(255, topicLengthAt),
      (copy) => copy.writeInt16BE(0x7fff, topicLengthAt + 1 + RECORD.topic.length),
      (copy) => copy.writeInt16BE(-1, topicLengthAt + 1 + RECORD.topic.length),
    ];
    for (const damage of damages) {
      const { messages, undecodable } = decodeRecords(
        Buffer.concat([patched(good, damage), good]),
        CONTEXT,
      );
      assert.deepEqual(
        [messages.length, undecodable.length, undecodable[0]?.queueOffset],
        [1, 1, 4711n],
      );
    }
  });

  it('may be of an unknown kind, when what follows is known or nothing follows', () => {
    const unknown = patched(good, (copy) => copy.write('daa320af', 4, 'hex'));
    for (const body of [unknown, Buffer.concat([unknown, good]), Buffer.concat([good, unknown])]) {
      const { undecodable } = decodeRecords(body, CONTEXT);
      assert.match(undecodable[0]?.error.message ?? '', /unknown magic 0xdaa320af/);
      assert.equal(undecodable[0]?.commitLogOffset, RECORD.commitLogOffset);
    }
  });

  it('that end before their hosts have offsets all the same', () => {
    const short = patched(good.subarray(0, 44), (copy) => copy.writeInt32BE(44, 0));
    const { messages, undecodable } = decodeRecords(Buffer.concat([short, good]), CONTEXT);
    assert.equal(messages.length, 1);
    const { error: _, stored, ...place } = undecodable[0] as (typeof undecodable)[0];
    assert.deepEqual(stored, short);
    assert.deepEqual(place, {
      queueId: RECORD.queueId,
      queueOffset: 4711n,
      commitLogOffset: RECORD.commitLogOffset,
      reconsumeTimes: 0,
      offsetMsgId: undefined,
    });
  });

  it('take nothing from the next record', () => {
    const v6Flag = patched(good, (copy) =>
      copy.writeInt32BE(SystemFlag.BORN_HOST_V6 | SystemFlag.STORE_HOST_V6, SYS_FLAG_AT),
    );
    const short = patched(v6Flag.subarray(0, 80), (copy) => copy.writeInt32BE(80, 0));
    assert.equal(
      decodeRecords(Buffer.concat([short, good]), CONTEXT).undecodable[0]?.offsetMsgId,
      undefined,
    );
  });

  for (const [what, body] of [
    ['three bytes', Buffer.from('000000', 'hex')],
    ['seven bytes behind a record', Buffer.concat([good, good.subarray(0, 7)])],
    ['a record that is cut', good.subarray(0, -1)],
    ['a size of 0', patched(good, (copy) => copy.writeInt32BE(0, 0))],
    ['a negative size', patched(good, (copy) => copy.writeInt32BE(-1, 0))],
    ['a size beyond the answer', patched(good, (copy) => copy.writeInt32BE(good.length + 1, 0))],
    [
      'an unknown magic before something unknown',
      patched(Buffer.concat([good, Buffer.alloc(50)]), (copy) => copy.writeInt32BE(1, 4)),
    ],
  ] as const)
    it(`end the reading when nothing leads on: ${what}`, () =>
      assert.throws(() => decodeRecords(body, CONTEXT), ProtocolError));
});

describe('encodeRecord', () => {
  it('writes the reference record of Java’s encoder byte for byte', () => {
    const message = decodeOne(HELLO);
    const {
      topic,
      queueId,
      flag,
      queueOffset,
      commitLogOffset,
      sysFlag,
      bornTimestamp,
      bornHost,
      storeTimestamp,
      storeHost,
    } = message;
    const place = {
      topic,
      queueId,
      flag,
      queueOffset,
      commitLogOffset,
      sysFlag,
      bornTimestamp,
      bornHost,
      storeTimestamp,
      storeHost,
    };
    const { reconsumeTimes, preparedTransactionOffset, body, properties } = message;
    assert.equal(
      encodeRecord({
        ...place,
        reconsumeTimes,
        preparedTransactionOffset,
        body,
        properties,
      }).toString('hex'),
      HELLO.toString('hex'),
    );
  });

  it('refuses what the layout cannot hold', () => {
    assert.throws(() => record({ properties: { k: 'v'.repeat(0x7fff) } }), {
      name: 'ProtocolError',
      message: /do not fit/,
    });
    assert.throws(() => record({ topic: 't'.repeat(0x8000) }), {
      name: 'ProtocolError',
      message: /do not fit/,
    });
    assert.throws(() => record({ bornHost: { address: 'localhost', port: 1 } }), ProtocolError);
  });
});
