import type { Message } from '../model/message.ts';
import { retryTopic } from '../model/message-queue.ts';
import type { OutgoingMessage } from '../ports/rocketmq.ts';
import { isSystemProperty, Property } from '../records/properties.ts';
import type { DeadLetter } from './dead-letters.ts';

/**
 * Where a dead letter goes: `topic`, the one it was sent to first, where every group that subscribes it gets it again; `group`, the retry topic of
 * the group that gave it up, which alone gets it; or any topic by its name.
 */
export type RedriveTarget = 'topic' | 'group' | { readonly topic: string };

/** What belongs to the message, not to the way that it took. UNIQ_KEY is its identity: consumers that remember ids see that they had it. */
const KEPT: ReadonlySet<string> = new Set([
  Property.KEYS,
  Property.TAGS,
  Property.UNIQ_KEY,
  Property.EXTEND_UNIQ_INFO,
  Property.SHARDING_KEY,
  Property.INSTANCE_ID,
  Property.CORRELATION_ID,
  Property.REPLY_TO_CLIENT,
  Property.TTL,
  Property.MSG_TYPE,
  Property.BUYER_ID,
  // Brokers keep the first one when the message fails again.
  Property.ORIGIN_MESSAGE_ID,
]);
const TRANSACTION_ID = '__transactionId__';

/**
 * A dead letter as a new message: body, flag, keys, tags, ids and the user's properties stay; delays, timers, transactions and counts of failures are
 * over. undefined: nothing tells where it came from.
 */
export function redrivenMessage(
  { originTopic, originMessageId }: DeadLetter,
  message: Message,
  consumerGroup: string,
  to: RedriveTarget,
): OutgoingMessage | undefined {
  const topic = typeof to === 'object' ? to.topic : to === 'group' ? retryTopic(consumerGroup) : originTopic;
  if (topic === undefined || (to === 'group' && originTopic === undefined)) return undefined;
  const properties = new Map<string, string>();
  for (const [name, value] of message.properties)
    if (KEPT.has(name) || (!isSystemProperty(name) && name !== TRANSACTION_ID)) properties.set(name, value);
  if (originMessageId !== undefined) properties.set(Property.ORIGIN_MESSAGE_ID, originMessageId);
  if (to === 'group' && originTopic !== undefined) properties.set(Property.RETRY_TOPIC, originTopic);
  return { topic, body: message.body, flag: message.flag, properties };
}
