import { type HandOver, waitedFor } from '../decide/lease/hand-over.ts';
import type { Message } from '../model/message.ts';
import type { Clock } from '../ports/clock.ts';
import type { Meter } from '../ports/meter.ts';

/** Measures once how long the queue's messages waited for this holder (decide/lease/hand-over). */
export class HandOverMeasure {
  readonly #clock: Clock;
  readonly #meter: Meter | undefined;
  #handOver: HandOver | undefined;

  constructor(handOver: HandOver | undefined, clock: Clock, meter: Meter | undefined) {
    this.#handOver = handOver;
    this.#clock = clock;
    this.#meter = meter;
  }

  /** There is nothing to handle: a message that comes from now on finds the puller awake. */
  foundNothing(): void {
    this.#handOver = undefined;
  }

  /** A handler is called with the message first. */
  calling({ storeTimestamp }: Pick<Message, 'storeTimestamp'>): void {
    if (this.#handOver === undefined) return;
    const { metric, ms } = waitedFor(this.#handOver, storeTimestamp, this.#clock.now());
    this.#handOver = undefined;
    this.#meter?.observe(metric, ms);
  }
}
