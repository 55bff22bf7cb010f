import { attemptsToKeep, boundedRuns } from '../decide/order/attempts.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Assignment, Attempts } from '../model/assignment.ts';

const NO_ATTEMPTS: Attempts = new Map();

/** Failed deliveries that the broker has not counted, kept in the assignment for the next holder. */
export interface LocalAttempts {
  /** Attempts failed since the assignment was written last. */
  readonly isUnsaved: boolean;
  /** Failed deliveries at an offset that an earlier holder counted. */
  attemptsAt(offset: bigint): number;
  /** A delivery failed that the broker does not count. */
  failed(): void;
  /**
   * The end of a message begins, or is tried again: the failures count until its offset is committed.
   * @param failures with that of the end itself
   * @param isAgain the end has begun before, here or with an earlier holder
   */
  ends(offset: bigint, failures: number, isAgain: boolean): void;
  /** Failed deliveries before the end of a message began; undefined: it has not begun. */
  failuresBeforeEnd(offset: bigint): number | undefined;
  /** Its limit was raised since its end began: it is delivered again. */
  delivers(offset: bigint): void;
  /** The ends that have begun, of the messages that are stored. */
  endsOf(stored: Attempts): Attempts;
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

  /** Failed deliveries before the end. */
  readonly #begunEnds: Map<bigint, number>;

  constructor({ attempts, begunEnds }: Pick<Assignment, 'attempts' | 'begunEnds'> = {}) {
    this.#loaded = attempts ?? NO_ATTEMPTS;
    this.#begunEnds = new Map(begunEnds);
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

  ends(offset: bigint, failures: number, isAgain: boolean): void {
    this.#ending.set(offset, failures);
    if (!isAgain || !this.#begunEnds.has(offset)) this.#begunEnds.set(offset, failures - 1);
    this.#isUnsaved = true;
  }

  failuresBeforeEnd(offset: bigint): number | undefined {
    return this.#begunEnds.get(offset);
  }

  delivers(offset: bigint): void {
    if (this.#begunEnds.delete(offset)) this.#isUnsaved = true;
  }

  endsOf(stored: Attempts): Attempts {
    return boundedRuns([...this.#begunEnds].filter(([offset]) => stored.has(offset)));
  }

  toStore(messages: Pick<ProcessQueue, 'unfinished' | 'nextOffset'>, committed: bigint): Attempts {
    for (const ends of [this.#ending, this.#begunEnds])
      for (const offset of ends.keys()) if (offset < committed) ends.delete(offset);
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
    this.#begunEnds.clear();
  }
}

/** What is popped is counted by the broker. */
export const NO_LOCAL_ATTEMPTS: LocalAttempts = {
  isUnsaved: false,
  attemptsAt: () => 0,
  failed: () => {},
  ends: () => {},
  failuresBeforeEnd: () => undefined,
  delivers: () => {},
  endsOf: () => NO_ATTEMPTS,
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
