import { handlerKey, type SourceConfig, type SubscriptionConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';

/** A handler that is throttled or not reachable is called for so long before its messages are set aside. */
const PATIENCE_MS = 10_000;
/** Afterwards its messages are set aside without a call, until one is tried again. */
const THROTTLED_MS = 10_000;
const MISSING_MS = 60_000;

/**
 * Events of a retry queue whose handlers cannot be called now: they are not enabled, throttled, not
 * reachable, missing. Their messages go to the end of the retry topic, so that those of the group's
 * other events do not wait behind them.
 */
export interface AbsentHandlers {
  /** Why messages of the event are set aside; undefined: they are delivered. */
  whyAbsent(
    subscription: SubscriptionConfig,
    now: number,
  ): 'disabled' | 'handler not callable' | undefined;
  /**
   * A call could not be made.
   * @param isMissing calling it again soon does not help
   * @returns true: messages of its events are set aside; false: they wait
   */
  failed(subscription: SubscriptionConfig, isMissing: boolean): boolean;
  /** A call was made. */
  called(subscription: SubscriptionConfig): void;
}

/** Messages of this queue belong to one event, or to one order: they wait. */
export const NONE_ABSENT: AbsentHandlers = {
  whyAbsent: () => undefined,
  failed: () => false,
  called: () => {},
};

/**
 * An ordered group stores nothing in its retry topic: brokers dead-letter what is sent there while
 * the group holds queue locks. What stands there is of an earlier deployment, or redriven.
 */
export function absentHandlersOf(
  { messageModel }: Pick<SourceConfig, 'messageModel'>,
  subscriptions: Pick<QueueSubscriptions, 'isRetryQueue' | 'all'>,
  clock: Pick<Clock, 'now'>,
): AbsentHandlers {
  const { isRetryQueue, all } = subscriptions;
  return isRetryQueue &&
    messageModel !== 'BROADCASTING' &&
    all.every(({ order }) => order === undefined)
    ? new RetryQueueHandlers(all, clock)
    : NONE_ABSENT;
}

class RetryQueueHandlers implements AbsentHandlers {
  readonly #all: readonly SubscriptionConfig[];
  readonly #clock: Pick<Clock, 'now'>;
  /** By handler, epoch ms. */
  readonly #failing = new Map<string, { readonly since: number; readonly absentUntil: number }>();

  constructor(all: readonly SubscriptionConfig[], clock: Pick<Clock, 'now'>) {
    this.#all = all;
    this.#clock = clock;
  }

  whyAbsent(
    { enabled, handler }: SubscriptionConfig,
    now: number,
  ): ReturnType<AbsentHandlers['whyAbsent']> {
    if (!enabled) return 'disabled';
    const { absentUntil = 0 } = this.#failing.get(handlerKey(handler)) ?? {};
    return absentUntil > now ? 'handler not callable' : undefined;
  }

  failed({ handler }: SubscriptionConfig, isMissing: boolean): boolean {
    const key = handlerKey(handler);
    const hasOthers = this.#all.some((other) => other.enabled && handlerKey(other.handler) !== key);
    if (!hasOthers) return false;
    const now = this.#clock.now();
    const { since = now } = this.#failing.get(key) ?? {};
    const isAbsent = isMissing || now - since >= PATIENCE_MS;
    const restMs = isMissing ? MISSING_MS : THROTTLED_MS;
    this.#failing.set(key, { since, absentUntil: isAbsent ? now + restMs : 0 });
    return isAbsent;
  }

  called({ handler }: SubscriptionConfig): void {
    if (this.#failing.size > 0) this.#failing.delete(handlerKey(handler));
  }
}
