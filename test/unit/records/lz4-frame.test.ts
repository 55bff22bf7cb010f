import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitExceededError, ProtocolError } from '../../../src/errors.ts';
import { decodeLz4Frame } from '../../../src/records/compression/lz4-frame.ts';
import { xxh32 } from '../../../src/records/compression/xxh32.ts';
import { encodeLz4Frame } from '../../support/lz4.ts';

const MAX = 1 << 20;
const TEXT = Buffer.from(
  Array.from({ length: 400 }, (_, n) => `line ${n % 37} of the text; `).join(''),
);
/** 300 times x by lz4-java. */
const JAVA = Buffer.from('04224d186070730c0000001f780100ff1450787878787800000000', 'hex');

/** The frame header, its checksum made right again. */
function withDescriptor(frame: Buffer, flags: number, blockDescriptor: number): Buffer {
  const descriptor = Buffer.from([flags, blockDescriptor]);
  return Buffer.concat([
    frame.subarray(0, 4),
    descriptor,
    Buffer.from([(xxh32(descriptor) >>> 8) & 0xff]),
    frame.subarray(7),
  ]);
}

function blockFrame(block: string): Buffer {
  const bytes = Buffer.from(block, 'hex');
  return Buffer.concat([
    JAVA.subarray(0, 7),
    Buffer.from([bytes.length, 0, 0, 0]),
    bytes,
    Buffer.alloc(4),
  ]);
}

describe('decodeLz4Frame', () => {
  it('reads what lz4-java writes', () =>
    assert.equal(decodeLz4Frame(JAVA, MAX).toString(), 'x'.repeat(300)));

  for (const options of [
    {},
    { stored: true },
    { blockBytes: 100 },
    { blockBytes: 100, linked: true },
    { blockChecksum: true, blockBytes: 500 },
    { contentSize: true },
    { contentChecksum: true },
    {
      blockBytes: 333,
      linked: true,
      blockChecksum: true,
      contentSize: true,
      contentChecksum: true,
    },
  ])
    it(`reads a frame with ${JSON.stringify(options)}`, () =>
      assert.deepEqual(decodeLz4Frame(encodeLz4Frame(TEXT, options), MAX), TEXT));

  it('reads an empty frame', () =>
    assert.equal(decodeLz4Frame(encodeLz4Frame(Buffer.alloc(0)), MAX).length, 0));

  it('reads long literals and long matches', () => {
    const noise = Buffer.from(Array.from({ length: 1000 }, (_, n) => (n * 7919) >> 3));
    const input = Buffer.concat([noise, Buffer.alloc(5000, 'z'), noise]);
    assert.deepEqual(decodeLz4Frame(encodeLz4Frame(input), MAX), input);
  });

  it('stops at the limit, before it has the bytes', () => {
    assert.equal(decodeLz4Frame(JAVA, 300).length, 300);
    assert.throws(() => decodeLz4Frame(JAVA, 299), LimitExceededError);
    assert.throws(
      () => decodeLz4Frame(encodeLz4Frame(TEXT, { contentSize: true }), TEXT.length - 1),
      LimitExceededError,
    );
  });

  it('does not expand a bomb', () => {
    // 60 kB of match length: 15 MB of output if nobody stops it.
    const bomb = Buffer.concat([
      Buffer.from('1f780100', 'hex'),
      Buffer.alloc(60_000, 255),
      Buffer.from('005078787878780a', 'hex'),
    ]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bomb.length);
    const frame = Buffer.concat([JAVA.subarray(0, 7), size, bomb, Buffer.alloc(4)]);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => decodeLz4Frame(frame, 100_000), LimitExceededError);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2_000_000);
  });

  const full = encodeLz4Frame(TEXT, {
    blockBytes: 700,
    blockChecksum: true,
    contentSize: true,
    contentChecksum: true,
  });
  it('finds every single damaged byte of a frame with all checksums', () => {
    for (let at = 0; at < full.length; at++) {
      const damaged = Buffer.from(full);
      damaged[at] = (damaged[at] as number) ^ 0x55;
      assert.throws(
        () => decodeLz4Frame(damaged, MAX),
        (error) => error instanceof ProtocolError || error instanceof LimitExceededError,
      );
    }
  });

  it('finds every cut', () => {
    for (const frame of [JAVA, full])
      for (let length = 0; length < frame.length; length++)
        assert.throws(() => decodeLz4Frame(frame.subarray(0, length), MAX), ProtocolError);
  });

  const broken: Record<string, Buffer> = {
    'the raw block format': JAVA.subarray(11),
    'lz4-java’s own stream': Buffer.from('LZ4Block stream of another kind'),
    'another version': withDescriptor(JAVA, 0xa0, 0x70),
    'a reserved bit': withDescriptor(JAVA, 0x62, 0x70),
    'a dictionary': withDescriptor(JAVA, 0x61, 0x70),
    'an unknown block size': withDescriptor(JAVA, 0x60, 0x30),
    'a damaged header': Buffer.concat([JAVA.subarray(0, 6), Buffer.from([0]), JAVA.subarray(7)]),
    'bytes behind the frame': Buffer.concat([JAVA, Buffer.from([1])]),
    'a match before the beginning': blockFrame('1078ffff' + '5078787878'),
    'a distance of 0': blockFrame('14780000' + '507878787878'),
    'a block that ends in a match': blockFrame('1f78010000'),
    'a block that ends in a distance': blockFrame('107801'),
    'literals longer than the block': blockFrame('f078'),
    'a length without end': blockFrame('f0ffffff'),
  };
  for (const [what, frame] of Object.entries(broken))
    it(`refuses ${what}`, () => assert.throws(() => decodeLz4Frame(frame, MAX), ProtocolError));

  it('refuses a match into the block before, when blocks are independent', () => {
    const linked = encodeLz4Frame(Buffer.alloc(300, 'abcdefgh'), { blockBytes: 100, linked: true });
    assert.equal(decodeLz4Frame(linked, MAX).length, 300);
    assert.throws(() => decodeLz4Frame(withDescriptor(linked, 0x60, 0x40), MAX), /points before/);
  });

  it('refuses a block that holds more than the frame’s blocks may', () => {
    const block = Buffer.concat([
      Buffer.from('1f780100', 'hex'),
      Buffer.alloc(300, 255),
      Buffer.from('00507878787878', 'hex'),
    ]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const frame = Buffer.concat([
      withDescriptor(JAVA, 0x60, 0x40).subarray(0, 7),
      size,
      block,
      Buffer.alloc(4),
    ]);
    assert.throws(() => decodeLz4Frame(frame, MAX), /more than its frame allows/);
  });
});

describe('xxh32', () => {
  it('has the reference values', () => {
    assert.equal(xxh32(Buffer.alloc(0)), 0x02cc5d05);
    assert.equal(xxh32(Buffer.from('a')), 0x550d7456);
    assert.equal(xxh32(Buffer.from('abc')), 0x32d153ff);
    assert.equal(xxh32(Buffer.from('Nobody inspects the spammish repetition')), 0xe2293b2f);
  });
});
