import type { OrderOfQueue } from '../decide/process-queue/process-queue.ts';
import type { Attempts } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import type { BrokerLock } from './broker-locks.ts';
import { CountedAttempts } from './counted-attempts.ts';
import { laneOf } from './lane-of.ts';

/** What a session of an ordered source keeps beside its messages: lanes, failed attempts, the broker's lock, and from when on it may deliver. */
export class QueueOrder extends CountedAttempts implements OrderOfQueue {
  readonly #lane: (message: Message | undefined) => string | undefined;
  /** The broker's lock, with `order: queue`. */
  lock: BrokerLock | undefined;
  /** The term of the lock in which the stored offset was read: what is delivered is what the broker has now. */
  readTerm = 0;
  /** Epoch ms: handlers that this holder or earlier ones called may still run until then. */
  #handlersRunUntil: number;

  /** undefined: the source keeps no order. */
  static of(
    source: SourceConfig,
    attempts: Attempts | undefined,
    handlersRunUntil: number | undefined,
  ): QueueOrder | undefined {
    const lane = laneOf(source);
    return lane === undefined ? undefined : new QueueOrder(lane, attempts, handlersRunUntil);
  }

  private constructor(
    lane: (message: Message | undefined) => string | undefined,
    attempts: Attempts | undefined,
    handlersRunUntil = 0,
  ) {
    super(attempts);
    this.#lane = lane;
    this.#handlersRunUntil = handlersRunUntil;
  }

  laneOf(message: Message | undefined): string | undefined {
    try {
      return this.#lane(message);
    } catch {
      // Like a record that cannot be decoded, it waits for nothing and has its end when its turn comes.
      return undefined;
    }
  }

  /** May a batch go to its handler? */
  isOpen(now: number): boolean {
    if (now < this.#handlersRunUntil) return false;
    return (
      this.lock === undefined ||
      (now < this.lock.state.validUntil && this.readTerm === this.lock.state.term)
    );
  }

  /** When the last handler that may still run has reached its timeout, epoch ms; undefined: none runs. */
  handlersRunUntil(now: number): number | undefined {
    return now < this.#handlersRunUntil ? this.#handlersRunUntil : undefined;
  }

  /** A handler was not waited for: nothing may overtake it. */
  waitForHandlers(until: number): void {
    this.#handlersRunUntil = Math.max(this.#handlersRunUntil, until);
  }
}
