import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { FailureCondition } from '../model/failure.ts';

/** The end of a message that failed for good and is not stored yet: it is tried again, and no handler gets the message. */
export interface PendingEnd {
  readonly condition: FailureCondition;
  /** Tries that a broker answered. */
  readonly tries: number;
  /** Dead-letter sends without an answer. */
  readonly unanswered: number;
  /** An earlier holder may have begun it with a send that had no answer, and it was not looked for yet. */
  readonly byEarlierHolder: boolean;
  /** Failed deliveries that the broker had not counted when the end began. */
  readonly localRetries: number;
}

export class PendingEnds {
  readonly #ends = new WeakMap<QueueEntry, PendingEnd>();

  of(entry: QueueEntry): PendingEnd | undefined {
    return this.#ends.get(entry);
  }

  /** The end was tried, here or by an earlier holder, and is not stored. */
  postpone(entry: QueueEntry, end: PendingEnd): void {
    this.#ends.set(entry, end);
  }

  /** The message has its end. */
  stored(entry: QueueEntry): void {
    this.#ends.delete(entry);
  }
}
