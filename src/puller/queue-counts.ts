import type { Message } from '../model/message.ts';
import type { MetricName } from '../model/metrics.ts';
import type { Clock } from '../ports/clock.ts';
import type { Meter } from '../ports/meter.ts';

/** What happened to the messages of one queue: metrics, and the figures of its report. */
export class QueueCounts {
  readonly #meter: Meter | undefined;
  readonly #clock: Clock;
  #handled = 0;
  #handledAt: number;
  #sentBack = 0;
  #dropped = 0;

  constructor(clock: Clock, meter: Meter | undefined) {
    this.#clock = clock;
    this.#meter = meter;
    this.#handledAt = clock.now();
  }

  get totals(): { readonly handled: number; readonly sentBack: number; readonly dropped: number } {
    return { handled: this.#handled, sentBack: this.#sentBack, dropped: this.#dropped };
  }

  /** When messages were handled last, epoch ms. */
  get handledAt(): number {
    return this.#handledAt;
  }

  count(metric: MetricName, value = 1): void {
    this.#meter?.count(metric, value);
  }

  /** A handler call failed as a whole, or did not reach its handler. */
  callFailed(messages: number): void {
    this.count('InvokeErrorCount');
    this.count('FailedInvokeEventCount', messages);
  }

  /** What the broker gave. */
  polled(messages: readonly Message[], undecodable: number): void {
    if (this.#meter === undefined) return;
    this.count('PolledEventCount', messages.length + undecodable);
    if (messages.length > 0)
      this.count(
        'PollerThroughputInBytes',
        messages.reduce((bytes, { storeSize }) => bytes + storeSize, 0),
      );
  }

  /** What a filter left out. 0 is reported where there is a filter: it left nothing out. */
  filteredOut(count: number, isFiltered: boolean): void {
    if (count > 0 || isFiltered) this.count('FilteredOutEventCount', count);
  }

  /** A handler had them, and none failed them; but they are given to a handler again. */
  repeated(count: number): void {
    if (count > 0) this.count('DuplicateEventCount', count);
  }

  handled(count: number): void {
    this.#handledAt = this.#clock.now();
    this.#handled += count;
  }

  dropped(): void {
    this.#dropped++;
    this.count('GivenUpEventCount');
  }

  /** Given to the broker to come again. */
  retried(): void {
    this.#sentBack++;
    this.count('RetriedEventCount');
  }

  deadLettered(): void {
    this.#sentBack++;
    this.count('DeadLetteredEventCount');
  }
}
