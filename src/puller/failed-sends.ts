import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { isPermanent, type SendFailure } from '../decide/retry/send-steps.ts';
import type { Clock } from '../ports/clock.ts';

/** Failed messages that the broker did not take back. They are delivered again here. */
export class FailedSends {
  readonly #clock: Clock;
  readonly #inDoubt = new WeakSet<QueueEntry>();
  readonly #refusedAt = new WeakMap<QueueEntry, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param unanswered sends without an answer: as many copies may be stored */
  note(entry: QueueEntry, failure: SendFailure, unanswered: number): void {
    if (unanswered > 0) this.#inDoubt.add(entry);
    if (isPermanent(failure)) this.#refusedAt.set(entry, this.#clock.now());
  }

  /** Send-backs of the message had no answer: copies may be stored. */
  isInDoubt(entry: QueueEntry): boolean {
    return this.#inDoubt.has(entry);
  }

  /** When the broker refused the message in a way that no repetition changes, epoch ms; undefined: it did not. */
  refusedAt(entry: QueueEntry): number | undefined {
    return this.#refusedAt.get(entry);
  }
}
