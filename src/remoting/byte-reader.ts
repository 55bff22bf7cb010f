import { ProtocolError } from '../errors.ts';

/** Big-endian reads from a buffer, in order; every read checks its bounds first. `what` names the field in the ProtocolError of an overrun. */
export class ByteReader {
  readonly buffer: Buffer;
  offset: number;
  readonly end: number;

  constructor(buffer: Buffer, offset = 0, end = buffer.length) {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  #advance(bytes: number, what: string): number {
    if (bytes < 0 || bytes > this.end - this.offset)
      throw new ProtocolError(
        `${what} of ${bytes} bytes at ${this.offset} reaches beyond the end at ${this.end}`,
      );
    const at = this.offset;
    this.offset += bytes;
    return at;
  }

  uint8(what = 'a field'): number {
    return this.buffer.readUInt8(this.#advance(1, what));
  }

  int16(what = 'a field'): number {
    return this.buffer.readInt16BE(this.#advance(2, what));
  }

  uint16(what = 'a field'): number {
    return this.buffer.readUInt16BE(this.#advance(2, what));
  }

  int32(what = 'a field'): number {
    return this.buffer.readInt32BE(this.#advance(4, what));
  }

  /** Little-endian, as LZ4 frames have it. */
  uint32le(what = 'a field'): number {
    return this.buffer.readUInt32LE(this.#advance(4, what));
  }

  int64(what = 'a field'): bigint {
    return this.buffer.readBigInt64BE(this.#advance(8, what));
  }

  /** A view, not a copy. */
  bytes(length: number, what = 'a field'): Buffer {
    const at = this.#advance(length, what);
    return this.buffer.subarray(at, at + length);
  }

  utf8(length: number, what = 'a field'): string {
    const at = this.#advance(length, what);
    return this.buffer.toString('utf8', at, at + length);
  }
}
