import { LimitExceededError, ProtocolError } from '../../errors.ts';

/*
 * Block => sequence*
 *   sequence => token:8 (high nibble: literals, low nibble: match length - 4; 15 goes on in bytes) literals distance:le16
 * The last sequence has literals only.
 */
const MIN_MATCH = 4;
const LONG = 15;
/** Below this a loop is faster than a call. */
const SHORT_COPY = 24;

/** Decompressed bytes: they grow with what is there, and never past the limit. */
export class Lz4Output {
  buffer: Buffer;
  length = 0;
  readonly #maxBytes: number;

  constructor(expectedBytes: number, maxBytes: number) {
    this.buffer = Buffer.allocUnsafe(Math.min(expectedBytes, maxBytes));
    this.#maxBytes = maxBytes;
  }

  /** Makes room for so many bytes more and answers where they go. */
  reserve(bytes: number): number {
    const at = this.length;
    const needed = at + bytes;
    if (needed > this.#maxBytes)
      throw new LimitExceededError(`a body decompresses to more than ${this.#maxBytes} bytes`);
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(this.#maxBytes, Math.max(needed, this.buffer.length * 2)),
      );
      this.buffer.copy(grown, 0, 0, at);
      this.buffer = grown;
    }
    this.length = needed;
    return at;
  }

  append(source: Buffer, start: number, end: number): void {
    const at = this.reserve(end - start);
    if (end - start > SHORT_COPY) source.copy(this.buffer, at, start, end);
    else for (let i = start; i < end; i++) this.buffer[at + i - start] = source[i] as number;
  }

  /** Repeats what stands `distance` bytes back. Source and target overlap when the match is longer than its distance. */
  repeat(distance: number, length: number): void {
    const at = this.reserve(length);
    const { buffer } = this;
    if (length > SHORT_COPY && distance >= length)
      buffer.copyWithin(at, at - distance, at - distance + length);
    else for (let i = at; i < at + length; i++) buffer[i] = buffer[i - distance] as number;
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/**
 * Decodes one block behind what the output holds; matches may reach back to `floor`.
 * @throws ProtocolError for damage, LimitExceededError for too much
 */
export function decodeLz4Block(block: Buffer, output: Lz4Output, floor: number): void {
  let at = 0;
  const longer = (): number => {
    let length = LONG;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw new ProtocolError('an LZ4 block ends in a length');
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = token >>> 4 === LONG ? longer() : token >>> 4;
    if (at + literals > block.length) throw new ProtocolError('an LZ4 block ends in its literals');
    output.append(block, at, at + literals);
    at += literals;
    if (at === block.length) return;
    if (at + 2 > block.length) throw new ProtocolError('an LZ4 block ends in a distance');
    const distance = (block[at] as number) | ((block[at + 1] as number) << 8);
    at += 2;
    const length = ((token & LONG) === LONG ? longer() : token & LONG) + MIN_MATCH;
    if (distance === 0 || distance > output.length - floor)
      throw new ProtocolError('an LZ4 match points before the beginning');
    output.repeat(distance, length);
  }
  throw new ProtocolError('an LZ4 block ends in a match');
}
