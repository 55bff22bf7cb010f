import type { LifeMark } from '../model/assignment.ts';
import { QueueLife } from '../queue/queue-life.ts';

/** What this holder has learned of the queue, for the assignment. */
export class KnownQueue extends QueueLife {
  #maxOffset: bigint | undefined;
  #progressAt: number | undefined;

  constructor(mark: LifeMark | undefined, committedAgainAt?: number) {
    super(mark);
    this.#progressAt = committedAgainAt;
  }

  /** The end of the queue, as the last pull reported it. */
  get maxOffset(): bigint | undefined {
    return this.#maxOffset;
  }

  /** When the committed offset moved last, or was stored again because the broker had lost it, epoch ms; undefined: not under this holder. */
  get progressAt(): number | undefined {
    return this.#progressAt;
  }

  pulled(maxOffset: bigint): void {
    this.#maxOffset = maxOffset;
  }

  committed(now: number): void {
    this.#progressAt = now;
  }
}
