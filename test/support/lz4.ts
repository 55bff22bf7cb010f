import { xxh32 } from '../../src/records/compression/xxh32.ts';

export interface Lz4Options {
  /** Bytes of input per block, at most 64 KiB (block code 4). */
  readonly blockBytes?: number;
  readonly linked?: boolean;
  readonly blockChecksum?: boolean;
  readonly contentSize?: boolean;
  readonly contentChecksum?: boolean;
  /** Store blocks as they are. */
  readonly stored?: boolean;
}

/** A slow LZ4 frame writer for tests: searches the nearest longest match at every place. Only the decoder is product. */
export function encodeLz4Frame(input: Buffer, options: Lz4Options = {}): Buffer {
  const {
    blockBytes = 65536,
    linked = false,
    blockChecksum = false,
    contentSize = false,
    contentChecksum = false,
    stored = false,
  } = options;
  const flags =
    0x40 |
    (linked ? 0 : 0x20) |
    (blockChecksum ? 0x10 : 0) |
    (contentSize ? 0x08 : 0) |
    (contentChecksum ? 0x04 : 0);
  const size = Buffer.alloc(contentSize ? 8 : 0);
  if (contentSize) size.writeBigUInt64LE(BigInt(input.length));
  const descriptor = Buffer.concat([Buffer.from([flags, 0x40]), size]);
  const parts: Buffer[] = [
    Buffer.from('04224d18', 'hex'),
    descriptor,
    Buffer.from([(xxh32(descriptor) >>> 8) & 0xff]),
  ];
  for (let at = 0; at < input.length; at += blockBytes) {
    const end = Math.min(at + blockBytes, input.length);
    const data = stored ? input.subarray(at, end) : encodeLz4Block(input, at, end, linked ? 0 : at);
    parts.push(le32(stored ? data.length + 0x80000000 : data.length), data);
    if (blockChecksum) parts.push(le32(xxh32(data)));
  }
  parts.push(le32(0));
  if (contentChecksum) parts.push(le32(xxh32(input)));
  return Buffer.concat(parts);
}

function le32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function encodeLz4Block(input: Buffer, start: number, end: number, floor: number): Buffer {
  const parts: Buffer[] = [];
  let literalsFrom = start;
  let at = start;
  // The last five bytes of a block are literals.
  while (at < end - 5) {
    const { distance, length } = longestMatch(input, at, end - 5, Math.max(floor, at - 65535));
    if (length < 4) at++;
    else {
      parts.push(sequence(input.subarray(literalsFrom, at), distance, length));
      at += length;
      literalsFrom = at;
    }
  }
  parts.push(sequence(input.subarray(literalsFrom, end)));
  return Buffer.concat(parts);
}

function longestMatch(
  input: Buffer,
  at: number,
  end: number,
  from: number,
): { distance: number; length: number } {
  let best = { distance: 0, length: 0 };
  for (let candidate = at - 1; candidate >= from; candidate--) {
    let length = 0;
    while (at + length < end && input[candidate + length] === input[at + length]) length++;
    if (length > best.length) best = { distance: at - candidate, length };
  }
  return best;
}

function sequence(literals: Buffer, distance = 0, matchLength = 4): Buffer {
  const match = matchLength - 4;
  const token = (Math.min(literals.length, 15) << 4) | Math.min(match, 15);
  const tail = distance === 0 ? [] : [distance & 0xff, distance >> 8, ...lengthBytes(match)];
  return Buffer.concat([
    Buffer.from([token, ...lengthBytes(literals.length)]),
    literals,
    Buffer.from(tail),
  ]);
}

function lengthBytes(length: number): number[] {
  if (length < 15) return [];
  const rest = length - 15;
  return [...Buffer.alloc(Math.floor(rest / 255), 255), rest % 255];
}
