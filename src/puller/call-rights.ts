import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { HandlerConfig, SubscriptionConfig } from '../model/source.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { InlineTurns } from './inline-turns.ts';
import type { OrderGate } from './queue-order.ts';
import type { SlotShare } from './slot-share.ts';

type Turns = Pick<InlineTurns, 'enter' | 'enterAlone' | 'hold'>;

/** Functions have processes of their own. */
const NO_TURNS: Turns = {
  enter: async () => () => {},
  enterAlone: async () => () => {},
  hold: () => () => {},
};

interface CallRightParts {
  readonly queue: MessageQueue;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  readonly order: OrderGate;
  /** Where handler calls are limited over all queues (`maximumConcurrency`). */
  readonly share?: SlotShare | undefined;
  /** Where inline handlers are called in turn. */
  readonly inlineTurns?: InlineTurns | undefined;
}

/** When a queue may call a handler, and what follows from a call that is not waited for. */
export interface CallRights {
  /**
   * The right to call the handler of the subscription; undefined: the queue is on its way out before it was its turn.
   * @param isAlone the caller has the right of `alone`
   */
  permit(subscription: SubscriptionConfig, isAlone: boolean): Promise<(() => void) | undefined>;
  /** No other inline handler runs in this process until the right ends, if this one is inline; undefined: as of `permit`. */
  alone(subscription: SubscriptionConfig): Promise<(() => void) | undefined>;
  /**
   * A function goes on, at most until then: an ordered queue waits for it, its next holder too
   * (`handlersRunUntil`), and so does the next invocation of a slot whose calls are limited.
   * @param until epoch ms
   */
  outlived(until: number): void;
}

export function callRights({
  queue,
  lifecycle,
  order,
  share,
  inlineTurns,
}: CallRightParts): CallRights {
  const turnsOf = ({ invocation }: HandlerConfig): Turns =>
    invocation === 'inline' ? (inlineTurns ?? NO_TURNS) : NO_TURNS;
  return {
    async permit({ topic, limitedWith = topic, handler, inlineConcurrency = 1 }, isAlone) {
      const signal = lifecycle.signal('backoff');
      const turns = turnsOf(handler);
      const endTurn = isAlone
        ? turns.hold(handler.functionKey)
        : await turns.enter(handler.functionKey, inlineConcurrency, signal);
      if (endTurn === undefined || share === undefined) return endTurn;
      // Whoever has a permit of the slot has its turn already: nobody waits for another in a circle.
      const release = await share
        .permit(limitedWith, queueKey(queue), signal)
        .catch((error: unknown) => {
          endTurn();
          throw error;
        });
      if (release === undefined) {
        endTurn();
        return undefined;
      }
      return () => {
        release();
        endTurn();
      };
    },
    alone: async ({ handler }) => turnsOf(handler).enterAlone(lifecycle.signal('backoff')),
    outlived(until) {
      share?.outlived();
      if (!lifecycle.isLost) order.waitForHandlers(until);
    },
  };
}
