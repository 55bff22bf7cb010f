import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeadLetterSearch } from '../dlq/dead-letter-search.ts';
import type { FailureCondition } from '../model/failure.ts';

/** The end of a message that failed for good and is not stored yet: it is tried again, and no handler gets the message. */
export interface PendingEnd {
  readonly condition: FailureCondition;
  /** Tries that a broker answered. */
  readonly tries: number;
  /** Dead-letter sends without an answer. */
  readonly unanswered: number;
  /** Epoch ms: a dead letter that was sent then or later may be stored. undefined: none was sent without an answer. */
  readonly inDoubtSince: number | undefined;
  /** Looks for that dead letter, across the tries; undefined: it was not looked for yet. */
  readonly search: DeadLetterSearch | undefined;
  /** Looks in a row that had no answer. */
  readonly unknownLooks: number;
  /** Failed deliveries that the broker had not counted when the end began. */
  readonly localRetries: number;
}

export class PendingEnds {
  /** undefined: none was postponed yet. Asked for every message. */
  #ends: WeakMap<QueueEntry, PendingEnd> | undefined;

  of(entry: QueueEntry): PendingEnd | undefined {
    return this.#ends?.get(entry);
  }

  /** The end was tried, here or by an earlier holder, and is not stored. */
  postpone(entry: QueueEntry, end: PendingEnd): void {
    this.#ends ??= new WeakMap();
    this.#ends.set(entry, end);
  }

  /** The message has its end. */
  stored(entry: QueueEntry): void {
    this.#ends?.delete(entry);
  }
}

/** Looks back so far for the dead letter of a record whose store time cannot be read. */
const LOOK_BACK_MS = 20 * 60_000;

/**
 * An end that begins with this holder. Failures that an earlier holder counted may be a try of that
 * end, whose send had no answer: so its dead letter is looked for. It is no older than the message.
 */
export function beginEnd(
  { countedBefore, message, undecodable, since }: BegunEntry,
  condition: FailureCondition,
  localRetries: number,
): PendingEnd {
  const storedAt = (message ?? undecodable?.unopened)?.storeTimestamp ?? since - LOOK_BACK_MS;
  return {
    ...{ condition, tries: 0, unanswered: 0, localRetries, search: undefined, unknownLooks: 0 },
    inDoubtSince: countedBefore > 0 ? storedAt : undefined,
  };
}

type BegunEntry = Pick<QueueEntry, 'countedBefore' | 'message' | 'undecodable' | 'since'>;
