import { LimitExceededError, ProtocolError } from '../errors.ts';
import { RESPONSE_FLAG, type RemotingCommand } from './command.ts';
import { decodeFrame, decodeHead, headerTooLarge, LENGTH_BYTES, PREFIX_BYTES } from './frame.ts';
import { DEFAULT_LIMITS, MAX_HEADER_BYTES } from './limits.ts';

const FIRST_BUFFER_BYTES = 4096;

/** A frame over the limit whose header could be read, so that its request can be named. */
export class OversizedFrameError extends LimitExceededError {
  /** Without its body. */
  readonly command: RemotingCommand;
  constructor(message: string, command: RemotingCommand) {
    super(message);
    this.command = command;
  }
}

export interface FrameDecoderOptions {
  readonly maxFrameBytes?: number;
  /** Reads the header of a frame over the limit before it fails, with OversizedFrameError. Default: fails at its length field. */
  readonly readOversized?: boolean;
  /**
   * Asked when the header of a frame with a body has come. False: the body is passed over as it
   * arrives, and the command comes without it, with `droppedBytes`. Default: every body is read.
   */
  readonly wants?: (head: Header, bodyBytes: number) => boolean;
}

type Header = Omit<RemotingCommand, 'body'>;
const NO_BODY = Buffer.alloc(0);

/**
 * Cuts a stream into frames, however it was chunked. Knows nothing of sockets. Mirrors NettyDecoder.
 * A frame that lies whole in one chunk is decoded in place: its body is a view of the chunk. A frame over several chunks is gathered once, in a
 * buffer that grows with what has arrived, never by what was announced; only a body that `wants` has taken gets all of its buffer at once.
 * After an error the stream has no next frame: close the connection. Every later push throws the same error.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  /** The beginning of an unfinished frame, `#filled` bytes of it. */
  #partial: Buffer | undefined;
  #filled = 0;
  /** Bytes of the unfinished frame with its length field; 0 while the length field itself is incomplete. */
  #expected = 0;
  readonly #readOversized: boolean;
  readonly #wants: FrameDecoderOptions['wants'];
  /** Bytes of the unfinished frame while only its header is gathered; else 0. */
  #whole = 0;
  /** Of the unfinished frame, once `wants` has taken its body. */
  #head: Header | undefined;
  /** The command whose body is passed over, and how much of that is still to come. */
  #dropped: { readonly command: RemotingCommand; left: number } | undefined;
  /** The unfinished frame is over the limit, and only its header is gathered. */
  #oversized: LimitExceededError | undefined;
  #failure: Error | undefined;

  constructor({ maxFrameBytes, readOversized = false, wants }: FrameDecoderOptions = {}) {
    this.#maxFrameBytes = maxFrameBytes ?? DEFAULT_LIMITS.maxFrameBytes;
    this.#readOversized = readOversized;
    this.#wants = wants;
  }

  /** Bytes that wait for the rest of their frame. */
  get buffered(): number {
    return this.#filled;
  }

  /**
   * Commands whose last byte came with this chunk, in order. The chunk must not be written to afterwards.
   * Good frames before a bad one are given all the same: they may be answers that nobody must ask for again. Look at `failure` then.
   * @throws ProtocolError, LimitExceededError when there is no good frame before the bad one
   */
  push(chunk: Buffer): RemotingCommand[] {
    if (this.#failure) throw this.#failure;
    const commands: RemotingCommand[] = [];
    try {
      this.#push(chunk, commands);
    } catch (error) {
      this.#failure = error as Error;
      this.#partial = undefined;
      this.#head = undefined;
      this.#filled = 0;
      if (commands.length === 0) throw error;
    }
    return commands;
  }

  /** The response that is being read is not wanted any more: what is left of its body is passed over, and its buffer is free. */
  dropResponse(opaque: number): void {
    const head = this.#head;
    if (head === undefined || head.opaque !== opaque || (head.flag & RESPONSE_FLAG) === 0) return;
    this.#passOver(head, this.#expected - this.#filled);
  }

  /** Why the stream has ended here; undefined while it is good. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  #push(chunk: Buffer, commands: RemotingCommand[]): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#dropped !== undefined) {
        at += this.#drop(this.#dropped, chunk.length - at, commands);
        continue;
      }
      if (this.#filled > 0) {
        at += this.#gather(chunk, at);
        if (this.#expected > 0 && this.#filled === this.#expected) this.#complete(commands);
        continue;
      }
      const left = chunk.length - at;
      const size = left >= LENGTH_BYTES ? this.#frameSize(chunk, at) : 0;
      if (size > 0 && size <= left && this.#oversized === undefined) {
        commands.push(this.#decodeInPlace(chunk.subarray(at, at + size)));
        at += size;
      } else {
        if (size > 0) this.#begin(size);
        at += this.#gather(chunk, at);
      }
    }
  }

  #decodeInPlace(frame: Buffer): RemotingCommand {
    const command = decodeFrame(frame);
    const { length } = command.body;
    return length === 0 || this.#wants === undefined || this.#wants(command, length)
      ? command
      : { ...command, body: NO_BODY, droppedBytes: length };
  }

  /** The size of the next frame is known. */
  #begin(size: number): void {
    const readsHeaderFirst = this.#wants !== undefined && this.#oversized === undefined;
    this.#whole = readsHeaderFirst ? size : 0;
    this.#expected = readsHeaderFirst ? PREFIX_BYTES : size;
  }

  /** What was to be gathered next is there: the prefix, the header, the frame. */
  #complete(commands: RemotingCommand[]): void {
    if (this.#oversized !== undefined) {
      this.#gatherHeader(this.#oversized);
      return;
    }
    if (this.#whole > 0 && this.#gatherNext(this.#whole)) return;
    const head = this.#head;
    const headerEnd = head === undefined ? 0 : headerEndOf(this.#roomFor(this.#filled));
    const frame = this.#takePartial();
    commands.push(
      head === undefined ? decodeFrame(frame) : { ...head, body: frame.subarray(headerEnd) },
    );
  }

  /** Goes from the prefix to the header, and from there to the body. False: the frame is complete. @throws ProtocolError */
  #gatherNext(whole: number): boolean {
    const partial = this.#roomFor(this.#filled);
    const headerEnd = headerEndOf(partial);
    if (headerEnd - PREFIX_BYTES > MAX_HEADER_BYTES) throw headerTooLarge(headerEnd - PREFIX_BYTES);
    if (this.#filled < headerEnd && headerEnd <= whole) {
      this.#expected = headerEnd;
      return true;
    }
    this.#whole = 0;
    this.#expected = whole;
    // An impossible header is reported when the frame is decoded.
    if (headerEnd >= whole) return this.#filled < whole;
    const head = decodeHead(partial.subarray(0, headerEnd));
    if (this.#wants?.(head, whole - headerEnd) === false) this.#passOver(head, whole - headerEnd);
    else {
      this.#head = head;
      this.#roomFor(whole);
    }
    return true;
  }

  #passOver(head: Header, left: number): void {
    const bodyBytes = left + Math.max(0, this.#filled - headerEndOf(this.#roomFor(this.#filled)));
    this.#takePartial();
    this.#dropped = { command: { ...head, body: NO_BODY, droppedBytes: bodyBytes }, left };
  }

  #drop(
    dropped: { readonly command: RemotingCommand; left: number },
    available: number,
    commands: RemotingCommand[],
  ): number {
    const bytes = Math.min(dropped.left, available);
    dropped.left -= bytes;
    if (dropped.left === 0) {
      this.#dropped = undefined;
      commands.push(dropped.command);
    }
    return bytes;
  }

  /** Copies what the unfinished frame still lacks (its length field first) and answers how much that was. */
  #gather(chunk: Buffer, at: number): number {
    const wanted = (this.#expected || LENGTH_BYTES) - this.#filled;
    const taken = Math.min(wanted, chunk.length - at);
    const partial = this.#roomFor(this.#filled + taken);
    chunk.copy(partial, this.#filled, at, at + taken);
    this.#filled += taken;
    if (this.#expected === 0 && this.#filled === LENGTH_BYTES)
      this.#begin(this.#frameSize(partial, 0));
    return taken;
  }

  #roomFor(bytes: number): Buffer {
    const partial = this.#partial;
    if (partial && partial.length >= bytes) return partial;
    const doubled = Math.max(bytes, (partial?.length ?? 0) * 2, FIRST_BUFFER_BYTES);
    const larger = Buffer.allocUnsafeSlow(
      this.#expected > 0 ? Math.min(doubled, Math.max(this.#expected, this.#whole)) : doubled,
    );
    partial?.copy(larger, 0, 0, this.#filled);
    this.#partial = larger;
    return larger;
  }

  #takePartial(): Buffer {
    const frame = this.#roomFor(this.#filled).subarray(0, this.#filled);
    this.#partial = undefined;
    this.#filled = 0;
    this.#expected = 0;
    this.#whole = 0;
    this.#head = undefined;
    return frame;
  }

  #frameSize(buffer: Buffer, at: number): number {
    const length = buffer.readInt32BE(at);
    const size = length + LENGTH_BYTES;
    if (size < PREFIX_BYTES)
      throw new ProtocolError(
        `a frame of ${length} bytes cannot be: is this a RocketMQ remoting port, without TLS?`,
      );
    if (size <= this.#maxFrameBytes) return size;
    const error = new LimitExceededError(
      `a frame of ${size} bytes, over the limit of ${this.#maxFrameBytes}`,
    );
    if (!this.#readOversized) throw error;
    this.#oversized = error;
    return LENGTH_BYTES + 1;
  }

  /** Called as often as its part is complete: the type's byte, the prefix, the header. @throws LimitExceededError, ProtocolError */
  #gatherHeader(error: LimitExceededError): void {
    const partial = this.#roomFor(this.#filled);
    if (partial.readUInt8(LENGTH_BYTES) > 1) throw error;
    const headerBytes = this.#filled < PREFIX_BYTES ? 0 : partial.readUIntBE(LENGTH_BYTES + 1, 3);
    if (headerBytes > MAX_HEADER_BYTES) throw error;
    this.#expected = PREFIX_BYTES + headerBytes;
    if (this.#filled < this.#expected) return;
    const frame = this.#takePartial();
    frame.writeInt32BE(frame.length - LENGTH_BYTES, 0);
    throw new OversizedFrameError(error.message, decodeFrame(frame));
  }
}

/** Where the header of a frame ends whose prefix is there. */
function headerEndOf(frame: Buffer): number {
  return PREFIX_BYTES + frame.readUIntBE(LENGTH_BYTES + 1, 3);
}
