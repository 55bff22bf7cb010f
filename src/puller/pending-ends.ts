import type { FailureCondition } from '../model/failure.ts';

/** The end of a message that failed for good and is not stored yet: it is tried again, and no handler gets the message. */
export interface PendingEnd {
  readonly condition: FailureCondition;
  /** Tries that a broker answered. */
  readonly tries: number;
  /** Dead-letter sends without an answer. */
  readonly unanswered: number;
  /** Failed deliveries that the broker had not counted when the end began. */
  readonly localRetries: number;
}
