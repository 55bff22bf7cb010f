import type { OrderOfQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Attempts } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import type { BrokerLock } from './broker-locks.ts';
import { CountedAttempts } from './counted-attempts.ts';
import { laneOf } from './lane-of.ts';

/** What a session of an ordered source keeps beside its messages: lanes, failed attempts, the broker's lock, and from when on it may deliver. */
export class QueueOrder extends CountedAttempts implements OrderOfQueue {
  readonly #lane: (message: Message | undefined) => string | undefined;
  /** Batches that failed as a whole come again in smaller ones: the most messages in a batch with the entry. */
  readonly #limits = new WeakMap<QueueEntry, number>();
  /** The broker's lock, with `order: queue`. */
  lock: BrokerLock | undefined;
  /** The term of the lock in which the stored offset was read: what is delivered is what the broker has now. */
  readTerm = 0;
  /** Epoch ms: a handler that the holder before had called may still be at work until then. */
  deliverFrom = 0;

  /** undefined: the source keeps no order. */
  static of(source: SourceConfig, attempts: Attempts | undefined): QueueOrder | undefined {
    const lane = laneOf(source);
    return lane === undefined ? undefined : new QueueOrder(lane, attempts);
  }

  private constructor(
    lane: (message: Message | undefined) => string | undefined,
    attempts: Attempts | undefined,
  ) {
    super(attempts);
    this.#lane = lane;
  }

  laneOf(message: Message | undefined): string | undefined {
    return this.#lane(message);
  }

  /** May a batch go to its handler? */
  isOpen(now: number): boolean {
    if (now < this.deliverFrom) return false;
    return (
      this.lock === undefined ||
      (now < this.lock.state.validUntil && this.readTerm === this.lock.state.term)
    );
  }

  /** Most messages in a batch with this entry; undefined: as many as in any. */
  limitOf(entry: QueueEntry): number | undefined {
    return this.#limits.get(entry);
  }

  limit(entry: QueueEntry, most: number): void {
    this.#limits.set(entry, most);
  }
}
