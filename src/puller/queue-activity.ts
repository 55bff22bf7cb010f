import type { Clock } from '../ports/clock.ts';

/** When the queue last had something to do, and whether its broker answers: what decides that it is idle. */
export class QueueActivity {
  readonly #clock: Clock;
  #lastMessageAt: number;
  #isReachable = true;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMessageAt = clock.now();
  }

  /** Epoch ms. */
  get lastMessageAt(): number {
    return this.#lastMessageAt;
  }

  /** The last pull or pop had an answer. */
  get isReachable(): boolean {
    return this.#isReachable;
  }

  /** Messages arrived, or the queue was not allowed to ask for any. */
  touch(): void {
    this.#lastMessageAt = this.#clock.now();
  }

  answered(): void {
    this.#isReachable = true;
  }

  failed(): void {
    this.#isReachable = false;
  }

  isIdle(idleTimeoutMs: number | 'never'): boolean {
    if (idleTimeoutMs === 'never') return false;
    return this.#clock.now() - this.#lastMessageAt >= idleTimeoutMs;
  }
}
