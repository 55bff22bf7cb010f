import { EventEmitter } from 'node:events';
import type { RemotingCommand } from '../../src/remoting/command.ts';
import { isOneway, isResponse, ONEWAY_FLAG, RESPONSE_FLAG } from '../../src/remoting/command.ts';
import { encodeFrame } from '../../src/remoting/frame.ts';
import { FrameDecoder } from '../../src/remoting/frame-decoder.ts';
import type { Answer } from '../../src/testing/broker/answer.ts';
import type { ServerConnection } from '../../src/testing/tcp-server.ts';
import type { Random } from '../kernel/random.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';
import type { Delay } from './disturbance.ts';

/** What happens to one request on its way. */
export type RequestFate =
  | { readonly kind: 'carried-out' }
  /** The server never sees it. */
  | { readonly kind: 'lost' }
  /** The server carries it out, and its answer is lost. */
  | { readonly kind: 'answer-lost' }
  /** The connection breaks before the server sees it, or after it was carried out. */
  | { readonly kind: 'disconnected'; readonly carriedOut: boolean }
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'refused'; readonly code: number; readonly remark: string };

export interface SimulatedServer {
  readonly address: string;
  readonly host: Host;
  /** refusing: nothing listens; silent: packets vanish. */
  state: 'up' | 'refusing' | 'silent';
  handle(
    command: RemotingCommand,
    connection: ServerConnection,
    answer: (answer: Answer) => void,
  ): void;
  closed(connection: ServerConnection): void;
}

export interface NetworkHooks {
  /** Asked for each request as it reaches its server. */
  fateOf(command: RemotingCommand, client: Host, server: SimulatedServer): RequestFate;
  /** Asked for each answer as it leaves its server. */
  losesAnswer(request: RemotingCommand, client: Host): boolean;
  /** Told of each answer as it leaves its server. */
  onAnswer(request: RemotingCommand, answer: Answer, client: Host, server: SimulatedServer): void;
  /** Told of each request as its client sends it. */
  onSend(command: RemotingCommand, client: Host, server: SimulatedServer): void;
}

const LANGUAGE = 'JAVA';
const VERSION_5_5_0 = 513;
const NO_BODY = Buffer.alloc(0);
/** Of a packet that is not lost. */
const MAX_LATENCY_MS = 3;

/** Loopback without sockets: connections between hosts that carry bytes in order, with latency, until somebody cuts or mutes them. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #hooks: NetworkHooks;
  readonly #servers = new Map<string, SimulatedServer>();
  readonly #sockets = new Set<SimulatedSocket>();
  /** Packets that took longer than others, by the process at the client's end. */
  readonly delays: Delay[] = [];
  #ports = 40_000;

  constructor(scheduler: Scheduler, random: Random, hooks: NetworkHooks) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#hooks = hooks;
  }

  listen(server: SimulatedServer): void {
    this.#servers.set(server.address, server);
  }

  connect(client: Host, { host, port }: { host: string; port: number }): SimulatedSocket {
    const server = this.#servers.get(`${host}:${port}`);
    const socket = new SimulatedSocket(client, this.#ports++);
    this.#sockets.add(socket);
    const latency = this.#latency();
    this.#noteDelay(client, this.#scheduler.now + latency);
    this.#scheduler.schedule(latency, client, () => {
      if (socket.destroyed || server?.state === 'silent' || server?.host.state === 'frozen') return;
      if (server === undefined || server.state === 'refusing') {
        socket.fail(
          Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), {
            code: 'ECONNREFUSED',
          }),
        );
        return;
      }
      this.#open(socket, server);
      socket.emit('connect');
    });
    return socket;
  }

  /** Cuts every connection to the server: each client sees a reset. */
  cutServer(server: SimulatedServer): void {
    for (const socket of [...this.#sockets]) if (socket.server === server) this.#reset(socket);
  }

  /** Connections of a host that died. */
  cutClient(client: Host): void {
    for (const socket of [...this.#sockets]) if (socket.client === client) socket.destroy();
  }

  /** From now on nothing goes through the client's (or server's) connections, and no side is told. */
  mute(of: { readonly client?: Host; readonly server?: SimulatedServer }): number {
    let muted = 0;
    for (const socket of this.#sockets)
      if (socket.client === of.client || (of.server && socket.server === of.server)) {
        socket.muted = true;
        muted++;
      }
    return muted;
  }

  openSockets(client: Host): number {
    return [...this.#sockets].filter((socket) => socket.client === client && !socket.destroyed)
      .length;
  }

  #latency(): number {
    // Mostly a millisecond or two; now and then a packet is lost and sent again.
    return this.#random.chance(0.01)
      ? this.#random.int(200, 400)
      : this.#random.int(1, MAX_LATENCY_MS);
  }

  #noteDelay(host: Host, until: number): void {
    const from = this.#scheduler.now;
    if (until - from > MAX_LATENCY_MS) this.delays.push({ host, from, until });
  }

  #reset(socket: SimulatedSocket): void {
    this.#scheduler.schedule(1, socket.client, () => {
      if (!socket.muted)
        socket.fail(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    });
    socket.serverClosed?.();
  }

  #open(socket: SimulatedSocket, server: SimulatedServer): void {
    const decoder = new FrameDecoder();
    const remoteHost = { address: '10.0.0.1', port: socket.localPort };
    let [towardsServer, towardsClient] = [0, 0];
    let opaque = 0;
    let open = true;
    const scheduler = this.#scheduler;
    const toClient = (command: RemotingCommand, extraMs = 0): void => {
      if (!open) return;
      const frame = encodeFrame(command);
      // TCP keeps the order, a late answer is the server's own delay.
      const at = Math.max(towardsClient, scheduler.now + this.#latency());
      towardsClient = at;
      this.#noteDelay(socket.client, at);
      scheduler.schedule(at - scheduler.now + extraMs, socket.client, () => {
        if (!socket.destroyed && !socket.muted) socket.receive(frame);
      });
    };
    const connection: ServerConnection = {
      remoteAddress: `${remoteHost.address}:${remoteHost.port}`,
      remoteHost,
      answer: (request, answer) => respond(request, answer, 0),
      push: (code, extFields) =>
        toClient({
          ...{ code, language: LANGUAGE, version: VERSION_5_5_0, opaque: opaque++ },
          ...{ flag: ONEWAY_FLAG, remark: undefined, extFields, body: NO_BODY },
        }),
      close: () => this.#reset(socket),
    };
    const respond = (request: RemotingCommand, given: Answer, lateMs: number): void => {
      if (isOneway(request) || this.#hooks.losesAnswer(request, socket.client)) return;
      const { code, remark, extFields = {}, body = NO_BODY } = given;
      this.#hooks.onAnswer(request, given, socket.client, server);
      toClient(
        {
          ...{ code, language: LANGUAGE, version: VERSION_5_5_0, opaque: request.opaque },
          ...{ flag: RESPONSE_FLAG, remark, extFields, body },
        },
        lateMs,
      );
    };
    const take = (command: RemotingCommand): void => {
      const fate = this.#hooks.fateOf(command, socket.client, server);
      const carryOut = (answer: (answer: Answer) => void): void =>
        server.handle(command, connection, answer);
      switch (fate.kind) {
        case 'carried-out':
          carryOut((answer) => respond(command, answer, 0));
          return;
        case 'lost':
          return;
        case 'answer-lost':
          carryOut(() => {});
          return;
        case 'disconnected':
          if (fate.carriedOut) carryOut(() => {});
          this.#reset(socket);
          return;
        case 'late':
          carryOut((answer) => respond(command, answer, fate.ms));
          return;
        case 'refused':
          respond(command, fate, 0);
      }
    };
    socket.server = server;
    socket.serverClosed = () => {
      if (!open) return;
      open = false;
      this.#sockets.delete(socket);
      server.closed(connection);
    };
    socket.onDestroy = () => {
      if (socket.muted) this.#sockets.delete(socket);
      else scheduler.schedule(this.#latency(), server.host, () => socket.serverClosed?.());
    };
    const sent = new FrameDecoder();
    socket.transfer = (chunk) => {
      for (const command of sent.push(chunk))
        if (!isResponse(command)) this.#hooks.onSend(command, socket.client, server);
      if (socket.muted || server.state === 'silent') return;
      const at = Math.max(towardsServer, scheduler.now + this.#latency());
      towardsServer = at;
      this.#noteDelay(socket.client, at);
      scheduler.schedule(at - scheduler.now, server.host, () => {
        if (!open || socket.muted || server.state !== 'up') return;
        for (const command of decoder.push(chunk)) if (!isResponse(command)) take(command);
      });
    };
  }
}

/** The part of net.Socket that the client uses. */
export class SimulatedSocket extends EventEmitter {
  readonly client: Host;
  readonly localPort: number;
  server: SimulatedServer | undefined;
  destroyed = false;
  readonly readableEnded = false;
  bytesRead = 0;
  bytesWritten = 0;
  muted = false;
  transfer: ((chunk: Buffer) => void) | undefined;
  serverClosed: (() => void) | undefined;
  onDestroy: (() => void) | undefined;
  #corked = 0;
  #buffered: Buffer[] = [];

  constructor(client: Host, localPort: number) {
    super();
    this.client = client;
    this.localPort = localPort;
  }

  write(chunk: Buffer): boolean {
    if (this.destroyed) return false;
    this.bytesWritten += chunk.length;
    this.#buffered.push(chunk);
    if (this.#corked === 0) this.#flush();
    return true;
  }

  cork(): void {
    this.#corked++;
  }

  uncork(): void {
    this.#corked--;
    if (this.#corked === 0) this.#flush();
  }

  #flush(): void {
    if (this.destroyed || this.#buffered.length === 0) return;
    const [first] = this.#buffered;
    const chunk = this.#buffered.length === 1 ? first! : Buffer.concat(this.#buffered);
    this.#buffered = [];
    this.transfer?.(chunk);
  }

  receive(frame: Buffer): void {
    this.bytesRead += frame.length;
    this.emit('data', frame);
  }

  fail(error: Error): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('error', error);
    this.emit('close', true);
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.onDestroy?.();
    if (this.client.state === 'running') process.nextTick(() => this.emit('close', false));
    return this;
  }

  end(): this {
    return this.destroy();
  }

  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
