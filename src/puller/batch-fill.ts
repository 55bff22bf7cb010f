import type { QueueEntry } from '../decide/process-queue/process-queue.ts';

/** Since when the next batch of a queue is filled from a backlog. */
export class BatchFill {
  #first: QueueEntry | undefined;
  #since = 0;

  /** @param first message that the batch begins with. @returns epoch ms */
  since(first: QueueEntry, now: number): number {
    if (this.#first !== first) {
      this.#first = first;
      this.#since = now;
    }
    return this.#since;
  }

  /** undefined: the batch that begins with the message did not wait. */
  waitedSince(first: QueueEntry | undefined): number | undefined {
    return first !== undefined && this.#first === first ? this.#since : undefined;
  }
}
