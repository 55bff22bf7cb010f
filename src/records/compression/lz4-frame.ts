import { LimitExceededError, ProtocolError } from '../../errors.ts';

/*
 * Frame => magic:le32 FLG BD [contentSize:le64] [dictionaryId:le32] HC (block)* 0:le32 [contentChecksum:le32]
 *   block => size:le32 (high bit: stored as it is) data [blockChecksum:le32]
 * What lz4-java's LZ4FrameOutputStream writes: independent blocks, no sizes, no checksums beside the header's.
 */
const MAGIC = 0x184d2204;
const VERSION_BITS = 0xc0;
const VERSION = 0x40;
const INDEPENDENT = 0x20;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const RESERVED = 0x02;
const DICTIONARY = 0x01;
const STORED_BLOCK = 0x80000000;
const MIN_MATCH = 4;

/**
 * Decodes one LZ4 frame.
 * @param maxBytes of output; checked before each growth
 * @throws ProtocolError for damage, LimitExceededError for too much
 */
export function decodeLz4Frame(input: Buffer, maxBytes: number): Buffer {
  if (input.length < 7 || input.readUInt32LE(0) !== MAGIC) throw new ProtocolError('a body marked LZ4 is no LZ4 frame');
  const flags = input.readUInt8(4);
  if ((flags & VERSION_BITS) !== VERSION || (flags & RESERVED) !== 0) throw new ProtocolError('an LZ4 frame of an unknown version');
  if ((flags & DICTIONARY) !== 0) throw new ProtocolError('an LZ4 frame with a dictionary');
  const descriptorEnd = 6 + ((flags & CONTENT_SIZE) !== 0 ? 8 : 0);
  if (descriptorEnd >= input.length) throw new ProtocolError('an LZ4 frame that ends in its header');
  if (((xxh32(input.subarray(4, descriptorEnd)) >>> 8) & 0xff) !== input.readUInt8(descriptorEnd))
    throw new ProtocolError('an LZ4 frame with a damaged header');
  const maxBlock = maxBlockBytes((input.readUInt8(5) >>> 4) & 0x7);
  const output = new Output(maxBytes);
  let at = descriptorEnd + 1;
  for (;;) {
    if (at + 4 > input.length) throw new ProtocolError('an LZ4 frame that ends before its end mark');
    const field = input.readUInt32LE(at);
    at += 4;
    if (field === 0) break;
    const size = field & ~STORED_BLOCK;
    const end = at + size;
    if (size > maxBlock || end > input.length) throw new ProtocolError('an LZ4 block larger than its frame allows');
    const block = input.subarray(at, end);
    if ((field & STORED_BLOCK) !== 0) output.append(block);
    else decodeBlock(block, output, (flags & INDEPENDENT) !== 0 ? output.length : 0);
    at = end;
    if ((flags & BLOCK_CHECKSUM) !== 0) {
      if (at + 4 > input.length || input.readUInt32LE(at) !== xxh32(block)) throw new ProtocolError('an LZ4 block with a wrong checksum');
      at += 4;
    }
  }
  const result = output.finish();
  if ((flags & CONTENT_SIZE) !== 0 && input.readBigUInt64LE(6) !== BigInt(result.length))
    throw new ProtocolError('an LZ4 frame of another size than it says');
  if ((flags & CONTENT_CHECKSUM) !== 0 && (at + 4 > input.length || input.readUInt32LE(at) !== xxh32(result)))
    throw new ProtocolError('an LZ4 frame with a wrong checksum');
  return result;
}

function maxBlockBytes(code: number): number {
  if (code < 4) throw new ProtocolError('an LZ4 frame with an unknown block size');
  return 1 << (8 + 2 * code);
}

/** Sequences of literals and matches; a match may reach back to `floor` in the output. */
function decodeBlock(block: Buffer, output: Output, floor: number): void {
  let at = 0;
  const lengthOf = (nibble: number): number => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw new ProtocolError('an LZ4 block that ends in a length');
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = lengthOf(token >>> 4);
    if (at + literals > block.length) throw new ProtocolError('an LZ4 block that ends in its literals');
    output.append(block.subarray(at, at + literals));
    at += literals;
    if (at === block.length) return;
    if (at + 2 > block.length) throw new ProtocolError('an LZ4 block that ends in an offset');
    const distance = block.readUInt16LE(at);
    at += 2;
    const length = lengthOf(token & 0xf) + MIN_MATCH;
    if (distance === 0 || distance > output.length - floor) throw new ProtocolError('an LZ4 match from before the beginning');
    output.repeat(distance, length);
  }
  throw new ProtocolError('an LZ4 block that ends in a match');
}

class Output {
  #buffer = Buffer.allocUnsafe(1024);
  readonly #maxBytes: number;
  length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  #reserve(bytes: number): number {
    const at = this.length;
    const needed = at + bytes;
    if (needed > this.#maxBytes) throw new LimitExceededError(`a body decompresses to more than ${this.#maxBytes} bytes`);
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.#buffer.length * 2)));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.length = needed;
    return at;
  }

  append(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Copies byte by byte: source and target overlap when the match is longer than its distance. */
  repeat(distance: number, length: number): void {
    const at = this.#reserve(length);
    const buffer = this.#buffer;
    for (let i = at; i < at + length; i++) buffer[i] = buffer[i - distance] as number;
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }
}

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;
const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** xxHash32 with seed 0, unsigned: LZ4 frames check themselves with it. */
export function xxh32(data: Buffer): number {
  let at = 0;
  let hash: number;
  if (data.length >= 16) {
    let v1 = (P1 + P2) | 0;
    let v2 = P2 | 0;
    let v3 = 0;
    let v4 = -P1 | 0;
    const round = (lane: number, word: number): number => Math.imul(rotate((lane + Math.imul(word, P2)) | 0, 13), P1);
    for (; at <= data.length - 16; at += 16) {
      v1 = round(v1, data.readInt32LE(at));
      v2 = round(v2, data.readInt32LE(at + 4));
      v3 = round(v3, data.readInt32LE(at + 8));
      v4 = round(v4, data.readInt32LE(at + 12));
    }
    hash = (rotate(v1, 1) + rotate(v2, 7) + rotate(v3, 12) + rotate(v4, 18)) | 0;
  } else hash = P5 | 0;
  hash = (hash + data.length) | 0;
  for (; at <= data.length - 4; at += 4) hash = Math.imul(rotate((hash + Math.imul(data.readInt32LE(at), P3)) | 0, 17), P4);
  for (; at < data.length; at++) hash = Math.imul(rotate((hash + Math.imul(data[at] as number, P5)) | 0, 11), P1);
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
