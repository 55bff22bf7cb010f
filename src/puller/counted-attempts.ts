import { attemptsToKeep } from '../decide/order/attempts.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { Attempts } from '../model/assignment.ts';

const NO_ATTEMPTS: Attempts = new Map();

/** Failed deliveries that the broker has not counted, kept in the assignment for the next holder. */
export class CountedAttempts {
  #loaded: Attempts;
  #unsaved = false;

  constructor(attempts: Attempts = NO_ATTEMPTS) {
    this.#loaded = attempts;
  }

  attemptsAt(offset: bigint): number {
    return this.#loaded.get(offset) ?? 0;
  }

  /** The failed attempts to write into the assignment. */
  attempts(messages: ProcessQueue): Attempts {
    return attemptsToKeep(messages.unfinished(), this.#loaded, messages.nextOffset);
  }

  /** The offset was dictated anew: the counts belong to other messages. */
  forgetAttempts(): void {
    this.#loaded = NO_ATTEMPTS;
  }

  /** Attempts failed since the last renewal of the lease. */
  get unsaved(): boolean {
    return this.#unsaved;
  }

  set unsaved(unsaved: boolean) {
    this.#unsaved = unsaved;
  }
}
