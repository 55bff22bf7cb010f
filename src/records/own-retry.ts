import type { Message } from '../model/message.ts';
import { retryTopic } from '../model/message-queue.ts';
import type { SetAside } from '../model/set-aside.ts';
import { Property } from './properties.ts';

/*
 * Producers can write the properties and the count that brokers use for redeliveries, and copies of
 * received messages still carry them. They describe this group's deliveries only on a message that
 * arrived on the retry topic of the group.
 */

/** Brokers show a popped retry under its user topic. */
interface GroupMode {
  readonly consumerGroup: string;
  /** Default pull. */
  readonly mode?: 'pull' | 'pop';
}

/** True for a message that this group sent back before. */
export function isOwnRetry({ topic }: Pick<Message, 'topic'>, consumerGroup: string): boolean {
  return topic === retryTopic(consumerGroup);
}

/**
 * Deliveries to this group that failed before, as far as brokers count them. A dead letter that the
 * group reads from a `%DLQ%` topic still has the count of the group that gave it up. In mode pop the
 * client leaves a count on popped retries only. A producer may have made it negative.
 */
export function failedDeliveries(
  message: Pick<Message, 'topic' | 'reconsumeTimes'>,
  { consumerGroup, mode }: GroupMode,
): number {
  return mode === 'pop' || isOwnRetry(message, consumerGroup)
    ? Math.max(0, message.reconsumeTimes)
    : 0;
}

/**
 * When a broker made the message visible first, epoch ms. Request 36 does not keep the time: without
 * our property a retry has the time of its own store, and a popped retry that of its first pop. In
 * mode pop a message to which a producer gave our property is copied with the right one first.
 */
export function firstStoredAt(
  message: Pick<Message, 'topic' | 'properties' | 'storeTimestamp' | 'reconsumeTimes'>,
  { consumerGroup, mode }: GroupMode,
): number {
  const { storeTimestamp } = message;
  if (mode !== 'pop' && !isOwnRetry(message, consumerGroup)) return storeTimestamp;
  const { properties } = message;
  const ours = properties.get(Property.FIRST_STORED);
  const ofBroker =
    mode === 'pop' && message.reconsumeTimes > 0
      ? properties.get(Property.FIRST_POP_TIME)
      : undefined;
  const text = ours ?? ofBroker;
  const time = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : storeTimestamp;
  return Math.min(time, storeTimestamp);
}

/**
 * How this group has set the message aside; undefined: it has not. A producer may have written the
 * property: it delays a message whose handler cannot be called, and nothing else.
 */
export function setAsideBefore(
  message: Pick<Message, 'topic' | 'properties' | 'storeTimestamp'>,
  consumerGroup: string,
): SetAside | undefined {
  if (!isOwnRetry(message, consumerGroup)) return undefined;
  const text = message.properties.get(Property.SET_ASIDE) ?? '';
  const [, times, at] = /^(\d{1,9}) (\d{1,15})$/.exec(text) ?? [];
  if (times === undefined || at === undefined) return undefined;
  return { times: Number(times), at: Math.min(Number(at), message.storeTimestamp) };
}

/**
 * Why request 36 is not enough for a failed message, because a broker keeps the properties that it
 * finds: `misleading` would bring it back under another topic or with another count, `inexact` with
 * another key or without the time of its first store. Undefined: request 36 does.
 * @param aged its age counts: maximumRecordAgeInSeconds is set
 */
export function whyAsMessage(
  message: Message,
  source: GroupMode,
  aged: boolean,
): 'misleading' | 'inexact' | undefined {
  const { properties } = message;
  const own = isOwnRetry(message, source.consumerGroup);
  if (!own && properties.has(Property.RETRY_TOPIC)) return 'misleading';
  if (failedDeliveries(message, source) !== message.reconsumeTimes) return 'misleading';
  if (message.otherUniqKey !== undefined) return 'inexact';
  // Without a key this is its id, and request 36 keeps that of an earlier life.
  if (!own && !properties.has(Property.UNIQ_KEY) && properties.has(Property.ORIGIN_MESSAGE_ID))
    return 'inexact';
  // A producer may have written the time, too.
  return (aged && !(own && properties.has(Property.FIRST_STORED))) ||
    (!own && properties.has(Property.FIRST_STORED))
    ? 'inexact'
    : undefined;
}
