import { handlerKey, type SubscriptionConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { QueueCounts } from './queue-counts.ts';

/** A handler that no call has reached for this long is unavailable. The longest back-off between two calls. */
const UNAVAILABLE_AFTER_MS = 10_000;

/** Which handlers of a queue calls do not reach, and since when. `UnavailableHandlerCount` reports it at every further call. */
export class HandlerReach {
  readonly #clock: Clock;
  readonly #counts: Pick<QueueCounts, 'count'>;
  /** By handler. Epoch ms. */
  readonly #missedSince = new Map<string, number>();

  constructor({
    clock,
    counts,
  }: {
    readonly clock: Clock;
    readonly counts: Pick<QueueCounts, 'count'>;
  }) {
    this.#clock = clock;
    this.#counts = counts;
  }

  reached({ handler }: SubscriptionConfig): void {
    this.#missedSince.delete(handlerKey(handler));
  }

  /** The call was throttled, or the connection failed. */
  missed({ handler }: SubscriptionConfig): void {
    const key = handlerKey(handler);
    const now = this.#clock.now();
    const since = this.#missedSince.get(key) ?? now;
    this.#missedSince.set(key, since);
    if (now - since >= UNAVAILABLE_AFTER_MS) this.#counts.count('UnavailableHandlerCount');
  }

  /** The handler is missing, or may not be called: no repetition changes that. */
  refused(): void {
    this.#counts.count('UnavailableHandlerCount');
  }
}
