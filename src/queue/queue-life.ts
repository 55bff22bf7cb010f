import { advanceMark, type QueueRange } from '../decide/offset/queue-life.ts';
import type { LifeMark } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import type { PullLife } from './pull-ports.ts';
import { firstMark } from './valid-offset.ts';

/** The mark by which the present life of a queue is recognised, as it moves on with the messages that are pulled. */
export class QueueLife implements PullLife {
  #mark: LifeMark | undefined;

  /** @param mark as it was found; undefined: no message of the queue is known yet */
  constructor(mark: LifeMark | undefined) {
    this.#mark = mark;
  }

  get lifeMark(): LifeMark | undefined {
    return this.#mark;
  }

  found(messages: readonly Message[]): void {
    this.#mark = advanceMark(this.#mark, messages);
  }

  beginLife(range: QueueRange): void {
    this.#mark = firstMark(range);
  }
}
