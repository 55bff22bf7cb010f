import type { LifeMark } from '../model/assignment.ts';

/** What this holder has learned of the queue, for the assignment. */
export class KnownQueue {
  #maxOffset: bigint | undefined;
  #lifeMark: LifeMark | undefined;
  #progressAt: number | undefined;

  /** @param lifeMark as found at the start */
  constructor(lifeMark: LifeMark | undefined) {
    this.#lifeMark = lifeMark;
  }

  /** The end of the queue, as the last pull reported it. */
  get maxOffset(): bigint | undefined {
    return this.#maxOffset;
  }

  /** Recognises the queue's present life (decide/offset/queue-life). */
  get lifeMark(): LifeMark | undefined {
    return this.#lifeMark;
  }

  /** When the committed offset moved last, epoch ms; undefined: not under this holder. */
  get progressAt(): number | undefined {
    return this.#progressAt;
  }

  pulled(maxOffset: bigint): void {
    this.#maxOffset = maxOffset;
  }

  /** @param lifeMark of the queue's present life */
  mark(lifeMark: LifeMark | undefined): void {
    this.#lifeMark = lifeMark;
  }

  committed(now: number): void {
    this.#progressAt = now;
  }
}
