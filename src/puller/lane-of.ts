import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import { orderKeyOf } from '../records/order-key.ts';
import { userTopic } from '../records/subscription.ts';

/** The one lane of a queue that is delivered in order as a whole. */
const WHOLE_QUEUE = '';

/**
 * Which lane a message belongs to. By key: the messages of one topic with one key; a message without a key, or one that cannot be decoded, has nobody
 * to wait for. Of several KEYS the first counts. Undefined as a whole: the source keeps no order.
 */
export function laneOf({
  subscriptions,
  consumerGroup,
}: Pick<SourceConfig, 'subscriptions' | 'consumerGroup'>):
  | ((message: Message | undefined) => string | undefined)
  | undefined {
  if (subscriptions.every(({ order }) => order === undefined)) return undefined;
  if (subscriptions.some(({ order }) => order?.by === 'queue')) return () => WHOLE_QUEUE;
  const orders = new Map(subscriptions.map(({ topic, order }) => [topic, order]));
  return (message) => {
    if (message === undefined) return undefined;
    const topic = userTopic(message, consumerGroup);
    const key = orderKeyOf(message, orders.get(topic));
    return key === undefined ? undefined : `${topic} ${key}`;
  };
}
