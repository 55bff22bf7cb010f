import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Again } from '../decide/settle/message-end.ts';
import type { Delivery } from './work.ts';

/** What of a message is used for its end. */
export type Content = Pick<QueueEntry, 'message' | 'undecodable' | 'localRetries'>;

/**
 * Carries out the ends of messages, by how they came: pulled ones have their place in the queue, and
 * their offset is committed; popped ones are answered one by one.
 */
export interface EndCarrier {
  /** Is the message still this puller's to end? One that is not any more comes again, or never was to come. */
  owns(entry: QueueEntry): boolean;
  /** The messages are done. @returns how many of them were this puller's */
  finish(entries: readonly QueueEntry[]): Promise<number>;
  /** A failed message comes again. @param maxFailures redeliveries before it has failed for good */
  redeliver(delivery: Delivery, redelivery: Again, maxFailures: number): Promise<void>;
  /**
   * A message that no handler got comes again as a failed one.
   * @param content of the entry, or what of it can be read
   */
  redeliverUnhandled(
    entry: QueueEntry,
    content: Content,
    failures: { readonly failures: number; readonly maxFailures: number },
  ): Promise<void>;
  /** The end of the message is not stored: it is tried again. @param counts the try counts as a failed delivery */
  postpone(entry: QueueEntry, notBefore: number, counts: boolean): Promise<void>;
  /** The lease is lost: the message stays unfinished. */
  abandon(entry: QueueEntry): void;
  /** Nothing is delivered any more: commits what was settled, or gives back what no handler got. */
  close(): Promise<void>;
}
