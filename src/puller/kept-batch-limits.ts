import { limitsFrom, maxMessagesAt, narrowLimits } from '../decide/batch/batch-limits.ts';
import type { BatchLimit } from '../model/assignment.ts';

/** Smaller batches after some failed as a whole, see decide/batch/batch-limits. */
export interface BatchLimits {
  /** Most messages in a batch with the message at the offset; undefined: as many as in any. */
  maxMessagesAt(offset: bigint): number | undefined;
  /** A batch failed as a whole: its messages come again in batches of at most `maxMessages`, whoever delivers them. */
  narrow(lastOffset: bigint, maxMessages: number): void;
  /** The queue goes on at another offset. */
  clear(): void;
  /** The limits of messages without an end. */
  from(committable: bigint): readonly BatchLimit[];
}

/** Limits by offset, kept in the assignment for the next holder. */
export class KeptBatchLimits implements BatchLimits {
  #limits: readonly BatchLimit[];

  constructor(limits: readonly BatchLimit[] = []) {
    this.#limits = limits;
  }

  maxMessagesAt(offset: bigint): number | undefined {
    return maxMessagesAt(this.#limits, offset);
  }

  narrow(lastOffset: bigint, maxMessages: number): void {
    this.#limits = narrowLimits(this.#limits, lastOffset, maxMessages);
  }

  clear(): void {
    this.#limits = [];
  }

  from(committable: bigint): readonly BatchLimit[] {
    this.#limits = limitsFrom(this.#limits, committable);
    return this.#limits;
  }
}

/** Popped messages come again in other batches, from any place. */
export const NO_BATCH_LIMITS: BatchLimits = {
  maxMessagesAt: () => undefined,
  narrow: () => {},
  clear: () => {},
  from: () => [],
};
