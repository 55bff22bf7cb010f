import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OrderGate } from './queue-order.ts';
import type { SlotShare } from './slot-share.ts';

interface CallRightParts {
  readonly queue: MessageQueue;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  readonly order: OrderGate;
  /** Where handler calls are limited over all queues (`maximumConcurrency`). */
  readonly share?: SlotShare | undefined;
}

/** When a queue may call a handler, and what follows from a call that is not waited for. */
export interface CallRights {
  /** The right to call the handler of the subscription; undefined: the queue is on its way out before it was its turn. */
  permit(subscription: SubscriptionConfig): Promise<(() => void) | undefined>;
  /**
   * A function goes on, at most until then: an ordered queue waits for it, its next holder too
   * (`handlersRunUntil`), and so does the next invocation of a slot whose calls are limited.
   * @param until epoch ms
   */
  outlived(until: number): void;
}

export function callRights({ queue, lifecycle, order, share }: CallRightParts): CallRights {
  return {
    permit: async ({ topic }) =>
      share === undefined
        ? () => {}
        : share.permit(topic, queueKey(queue), lifecycle.signal('backoff')),
    outlived(until) {
      share?.outlived();
      if (!lifecycle.isLost) order.waitForHandlers(until);
    },
  };
}
