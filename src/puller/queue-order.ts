import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import type { BrokerLock } from './broker-locks.ts';
import { laneOf } from './lane-of.ts';

/** Whether a queue may deliver now, as far as its order is concerned. */
export interface OrderGate {
  /** Nothing may overtake a message that a function may still be at work with. */
  readonly keepsOrder: boolean;
  isOpen(now: number): boolean;
  /** When the last handler that may still run has reached its timeout, epoch ms; undefined: none runs. */
  handlersRunUntil(now: number): number | undefined;
  /** A handler was not waited for. @param until epoch ms */
  waitForHandlers(until: number): void;
}

/** Messages are delivered in any order. */
export const NO_ORDER: OrderGate = {
  keepsOrder: false,
  isOpen: () => true,
  handlersRunUntil: () => undefined,
  waitForHandlers: () => {},
};

/** What a holder of an ordered source keeps beside its messages: lanes, the broker's lock, and from when on it may deliver. */
export class QueueOrder implements OrderGate {
  readonly keepsOrder = true;
  readonly #lane: (message: Message | undefined) => string | undefined;
  /** The broker's lock, with `order: queue`. */
  #lock: BrokerLock | undefined;
  /** The term of the lock in which the stored offset was read: what is delivered is what the broker has now. */
  #readTerm = 0;
  /** Epoch ms: handlers that this holder or earlier ones called may still run until then. */
  #handlersRunUntil: number;

  /** undefined: the source keeps no order. */
  static of(source: SourceConfig, handlersRunUntil: number | undefined): QueueOrder | undefined {
    const lane = laneOf(source);
    return lane === undefined ? undefined : new QueueOrder(lane, handlersRunUntil);
  }

  private constructor(
    lane: (message: Message | undefined) => string | undefined,
    handlersRunUntil = 0,
  ) {
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

  /** Nothing is delivered from here on while the broker has not locked the queue. */
  lockWith(lock: BrokerLock): void {
    this.#lock = lock;
  }

  /** undefined: the order needs none. */
  get lock(): BrokerLock | undefined {
    return this.#lock;
  }

  /** The stored offset was read in this term of the lock. */
  readIn(term: number): void {
    this.#readTerm = term;
  }

  /** Was the stored offset read since the lock came to this slot? */
  isRead(term: number): boolean {
    return this.#readTerm === term;
  }

  /** The lock is needed, and the stored offset was never read under it. */
  get waitsForLock(): boolean {
    return this.#lock !== undefined && this.#readTerm === 0;
  }

  isOpen(now: number): boolean {
    if (now < this.#handlersRunUntil) return false;
    return (
      this.#lock === undefined ||
      (now < this.#lock.state.validUntil && this.isRead(this.#lock.state.term))
    );
  }

  handlersRunUntil(now: number): number | undefined {
    return now < this.#handlersRunUntil ? this.#handlersRunUntil : undefined;
  }

  waitForHandlers(until: number): void {
    this.#handlersRunUntil = Math.max(this.#handlersRunUntil, until);
  }
}
