import type { Socket } from 'node:net';
import {
  AnswerDroppedError,
  ConnectionError,
  LimitExceededError,
  PeerFloodError,
  RequestTimeoutError,
} from '../errors.ts';
import { CutMap } from '../model/cut-map.ts';
import { onAbort } from '../model/on-abort.ts';
import { timerMs } from '../model/timer.ts';
import {
  isOneway,
  isResponse,
  ONEWAY_FLAG,
  RESPONSE_FLAG,
  type RemotingCommand,
} from '../remoting/command.ts';
import { encodeFrame } from '../remoting/frame.ts';
import { FrameDecoder, OversizedFrameError } from '../remoting/frame-decoder.ts';
import { OTHER_LANGUAGE } from '../remoting/language.ts';
import { DEFAULT_LIMITS } from '../remoting/limits.ts';
import { requestName } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import { ServerRequests } from './server-requests.ts';
import { tlsAdvice } from './tls.ts';

/**
 * The MQVersion ordinal that every command carries: 475 is V5_3_1. From 401 name servers answer routes in standard JSON, from 121 brokers honour
 * maxReconsumeTimes; above 475 a broker that shuts down would send GO_AWAY instead of closing, and newer ordinals promise what we do not do.
 */
export const CLIENT_VERSION = 475;

/** Characters of an error's text in an answer. */
const MAX_REMARK_LENGTH = 1000;
const NO_BODY = Buffer.alloc(0);
/** A request that had less time says nothing about its connection. NettyRemotingClient.MIN_CLOSE_TIMEOUT_MILLIS. */
const MIN_SILENCE_MS = 100;

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
  /** Epoch ms. Default: Date.now */
  readonly now?: () => number;
}

export interface OutgoingRequest {
  readonly code: number;
  readonly extFields: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** Asked when the header of the answer has come, by the bytes of its body. False: the body is not read, and the request fails with AnswerDroppedError. */
  readonly reserve?: ((bytes: number) => boolean) | undefined;
}

/** Nothing was sent: whoever gets this may repeat any request. Does not leave this folder. */
export class NotConnectedError extends ConnectionError {}

interface Pending {
  /** Of the request, for messages. */
  readonly name: string;
  readonly reserve: (bytes: number) => boolean;
  readonly resolve: (command: RemotingCommand) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One connection with many requests in flight. Answers are matched by opaque, in any order. A request that timed out ends the connection
 * when not one byte arrived while it waited; otherwise the connection stays open, and the late answer is read and dropped.
 * It keeps the process alive only while a request waits. Mirrors NettyRemotingClient's channel handling.
 */
export class Connection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #maxFrameBytes: number;
  readonly #pending = new CutMap<number, Pending>();
  readonly #onServerRequest: ServerRequestHandler | undefined;
  readonly #outbox: Outbox;
  readonly #serverRequests: ServerRequests;
  readonly #closeListeners: ((error: ConnectionError) => void)[] = [];
  #opaque = 0;
  /** Chunks that have arrived: a request that finds the same number at its time-out waited in silence. */
  #chunks = 0;
  #answered = false;
  #closed: ConnectionError | undefined;

  /** Takes over a connected socket. */
  constructor(address: string, socket: Socket, options: ConnectionOptions = {}) {
    this.address = address;
    this.#socket = socket;
    this.#onServerRequest = options.onServerRequest;
    this.#outbox = new Outbox(socket);
    this.#serverRequests = new ServerRequests(options.now ?? Date.now);
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_LIMITS.maxFrameBytes;
    this.#decoder = new FrameDecoder({
      maxFrameBytes: this.#maxFrameBytes,
      readOversized: true,
      // A late answer, which nothing waits for, is not read.
      wants: (head, bytes) =>
        isResponse(head)
          ? this.#pending.get(head.opaque)?.reserve(bytes) === true
          : this.#serverRequests.hasRoomFor(bytes),
    });
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
      const chunksBefore = this.#chunks;
      let outgoing: Outgoing | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        unlink();
        this.#pending.delete(opaque);
        this.#decoder.dropResponse(opaque);
        outgoing?.remove();
      };
      const onTimeout = (): void => {
        if (!this.#pending.has(opaque)) return;
        const wasWaiting = outgoing?.isWaiting === true;
        settle();
        if (timeoutMs >= MIN_SILENCE_MS && this.#chunks === chunksBefore)
          this.#endInSilence(name, timeoutMs);
        reject(
          wasWaiting
            ? notRead(this.address, name, timeoutMs)
            : new RequestTimeoutError(this.address, name, timeoutMs),
        );
      };
      // The immediate lets the event loop read what has arrived: after a freeze, timers run before sockets.
      const timer = setTimeout(() => setImmediate(onTimeout), timerMs(timeoutMs));
      const unlink = onAbort(signal, () => {
        settle();
        reject(signal?.reason);
      });
      this.#pending.set(opaque, {
        name,
        reserve: request.reserve ?? (() => true),
        resolve: (command) => {
          settle();
          resolve(command);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      outgoing = this.#outbox.write(frame);
    });
  }

  /** Sends a request that nobody answers. */
  oneway(request: OutgoingRequest): void {
    if (this.#closed !== undefined) throw new NotConnectedError(this.address, this.#closed.message);
    this.#outbox.write(this.#frame(request, this.#nextOpaque(), ONEWAY_FLAG));
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

  #onData(chunk: Buffer): void {
    if (this.#closed !== undefined) return;
    this.#chunks++;
    try {
      for (const command of this.#decoder.push(chunk)) {
        // A server that was cut off in the middle of a chunk.
        if (this.#closed !== undefined) return;
        if (!isResponse(command)) this.#answer(command);
        else {
          this.#answered = true;
          this.#settle(command);
        }
      }
      if (this.#decoder.failure !== undefined) throw this.#decoder.failure;
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      if (cause instanceof OversizedFrameError) this.#rejectOversized(cause);
      this.#end(
        new ConnectionError(this.address, `${this.address} sent what cannot be read: ${message}`, {
          cause,
        }),
      );
    }
  }

  #settle(command: RemotingCommand): void {
    const pending = this.#pending.get(command.opaque);
    if (command.droppedBytes === undefined) pending?.resolve(command);
    else pending?.reject(new AnswerDroppedError(pending.name, command.droppedBytes));
  }

  /** The request whose answer is too large fails by that name: repeated as it is, it would end every connection. */
  #rejectOversized({ command, message }: OversizedFrameError): void {
    if (!isResponse(command)) return;
    const pending = this.#pending.get(command.opaque);
    pending?.reject(
      new LimitExceededError(`the answer of ${this.address} to ${pending.name} is ${message}`),
    );
  }

  /** Never throws, and leaves no promise behind that could reject. */
  #answer(command: RemotingCommand): void {
    const flood = this.#serverRequests.begin(
      command.droppedBytes ?? command.body.length,
      isOneway(command),
    );
    if (flood !== undefined) {
      this.#end(new PeerFloodError(this.address, flood));
      return;
    }
    const answer = this.#ownAnswer(command);
    // What is known at once is answered at once, in the order of the questions.
    if (answer instanceof Promise)
      answer
        .catch(failed)
        .then((found) => this.#writeAnswer(command, found))
        .catch((cause: unknown) => this.#endUnanswered(cause));
    else this.#writeAnswer(command, answer);
  }

  #writeAnswer(command: RemotingCommand, answer: ServerRequestAnswer | undefined): void {
    const done = (): void => this.#serverRequests.done(command.body.length, isOneway(command));
    if (isOneway(command) || this.#closed !== undefined) done();
    else this.#outbox.write(this.#answerFrame(command, answer ?? unsupported(command)), done);
  }

  /** An answer that fits no frame is replaced by one that says so. */
  #answerFrame(command: RemotingCommand, answer: ServerRequestAnswer): Buffer {
    const frame = ({ extFields = {}, remark, ...rest }: ServerRequestAnswer): Buffer =>
      this.#frame({ ...rest, extFields }, command.opaque, RESPONSE_FLAG, remark);
    try {
      return frame(answer);
    } catch (error) {
      return frame(failed(error));
    }
  }

  #ownAnswer(command: RemotingCommand): ReturnType<ServerRequestHandler> {
    try {
      return this.#onServerRequest?.(command, this.address);
    } catch (error) {
      return failed(error);
    }
  }

  #endUnanswered(cause: unknown): void {
    const message = `the connection to ${this.address} was closed here: its request could not be answered`;
    this.#end(new ConnectionError(this.address, message, { cause }));
  }

  #endInSilence(request: string, waitedMs: number): void {
    this.#end(
      new ConnectionError(
        this.address,
        `the connection to ${this.address} was closed here: nothing arrived on it while ${request} waited ${Math.round(waitedMs)} ms`,
      ),
    );
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

/** It never left. */
function notRead(address: string, request: string, waitedMs: number): NotConnectedError {
  return new NotConnectedError(
    address,
    `${request} was not sent to ${address} within ${Math.round(waitedMs)} ms: the server does not read what was sent before`,
    { maybeSent: false },
  );
}

/** A handler's bug is the handler's: the requests in flight have nothing to do with it. */
function failed(error: unknown): ServerRequestAnswer {
  return { code: ResponseCode.SYSTEM_ERROR, remark: remarkOf(error) };
}

/** What was thrown may be anything, also an object that has no text. */
function remarkOf(error: unknown): string {
  try {
    return String(error).slice(0, MAX_REMARK_LENGTH);
  } catch {
    return 'an error without a text';
  }
}

function unsupported({ code }: RemotingCommand): ServerRequestAnswer {
  return {
    code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    remark: `${requestName(code)} is not supported by this client`,
  };
}
