import { attemptsToKeep } from '../decide/order/attempts.ts';
import type {
  OrderOfQueue,
  ProcessQueue,
  QueueEntry,
} from '../decide/process-queue/process-queue.ts';
import type { Attempts } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import type { BrokerLock } from './broker-locks.ts';
import { laneOf } from './lane-of.ts';

const NO_ATTEMPTS: Attempts = new Map();

/** What a session of an ordered source keeps beside its messages: lanes, failed attempts, the broker's lock, and from when on it may deliver. */
export class QueueOrder implements OrderOfQueue {
  readonly #lane: (message: Message | undefined) => string | undefined;
  /** Batches that failed as a whole come again in smaller ones: the most messages in a batch with the entry. */
  readonly #limits = new WeakMap<QueueEntry, number>();
  #loaded: Attempts;
  /** The broker's lock, with `order: queue`. */
  lock: BrokerLock | undefined;
  /** The term of the lock in which the stored offset was read: what is delivered is what the broker has now. */
  readTerm = 0;
  /** Epoch ms: a handler that the holder before had called may still be at work until then. */
  deliverFrom = 0;
  /** Attempts failed since the last renewal of the lease: a death would forget them. */
  unsaved = false;

  /** undefined: the source keeps no order. */
  static of(source: SourceConfig, attempts: Attempts | undefined): QueueOrder | undefined {
    const lane = laneOf(source);
    return lane === undefined ? undefined : new QueueOrder(lane, attempts);
  }

  private constructor(
    lane: (message: Message | undefined) => string | undefined,
    attempts: Attempts = NO_ATTEMPTS,
  ) {
    this.#lane = lane;
    this.#loaded = attempts;
  }

  laneOf(message: Message | undefined): string | undefined {
    try {
      return this.#lane(message);
    } catch {
      // Like a record that cannot be decoded, it waits for nothing and has its end when its turn comes.
      return undefined;
    }
  }

  attemptsAt(offset: bigint): number {
    return this.#loaded.get(offset) ?? 0;
  }

  /** The failed attempts to write into the assignment. */
  attempts(messages: ProcessQueue): Attempts {
    return attemptsToKeep(messages.unfinished(), this.#loaded, messages.nextOffset);
  }

  /** The offset was dictated anew: what was counted belongs to another story. */
  forgetAttempts(): void {
    this.#loaded = NO_ATTEMPTS;
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
