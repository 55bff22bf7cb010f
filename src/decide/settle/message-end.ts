import type { FailureCondition } from '../../model/failure.ts';
import type { Redelivery } from '../retry/redelivery.ts';

/** A redelivery, and not the end of the message. */
export type Again = Exclude<Redelivery, { kind: 'dlq' | 'drop' }>;

/** What becomes of one message. */
export type MessageEnd =
  | { readonly kind: 'done' }
  /** Done, though it failed. */
  | { readonly kind: 'drop' }
  /** The broker gives it again, and counts the failure. */
  | { readonly kind: 'redeliver'; readonly redelivery: Again }
  /** Failed for good: `onFailure`, the DLQ, or the log. */
  | { readonly kind: 'dead-letter'; readonly condition: FailureCondition }
  /** Delivered again in its place; what is behind it waits. The failure is counted here. */
  | { readonly kind: 'suspend'; readonly suspendMs: number; readonly failures: number }
  /** Behind a message of its lane that failed: whatever the handler did with it does not count. */
  | { readonly kind: 'untouched' };

/** What a rule uses of a message. */
export interface SettledMessage {
  /** Its lane, where the source keeps an order; undefined: a lane of its own. */
  readonly lane: string | undefined;
  /** Failed deliveries before this one. */
  readonly failures: number;
  /** Redeliveries before it has failed for good. */
  readonly maxFailures: number;
}

/** What the handler said of one message; undefined: done. */
export type MessageVerdict = Redelivery | 'default' | undefined;
