import { AddressRefusedError, type ConnectionError, PeerFloodError } from '../errors.ts';
import type { TlsOptions } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import { Connection, type ConnectionOptions, NotConnectedError } from './connection.ts';
import type { DialRules } from './dial-rules.ts';
import { openSocket } from './open-socket.ts';
import { within } from './within.ts';

const FIRST_BACKOFF_MS = 100;
/** Shorter than a request waits (3 s): an address that is back is asked before any request gives up. */
const LONGEST_BACKOFF_MS = 2000;
/** A name server that announces ever new addresses fills neither log nor memory. */
const MAX_REFUSED = 100;

interface Failures {
  readonly count: number;
  readonly notBefore: number;
  /** The error's message. */
  readonly last: string | AddressRefusedError;
}

export interface PoolDeps {
  readonly tls?: TlsOptions | undefined;
  readonly options?: ConnectionOptions;
  readonly clock: Clock;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly logger?: Logger | undefined;
  /** Absent: every address is dialled. */
  readonly rules?: DialRules | undefined;
}

/**
 * One connection per address, made on first use and again after it broke. An address that refuses, or hangs up before it answered anything, is
 * asked again after an exponential back-off with full jitter, so that many pullers do not storm a broker that comes back.
 */
export class ConnectionPool {
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #failures = new Map<string, Failures>();
  /** Addresses whose refusal stands in the log. */
  readonly #refused = new Set<string>();
  readonly #deps: PoolDeps;
  #generation = new AbortController();
  #closed = false;

  constructor(deps: PoolDeps) {
    this.#deps = deps;
  }

  /** @throws NotConnectedError, or the signal's reason */
  async get(
    address: string,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Connection> {
    if (this.#closed)
      throw new NotConnectedError(address, `no connection to ${address}: the client is closed`);
    // The attempt is shared, so one caller's signal or deadline must not end it.
    return within(this.#connections.get(address) ?? this.#start(address), {
      ...options,
      timeoutError: () => this.#timeoutError(address, options.timeoutMs),
    });
  }

  #timeoutError(address: string, timeoutMs: number): ConnectionError {
    const last = this.#failures.get(address)?.last;
    if (last instanceof AddressRefusedError) return last;
    const message = last ?? `cannot connect to ${address} within ${timeoutMs} ms`;
    return new NotConnectedError(address, message);
  }

  /** Drops every connection and attempt; the pool stays usable. For an environment that slept, whose sockets may have died meanwhile. */
  reset(): void {
    const all = [...this.#connections.values()];
    this.#connections.clear();
    this.#failures.clear();
    this.#generation.abort(new NotConnectedError('', 'the connections of this client were closed'));
    this.#generation = new AbortController();
    for (const opening of all)
      opening.then(
        (connection) => connection.close(),
        () => {},
      );
  }

  close(): void {
    this.#closed = true;
    this.reset();
  }

  #start(address: string): Promise<Connection> {
    const { signal } = this.#generation;
    const opening = this.#open(address, signal);
    this.#connections.set(address, opening);
    const isCurrent = (): boolean => this.#connections.get(address) === opening;
    const lost = (error: unknown, answered: boolean): void => {
      // After a reset, or a close of our own, nobody counts.
      if (!isCurrent()) return;
      this.#connections.delete(address);
      if (answered) this.#failures.delete(address);
      else this.#countFailure(address, error);
    };
    opening.then(
      (connection) => {
        this.#deps.logger?.debug({ address }, 'connected');
        connection.onClose((error: ConnectionError) => {
          const isFlood = error instanceof PeerFloodError;
          if (isCurrent()) this.#reportEnd(address, error);
          // A peer that floods would do so again at once.
          lost(error, connection.answered && !isFlood);
        });
      },
      (error: unknown) => lost(error, false),
    );
    return opening;
  }

  async #open(address: string, signal: AbortSignal): Promise<Connection> {
    const { clock, tls, options, rules } = this.#deps;
    const wait = (this.#failures.get(address)?.notBefore ?? 0) - clock.now();
    if (wait > 0) await clock.sleep(wait, signal);
    const socket = await openSocket(address, tls, signal, rules);
    const connection = new Connection(address, socket, options);
    // Aborted between the socket's connect and here.
    if (signal.aborted) connection.close();
    return connection;
  }

  #reportEnd(address: string, error: ConnectionError): void {
    const { logger } = this.#deps;
    if (error instanceof PeerFloodError)
      logger?.warn({ code: error.code, address, err: error }, 'flooding server disconnected');
    else logger?.info({ address, err: error }, 'a connection ended');
  }

  #reportRefused(address: string, { code, reason }: AddressRefusedError): void {
    if (this.#refused.has(address) || this.#refused.size === MAX_REFUSED) return;
    this.#refused.add(address);
    this.#deps.logger?.warn({ code, address, reason }, 'broker address refused');
  }

  #countFailure(address: string, error: unknown): void {
    const count = (this.#failures.get(address)?.count ?? 0) + 1;
    const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (count - 1));
    const isRefused = error instanceof AddressRefusedError;
    if (isRefused) this.#reportRefused(address, error);
    this.#failures.set(address, {
      count,
      notBefore: this.#deps.clock.now() + this.#deps.random() * ceiling,
      last: isRefused ? error : error instanceof Error ? error.message : String(error),
    });
  }
}
