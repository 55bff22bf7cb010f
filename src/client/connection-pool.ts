import type { TlsOptions } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { openSocket } from './open-socket.ts';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5000;

interface Failures {
  readonly count: number;
  readonly notBefore: number;
}

/**
 * One connection per address, made on first use and again after it broke. An address that refuses is asked again after an exponential
 * back-off with full jitter, so that many pullers do not storm a broker that comes back.
 */
export class ConnectionPool {
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #failures = new Map<string, Failures>();
  readonly #tls: TlsOptions | undefined;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #closed = false;

  constructor(deps: { tls?: TlsOptions | undefined; options?: ConnectionOptions; clock: Clock; random: () => number }) {
    this.#tls = deps.tls;
    this.#options = deps.options ?? {};
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** @throws ConnectionError, or the signal's reason */
  async get(address: string, signal?: AbortSignal): Promise<Connection> {
    const known = this.#connections.get(address);
    if (known !== undefined) return withSignal(known, signal);
    // The attempt is shared, so one caller's signal must not end it.
    const opening = this.#open(address);
    this.#connections.set(address, opening);
    opening.then(
      (connection) => connection.onClose(() => this.#forget(address, opening)),
      () => this.#forget(address, opening),
    );
    return withSignal(opening, signal);
  }

  /** Closes every connection; the pool stays usable. For a thawed environment, whose sockets may have died in its sleep. */
  async reset(): Promise<void> {
    const all = [...this.#connections.values()];
    this.#connections.clear();
    this.#failures.clear();
    for (const result of await Promise.allSettled(all)) if (result.status === 'fulfilled') result.value.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.reset();
  }

  async #open(address: string): Promise<Connection> {
    const failed = this.#failures.get(address);
    const wait = failed === undefined ? 0 : failed.notBefore - this.#clock.now();
    if (wait > 0) await this.#clock.sleep(wait);
    try {
      const connection = new Connection(address, await openSocket(address, this.#tls), this.#options);
      this.#failures.delete(address);
      if (this.#closed) connection.close();
      return connection;
    } catch (error) {
      const count = (failed?.count ?? 0) + 1;
      const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (count - 1));
      this.#failures.set(address, { count, notBefore: this.#clock.now() + this.#random() * ceiling });
      throw error;
    }
  }

  #forget(address: string, opening: Promise<Connection>): void {
    if (this.#connections.get(address) === opening) this.#connections.delete(address);
  }
}

function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
