import { attemptsToKeep } from '../decide/order/attempts.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Attempts } from '../model/assignment.ts';

const NO_ATTEMPTS: Attempts = new Map();

/** Failed deliveries that the broker has not counted, kept in the assignment for the next holder. */
export interface LocalAttempts {
  /** Attempts failed since the assignment was written last. */
  readonly isUnsaved: boolean;
  /** Failed deliveries at an offset that an earlier holder counted. */
  attemptsAt(offset: bigint): number;
  /** A delivery failed that the broker does not count. */
  failed(): void;
  /** The end of a message begins, after so many failures: they count until its offset is committed. */
  ends(offset: bigint, failures: number): void;
  /** The failed attempts to write into the assignment. @param committed offsets below it are done for good */
  toStore(messages: Pick<ProcessQueue, 'unfinished' | 'nextOffset'>, committed: bigint): Attempts;
  /** They are written from here on; what fails meanwhile is unsaved again. */
  saving(): void;
  notSaved(): void;
  /** The queue goes on at another offset: the counts belong to other messages. */
  clear(): void;
}

export class CountedAttempts implements LocalAttempts {
  #loaded: Attempts;
  #isUnsaved = false;
  /** Messages whose end has begun, done or not. */
  readonly #ending = new Map<bigint, number>();

  constructor(attempts: Attempts = NO_ATTEMPTS) {
    this.#loaded = attempts;
  }

  get isUnsaved(): boolean {
    return this.#isUnsaved;
  }

  attemptsAt(offset: bigint): number {
    return this.#loaded.get(offset) ?? 0;
  }

  failed(): void {
    this.#isUnsaved = true;
  }

  ends(offset: bigint, failures: number): void {
    this.#ending.set(offset, failures);
    this.#isUnsaved = true;
  }

  toStore(messages: Pick<ProcessQueue, 'unfinished' | 'nextOffset'>, committed: bigint): Attempts {
    for (const offset of this.#ending.keys()) if (offset < committed) this.#ending.delete(offset);
    return attemptsToKeep(messages.unfinished(), this.#loaded, messages.nextOffset, this.#ending);
  }

  saving(): void {
    this.#isUnsaved = false;
  }

  notSaved(): void {
    this.#isUnsaved = true;
  }

  clear(): void {
    this.#loaded = NO_ATTEMPTS;
    this.#ending.clear();
  }
}

/** What is popped is counted by the broker. */
export const NO_LOCAL_ATTEMPTS: LocalAttempts = {
  isUnsaved: false,
  attemptsAt: () => 0,
  failed: () => {},
  ends: () => {},
  toStore: () => NO_ATTEMPTS,
  saving: () => {},
  notSaved: () => {},
  clear: () => {},
};

/**
 * Puts a message back that failed here and that the broker did not take.
 * @param counts as a failed delivery, which the next holder is told
 * @returns false: the message is not expected any more
 */
export function giveBackFailed(
  {
    messages,
    attempts,
  }: { readonly messages: Pick<ProcessQueue, 'giveBack'>; readonly attempts: LocalAttempts },
  entry: QueueEntry,
  notBefore: number,
  counts = true,
): boolean {
  if (!messages.giveBack(entry, notBefore, counts)) return false;
  if (counts) attempts.failed();
  return true;
}
