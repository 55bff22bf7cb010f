import { LimitExceededError, ProtocolError } from '../errors.ts';
import type { RemotingCommand } from './command.ts';
import { decodeFrame } from './frame.ts';
import { DEFAULT_LIMITS } from './limits.ts';

const LENGTH_BYTES = 4;
/** Serialize type and header length. */
const MIN_LENGTH = 4;

/**
 * Bytes in, commands out: for any chunking, without knowing where they come from.
 * The announced length is checked as soon as it is known; at most one frame is gathered at a time. After an error the stream is lost. Mirrors NettyDecoder.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  /** Chunks of the frame in progress, not yet joined: joining once keeps many small chunks linear. */
  #chunks: Buffer[] = [];
  #buffered = 0;
  /** Bytes of the frame in progress with its length field; 0 while that is unknown. */
  #frameBytes = 0;

  constructor(limits: { readonly maxFrameBytes?: number } = {}) {
    this.#maxFrameBytes = limits.maxFrameBytes ?? DEFAULT_LIMITS.maxFrameBytes;
  }

  /** Bytes of the frame in progress that have arrived. */
  get buffered(): number {
    return this.#buffered;
  }

  /** @throws ProtocolError, LimitExceededError */
  push(chunk: Buffer): RemotingCommand[] {
    if (chunk.length === 0) return [];
    const commands: RemotingCommand[] = [];
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    for (;;) {
      if (this.#frameBytes === 0) {
        if (this.#buffered < LENGTH_BYTES) return commands;
        this.#frameBytes = LENGTH_BYTES + this.#readLength();
      }
      if (this.#buffered < this.#frameBytes) return commands;
      const joined = this.#join();
      const frame = joined.subarray(0, this.#frameBytes);
      const rest = joined.subarray(this.#frameBytes);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#buffered = rest.length;
      this.#frameBytes = 0;
      commands.push(decodeFrame(frame));
    }
  }

  #readLength(): number {
    const first = this.#chunks[0] as Buffer;
    const head = first.length >= LENGTH_BYTES ? first : this.#join();
    const length = head.readInt32BE(0);
    if (length < MIN_LENGTH) throw new ProtocolError(`a frame announces ${length} bytes: the peer does not speak the remoting protocol`);
    if (length > this.#maxFrameBytes)
      throw new LimitExceededError(`a frame announces ${length} bytes, over the limit of ${this.#maxFrameBytes}`);
    return length;
  }

  #join(): Buffer {
    const only = this.#chunks.length === 1 ? this.#chunks[0] : undefined;
    if (only !== undefined) return only;
    const joined = Buffer.concat(this.#chunks, this.#buffered);
    this.#chunks = [joined];
    return joined;
  }
}
