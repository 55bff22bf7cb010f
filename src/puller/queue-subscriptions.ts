import type { Message } from '../model/message.ts';
import { type MessageQueue, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { userTopic } from '../records/subscription.ts';

/** The subscriptions of one queue: one, or on a retry queue those of the whole group. */
export interface QueueSubscriptions {
  /** Messages of all topics of the group come from a retry queue. */
  readonly isRetryQueue: boolean;
  /** The subscriptions whose messages the queue may have. */
  readonly all: readonly SubscriptionConfig[];
  /** The subscription of a user's topic. */
  ofTopic(topic: string): SubscriptionConfig | undefined;
  /** The subscription of the queue's topic; undefined: on a retry queue it differs from message to message. */
  readonly ofQueue: SubscriptionConfig | undefined;
  /** One of them has a filter. */
  readonly isFiltered: boolean;
  /** The subscription of a message; of a record that cannot be decoded, the queue's. undefined: there is none, or the message cannot be read. */
  ofMessage(message: Message | undefined): SubscriptionConfig | undefined;
}

export function queueSubscriptions(
  { subscriptions, consumerGroup }: Pick<SourceConfig, 'subscriptions' | 'consumerGroup'>,
  queue: MessageQueue,
): QueueSubscriptions {
  const ofTopic = (topic: string): SubscriptionConfig | undefined =>
    subscriptions.find((subscription) => subscription.topic === topic);
  const isRetryQueue = queue.topic.startsWith(RETRY_TOPIC_PREFIX);
  const ofQueue = ofTopic(queue.topic);
  const all = subscriptions.filter(({ topic }) => isRetryQueue || topic === queue.topic);
  return {
    isRetryQueue,
    all,
    isFiltered: all.some(
      ({ filter, filterPatterns }) => filter.expression !== '*' || filterPatterns !== undefined,
    ),
    ofTopic,
    ofQueue,
    ofMessage(message) {
      if (message === undefined) return ofQueue;
      try {
        return ofTopic(userTopic(message, consumerGroup));
      } catch {
        return undefined;
      }
    },
  };
}
