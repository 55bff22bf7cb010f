import type { Socket } from 'node:net';
import { ConnectionError, RequestTimeoutError } from '../errors.ts';
import { isOneway, isResponse, ONEWAY_FLAG, RESPONSE_FLAG, type RemotingCommand } from '../remoting/command.ts';
import { encodeFrame } from '../remoting/frame.ts';
import { FrameDecoder } from '../remoting/frame-decoder.ts';
import { OTHER_LANGUAGE } from '../remoting/language.ts';
import { requestName } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';

/**
 * The MQVersion ordinal that every command carries: 475 is V5_3_1. From 401 name servers answer routes in standard JSON, from 121 brokers honour
 * maxReconsumeTimes; above 475 a broker that shuts down would send GO_AWAY instead of closing, and newer ordinals promise what we do not do.
 */
export const CLIENT_VERSION = 475;

const NO_BODY = Buffer.alloc(0);

/** Answers a request of the server (code 40, 220, 307 …); undefined: not ours, it is answered with REQUEST_CODE_NOT_SUPPORTED. */
export type ServerRequestHandler = (
  command: RemotingCommand,
) => { code: number; remark?: string; extFields?: Record<string, string>; body?: Buffer } | undefined;

export interface ConnectionOptions {
  readonly maxFrameBytes?: number;
  readonly onServerRequest?: ServerRequestHandler;
}

export interface OutgoingRequest {
  readonly code: number;
  readonly extFields: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
}

interface Pending {
  readonly resolve: (command: RemotingCommand) => void;
  readonly reject: (error: unknown) => void;
  readonly request: string;
}

/**
 * One connection with many requests in flight. Answers are matched by opaque, in any order; a request that was given up leaves the connection good:
 * its late answer is read and dropped. Mirrors NettyRemotingClient's channel handling.
 */
export class Connection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #pending = new Map<number, Pending>();
  readonly #onServerRequest: ServerRequestHandler | undefined;
  readonly #onClose: (() => void)[] = [];
  #opaque = 0;
  #closed: ConnectionError | undefined;
  #corked = false;

  constructor(address: string, socket: Socket, options: ConnectionOptions = {}) {
    this.address = address;
    this.#socket = socket;
    this.#onServerRequest = options.onServerRequest;
    this.#decoder = new FrameDecoder(options.maxFrameBytes === undefined ? {} : { maxFrameBytes: options.maxFrameBytes });
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (cause) =>
      this.#end(new ConnectionError(address, `the connection to ${address} broke: ${cause.message}`, { cause })),
    );
    socket.on('close', () => this.#end(new ConnectionError(address, `the connection to ${address} was closed by the peer`)));
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  onClose(listener: () => void): void {
    if (this.closed) listener();
    else this.#onClose.push(listener);
  }

  /**
   * Sends a request and waits for its answer, whatever its code.
   * @throws RequestTimeoutError, ConnectionError, or the signal's reason
   */
  request(request: OutgoingRequest, timeoutMs: number, signal?: AbortSignal): Promise<RemotingCommand> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const opaque = this.#nextOpaque();
    const name = requestName(request.code);
    return new Promise((resolve, reject) => {
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
      }, timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(opaque, {
        request: name,
        resolve: (command) => {
          settle();
          resolve(command);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#write({ ...COMMAND, code: request.code, opaque, extFields: request.extFields, body: request.body ?? NO_BODY });
    });
  }

  /** Sends a request that nobody answers. */
  oneway(request: OutgoingRequest): void {
    if (this.#closed !== undefined) throw this.#closed;
    this.#write({
      ...COMMAND,
      code: request.code,
      opaque: this.#nextOpaque(),
      flag: ONEWAY_FLAG,
      extFields: request.extFields,
      body: request.body ?? NO_BODY,
    });
  }

  /** Ends it; everything in flight fails. */
  close(): void {
    this.#end(new ConnectionError(this.address, `the connection to ${this.address} was closed here`));
  }

  #nextOpaque(): number {
    this.#opaque = (this.#opaque + 1) & 0x7fffffff;
    return this.#opaque;
  }

  #write(command: RemotingCommand): void {
    // All that is written in one turn of the event loop leaves in one system call.
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(encodeFrame(command));
  }

  #onData(chunk: Buffer): void {
    if (this.#closed !== undefined) return;
    try {
      for (const command of this.#decoder.push(chunk)) {
        if (isResponse(command)) this.#pending.get(command.opaque)?.resolve(command);
        else this.#answer(command);
      }
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#end(new ConnectionError(this.address, `${this.address} sent what cannot be read: ${message}`, { cause }));
    }
  }

  #answer(command: RemotingCommand): void {
    const answer = this.#onServerRequest?.(command);
    if (isOneway(command)) return;
    const { code, remark, extFields, body } = answer ?? {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: `${requestName(command.code)} is not supported by this client`,
    };
    this.#write({
      ...COMMAND,
      code,
      opaque: command.opaque,
      flag: RESPONSE_FLAG,
      remark,
      extFields: extFields ?? {},
      body: body ?? NO_BODY,
    });
  }

  #end(error: ConnectionError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#socket.destroy();
    for (const pending of [...this.#pending.values()]) pending.reject(error);
    for (const listener of this.#onClose) listener();
  }
}

const COMMAND = {
  code: 0,
  language: OTHER_LANGUAGE,
  version: CLIENT_VERSION,
  opaque: 0,
  flag: 0,
  remark: undefined,
  extFields: {},
  body: NO_BODY,
} as const;
