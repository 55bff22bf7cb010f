import type { Socket } from 'node:net';
import { ConnectionError, LimitExceededError, RequestTimeoutError } from '../errors.ts';
import { timerMs } from '../model/timer.ts';
import {
  isOneway,
  isResponse,
  ONEWAY_FLAG,
  RESPONSE_FLAG,
  type RemotingCommand,
} from '../remoting/command.ts';
import { encodeFrame } from '../remoting/frame.ts';
import { FrameDecoder } from '../remoting/frame-decoder.ts';
import { OTHER_LANGUAGE } from '../remoting/language.ts';
import { DEFAULT_LIMITS } from '../remoting/limits.ts';
import { requestName } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import { tlsAdvice } from './tls.ts';

/**
 * The MQVersion ordinal that every command carries: 475 is V5_3_1. From 401 name servers answer routes in standard JSON, from 121 brokers honour
 * maxReconsumeTimes; above 475 a broker that shuts down would send GO_AWAY instead of closing, and newer ordinals promise what we do not do.
 */
export const CLIENT_VERSION = 475;

const NO_BODY = Buffer.alloc(0);

/** What a server request is answered with. */
export interface ServerRequestAnswer {
  readonly code: number;
  readonly remark?: string;
  readonly extFields?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** Takes a request of the server (code 40, 220, 307 …); undefined: not ours, it is answered with REQUEST_CODE_NOT_SUPPORTED. */
export type ServerRequestHandler = (
  command: RemotingCommand,
  address: string,
) => ServerRequestAnswer | undefined | Promise<ServerRequestAnswer | undefined>;

export interface ConnectionOptions {
  readonly maxFrameBytes?: number;
  readonly onServerRequest?: ServerRequestHandler;
}

export interface OutgoingRequest {
  readonly code: number;
  readonly extFields: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
}

/** Nothing was sent: whoever gets this may repeat any request. Does not leave this folder. */
export class NotConnectedError extends ConnectionError {}

interface Pending {
  readonly resolve: (command: RemotingCommand) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One connection with many requests in flight. Answers are matched by opaque, in any order; a request that was given up leaves the connection good:
 * its late answer is read and dropped. It keeps the process alive only while a request waits. Mirrors NettyRemotingClient's channel handling.
 */
export class Connection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #maxFrameBytes: number;
  readonly #pending = new Map<number, Pending>();
  readonly #onServerRequest: ServerRequestHandler | undefined;
  readonly #closeListeners: ((error: ConnectionError) => void)[] = [];
  #opaque = 0;
  #answered = false;
  #closed: ConnectionError | undefined;
  #corked = false;

  /** Takes over a connected socket. */
  constructor(address: string, socket: Socket, options: ConnectionOptions = {}) {
    this.address = address;
    this.#socket = socket;
    this.#onServerRequest = options.onServerRequest;
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_LIMITS.maxFrameBytes;
    this.#decoder = new FrameDecoder({ maxFrameBytes: this.#maxFrameBytes });
    // The timer of a request that waits keeps the process alive, not an idle connection.
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (cause) =>
      this.#end(
        new ConnectionError(
          address,
          `the connection to ${address} broke: ${cause.message.trim()}${tlsAdvice(cause)}`,
          { cause },
        ),
      ),
    );
    // A peer that ends its half has nothing more to say: what is in flight will never be answered.
    socket.on('end', () => this.#endByPeer());
    socket.on('close', () => this.#endByPeer());
    if (socket.destroyed || socket.readableEnded) this.#endByPeer();
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** True once the server has answered anything. */
  get answered(): boolean {
    return this.#answered;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  onClose(listener: (error: ConnectionError) => void): void {
    if (this.#closed !== undefined) listener(this.#closed);
    else this.#closeListeners.push(listener);
  }

  /**
   * Sends a request and waits for its answer, whatever its code.
   * @throws RequestTimeoutError, ConnectionError, LimitExceededError, or the signal's reason
   */
  request(
    request: OutgoingRequest,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<RemotingCommand> {
    if (this.#closed !== undefined)
      return Promise.reject(new NotConnectedError(this.address, this.#closed.message));
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const opaque = this.#nextOpaque();
    const name = requestName(request.code);
    return new Promise((resolve, reject) => {
      const frame = this.#frame(request, opaque, 0);
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(opaque);
      };
      const onAbort = (): void => {
        settle();
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        settle();
        reject(new RequestTimeoutError(this.address, name, timeoutMs));
      }, timerMs(timeoutMs));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(opaque, {
        resolve: (command) => {
          settle();
          resolve(command);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#write(frame);
    });
  }

  /** Sends a request that nobody answers. */
  oneway(request: OutgoingRequest): void {
    if (this.#closed !== undefined) throw new NotConnectedError(this.address, this.#closed.message);
    this.#write(this.#frame(request, this.#nextOpaque(), ONEWAY_FLAG));
  }

  /** Ends it; everything in flight fails. */
  close(): void {
    this.#end(
      new ConnectionError(this.address, `the connection to ${this.address} was closed here`),
    );
  }

  #nextOpaque(): number {
    this.#opaque = (this.#opaque + 1) & 0x7fffffff;
    return this.#opaque;
  }

  #frame(
    { code, extFields, body = NO_BODY }: OutgoingRequest,
    opaque: number,
    flag: number,
    remark?: string,
  ): Buffer {
    const frame = encodeFrame({
      code,
      language: OTHER_LANGUAGE,
      version: CLIENT_VERSION,
      opaque,
      flag,
      remark,
      extFields,
      body,
    });
    // The peer would close the connection without a word, and every other request on it would fail too.
    if (frame.length > this.#maxFrameBytes)
      throw new LimitExceededError(
        `${requestName(code)} takes ${frame.length} bytes, more than the frame limit of ${this.#maxFrameBytes}`,
      );
    return frame;
  }

  #write(frame: Buffer): void {
    // All that is written in one turn of the event loop leaves in one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  #onData(chunk: Buffer): void {
    if (this.#closed !== undefined) return;
    try {
      for (const command of this.#decoder.push(chunk)) {
        if (!isResponse(command)) void this.#answer(command);
        else {
          this.#answered = true;
          this.#pending.get(command.opaque)?.resolve(command);
        }
      }
      if (this.#decoder.failure !== undefined) throw this.#decoder.failure;
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#end(
        new ConnectionError(this.address, `${this.address} sent what cannot be read: ${message}`, {
          cause,
        }),
      );
    }
  }

  async #answer(command: RemotingCommand): Promise<void> {
    const pending = this.#ownAnswer(command);
    // What is known at once is answered at once, in the order of the questions.
    const answer = pending instanceof Promise ? await pending.catch(failed) : pending;
    if (isOneway(command) || this.#closed !== undefined) return;
    const { extFields = {}, remark, ...rest } = answer ?? unsupported(command);
    this.#write(this.#frame({ ...rest, extFields }, command.opaque, RESPONSE_FLAG, remark));
  }

  #ownAnswer(command: RemotingCommand): ReturnType<ServerRequestHandler> {
    try {
      return this.#onServerRequest?.(command, this.address);
    } catch (error) {
      return failed(error);
    }
  }

  #endByPeer(): void {
    const hint = this.#answered
      ? ''
      : ' before it answered anything: it may be no RocketMQ remoting port, or want TLS';
    this.#end(
      new ConnectionError(
        this.address,
        `the connection to ${this.address} was closed by the peer${hint}`,
      ),
    );
  }

  #end(error: ConnectionError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) pending.reject(error);
    for (const listener of this.#closeListeners) listener(error);
  }
}

/** A handler's bug is the handler's: the requests in flight have nothing to do with it. */
function failed(error: unknown): ServerRequestAnswer {
  return { code: ResponseCode.SYSTEM_ERROR, remark: String(error) };
}

function unsupported({ code }: RemotingCommand): ServerRequestAnswer {
  return {
    code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    remark: `${requestName(code)} is not supported by this client`,
  };
}
