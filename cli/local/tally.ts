import type { SampleOrder } from './workload.ts';

/** One delivery as the sample handler reports it. */
export interface Delivery {
  readonly runId: string;
  readonly orderId: number;
  readonly reconsumeTimes: number;
  readonly outcome: 'done' | 'failed';
}

export interface Tally {
  readonly produced: number;
  /** Deliveries that the handler finished. */
  readonly handled: number;
  /** Different messages among them. */
  readonly distinct: number;
  /** Deliveries of messages that had failed before. */
  readonly redelivered: number;
  /** Deliveries that the handler failed. */
  readonly failed: number;
  readonly deadLettered: number;
  /** Neither handled nor dead-lettered. */
  readonly lost: number;
  /** Handled more than once. */
  readonly duplicates: number;
}

/** Counts what one run sent, what its handlers reported and what ended in the DLQ. */
export class RunTally {
  readonly #runId: string;
  readonly #expected = new Map<number, SampleOrder>();
  readonly #done = new Set<number>();
  readonly #dead = new Set<number>();
  #produced = 0;
  #handled = 0;
  #redelivered = 0;
  #failed = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  sent(order: SampleOrder): void {
    this.#expected.set(order.orderId, order);
    this.#produced++;
  }

  delivered(delivery: Delivery): void {
    if (delivery.runId !== this.#runId) return;
    if (delivery.reconsumeTimes > 0) this.#redelivered++;
    if (delivery.outcome === 'failed') {
      this.#failed++;
      return;
    }
    this.#handled++;
    this.#done.add(delivery.orderId);
  }

  deadLettered(order: SampleOrder): void {
    if (order.runId === this.#runId) this.#dead.add(order.orderId);
  }

  count(): Tally {
    const lost = [...this.#expected.keys()].filter(
      (id) => !this.#done.has(id) && !this.#dead.has(id),
    ).length;
    return {
      produced: this.#produced,
      handled: this.#handled,
      distinct: this.#done.size,
      redelivered: this.#redelivered,
      failed: this.#failed,
      deadLettered: this.#dead.size,
      lost,
      duplicates: this.#handled - this.#done.size,
    };
  }

  /** Orders that are still on their way, for the message when a run does not end. */
  missing(): SampleOrder[] {
    return [...this.#expected.values()].filter(
      (order) => !this.#done.has(order.orderId) && !this.#dead.has(order.orderId),
    );
  }
}
