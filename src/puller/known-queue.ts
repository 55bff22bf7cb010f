import { advanceMark, type QueueRange } from '../decide/offset/queue-life.ts';
import type { LifeMark } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import { firstMark } from '../queue/valid-offset.ts';

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

  /** These messages belong to the queue's present life. */
  found(messages: readonly Message[]): void {
    this.#lifeMark = advanceMark(this.#lifeMark, messages);
  }

  /** The queue was deleted and created again. */
  beginLife(range: QueueRange): void {
    this.#lifeMark = firstMark(range);
  }

  committed(now: number): void {
    this.#progressAt = now;
  }
}
