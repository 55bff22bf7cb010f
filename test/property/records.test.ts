import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { LimitExceededError, ProtocolError } from '../../src/errors.ts';
import { encodeBatchItem } from '../../src/records/batch-items.ts';
import { decodeLz4Frame } from '../../src/records/compression/lz4-frame.ts';
import { type DecodeContext, decodeRecords } from '../../src/records/decode-records.ts';
import { encodeRecord, type RecordFields } from '../../src/records/encode-record.ts';
import { formatAddress } from '../../src/records/host.ts';
import { offsetMsgId, parseOffsetMsgId } from '../../src/records/message-id.ts';
import { formatProperties, parseProperties } from '../../src/records/properties.ts';
import {
  type CompressionType,
  compressionFlag,
  SystemFlag,
} from '../../src/records/system-flag.ts';
import { cut, damaged } from '../support/damage.ts';
import { encodeLz4Frame } from '../support/lz4.ts';
import { record } from '../support/records.ts';
import { messageVectors } from '../support/vectors.ts';

const CONTEXT: DecodeContext = { brokerName: 'b' };
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const timestamp = fc.integer({ min: 0, max: 2 ** 53 - 1 });
const host = fc.record(
  {
    address: fc
      .oneof(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
      )
      .map(formatAddress),
    port: fc.integer({ min: 0, max: 65535 }),
  },
  { noNullPrototype: true },
);
const propertyText = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .map((text) => text.toWellFormed().replaceAll('\u0001', '.').replaceAll('\u0002', '.'));
const properties = fc
  .dictionary(propertyText, propertyText, { maxKeys: 8 })
  .map((fields) => new Map(Object.entries(fields)));
/** Bytes with repeats, so that there is something to compress. */
const bytes = fc
  .array(
    fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 40 })),
    { maxLength: 12 },
  )
  .map((runs) => Buffer.concat(runs.map(([run, times]) => Buffer.alloc(run.length * times, run))));
const compression = fc.constantFrom<CompressionType | undefined>(undefined, 'ZLIB', 'LZ4', 'ZSTD');
const fields: fc.Arbitrary<RecordFields> = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 200 }),
  queueId: int32,
  flag: int32,
  queueOffset: int64,
  commitLogOffset: int64,
  sysFlag: fc.constantFrom(0, SystemFlag.TRANSACTION_COMMIT),
  bornTimestamp: timestamp,
  bornHost: host,
  storeTimestamp: timestamp,
  storeHost: host,
  reconsumeTimes: int32,
  preparedTransactionOffset: int64,
  body: bytes,
  properties,
});

function compress(type: CompressionType | undefined, body: Buffer): Buffer {
  if (type === 'ZLIB') return deflateSync(body);
  if (type === 'ZSTD') return zstdCompressSync(body);
  return type === 'LZ4' ? encodeLz4Frame(body) : body;
}

function stored(one: RecordFields, type: CompressionType | undefined): Buffer {
  const sysFlag =
    one.sysFlag | (type === undefined ? 0 : SystemFlag.COMPRESSED | compressionFlag(type));
  return encodeRecord({ ...one, sysFlag, body: compress(type, one.body) });
}

describe('records', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fields, compression), { maxLength: 5 }), (sent) => {
        const { messages, undecodable } = decodeRecords(
          Buffer.concat(sent.map(([one, type]) => stored(one, type))),
          CONTEXT,
        );
        assert.deepEqual(undecodable, []);
        assert.equal(messages.length, sent.length);
        for (const [n, [one]] of sent.entries()) {
          const message = messages[n];
          assert.ok(message);
          const { sysFlag: _, properties: sentProperties, ...same } = one;
          for (const [name, value] of Object.entries(same))
            assert.deepEqual(message[name as keyof typeof same], value, name);
          assert.deepEqual(message.properties, sentProperties);
          assert.equal(message.offsetMsgId, offsetMsgId(one.storeHost, one.commitLogOffset));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('of Java, damaged, give our errors, messages or undecodable records', () => {
    const batch = Buffer.concat(
      [1, 2, 3].map((n) =>
        encodeBatchItem({ flag: n, body: Buffer.alloc(n), properties: { k: 'v' } }),
      ),
    );
    const innerBatch = record({
      body: batch,
      sysFlag: SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH,
      properties: { INNER_NUM: '3' },
    });
    const vectors = messageVectors().map((vector) => Buffer.from(vector.stored, 'base64'));
    const pairs = vectors.map((vector, n) =>
      Buffer.concat([vector, vectors[(n + 1) % vectors.length] as Buffer]),
    );
    fc.assert(
      fc.property(damaged([...vectors, ...pairs, innerBatch]), fc.boolean(), (body, checkCrc) => {
        const maxDecompressedBytes = 100_000;
        try {
          const { messages, undecodable } = decodeRecords(body, {
            ...CONTEXT,
            checkCrc,
            maxDecompressedBytes,
          });
          for (const message of messages) {
            assert.ok(message.body.length <= Math.max(maxDecompressedBytes, body.length));
            assert.equal(
              typeof message.msgId + typeof message.offsetMsgId + typeof message.bornHost.address,
              'stringstringstring',
            );
          }
          for (const { error, queueOffset } of undecodable) {
            assert.ok(error instanceof ProtocolError || error instanceof LimitExceededError);
            assert.equal(typeof queueOffset, 'bigint');
          }
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
      { numRuns: 4000 },
    );
  });

  it('of random bytes give our errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (body) => {
        assert.throws(() => decodeRecords(Buffer.from(body), CONTEXT), ProtocolError);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('LZ4 frames', () => {
  it('come back as they were written, with every option', () => {
    const options = fc.record({
      blockBytes: fc.integer({ min: 1, max: 500 }),
      linked: fc.boolean(),
      blockChecksum: fc.boolean(),
      contentSize: fc.boolean(),
      contentChecksum: fc.boolean(),
      stored: fc.boolean(),
    });
    fc.assert(
      fc.property(bytes, options, (input, how) => {
        assert.deepEqual(decodeLz4Frame(encodeLz4Frame(input, how), 1 << 20), input);
      }),
      { numRuns: 300 },
    );
  });

  it('damaged give our errors, or no more bytes than allowed', () => {
    const samples = [1, 30, 3000].flatMap((n) => [
      encodeLz4Frame(Buffer.alloc(n, 'abcab')),
      encodeLz4Frame(Buffer.from(Array.from({ length: n }, (_, i) => (i * i) >> 3))),
    ]);
    fc.assert(
      fc.property(damaged(samples), (frame) => {
        try {
          assert.ok(decodeLz4Frame(frame, 5000).length <= 5000);
        } catch (error) {
          assert.ok(
            error instanceof ProtocolError || error instanceof LimitExceededError,
            String(error),
          );
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('properties and ids', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(properties, host, int64, (sent, storeHost, commitLogOffset) => {
        assert.deepEqual(parseProperties(formatProperties(sent)), sent);
        assert.deepEqual(parseOffsetMsgId(offsetMsgId(storeHost, commitLogOffset)), {
          storeHost,
          commitLogOffset,
        });
      }),
      { numRuns: 300 },
    );
  });

  it('of any text are read as a map', () => {
    const separated = fc
      .array(fc.constantFrom('a', 'bc', '\u0001', '\u0002'), { maxLength: 40 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(separated, (text) => {
        // The rule in the plainest words.
        const naive = new Map<string, string>();
        for (const segment of text.split('\u0002')) {
          const at = segment.indexOf('\u0001');
          if (segment.length >= 3 && at > 0 && at < segment.length - 1)
            naive.set(segment.slice(0, at), segment.slice(at + 1));
        }
        assert.deepEqual(parseProperties(text), naive);
      }),
      { numRuns: 1000 },
    );
  });

  it('cut of bytes covers them', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat()), (input, places) => {
        assert.deepEqual(Buffer.concat(cut(Buffer.from(input), places)), Buffer.from(input));
      }),
    );
  });
});
