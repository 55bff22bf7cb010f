import type { RocketMQRecord } from '../model/event.ts';

/** What an order is kept of. */
export type Order = 'queue' | 'key';

/** The order of a queue keeps that of its keys, too. */
export function strictestOrder(
  one: Order | undefined,
  other: Order | undefined,
): Order | undefined {
  return one === 'queue' || other === 'queue' ? 'queue' : (one ?? other);
}

/**
 * Messages of one lane are handled one after the other.
 * @param ofEvent the order that the event has; undefined: the handler wants one, and the key is the sharding key, else the first of KEYS
 */
export function laneOf(
  { attributes, receiptHandle, rocketmq }: RocketMQRecord,
  order: Order,
  ofEvent: Order | undefined,
): string {
  const { topic, brokerName, queueId } = rocketmq;
  const queue = `${topic}/${brokerName}/${queueId}`;
  if (order === 'queue') return queue;
  const key =
    ofEvent === 'key' ? rocketmq.orderKey : (attributes.MessageGroupId ?? rocketmq.keys[0]);
  // Without a key there is no order.
  return key === undefined ? receiptHandle : `${queue}/${key}`;
}
