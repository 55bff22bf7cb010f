import type { Message } from '../model/message.ts';
import { retryTopic } from '../model/message-queue.ts';
import type { OutgoingMessage } from '../ports/rocketmq.ts';
import { UNDECODABLE_PROPERTY } from '../records/dead-letter-form.ts';
import { forwardedProperties } from '../records/forwarded-properties.ts';
import { Property } from '../records/properties.ts';
import type { DeadLetter } from './dead-letters.ts';

/**
 * Where a dead letter goes: `topic`, the one it was sent to first, where every group that subscribes it gets it again; `group`, the retry topic of
 * the group that gave it up, which alone gets it; or any topic by its name.
 */
export type RedriveTarget = 'topic' | 'group' | { readonly topic: string };

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
  const topic =
    typeof to === 'object' ? to.topic : to === 'group' ? retryTopic(consumerGroup) : originTopic;
  if (topic === undefined || (to === 'group' && originTopic === undefined)) return undefined;
  const properties = forwardedProperties(message);
  if (originMessageId !== undefined) properties.set(Property.ORIGIN_MESSAGE_ID, originMessageId);
  if (to === 'group' && originTopic !== undefined)
    properties.set(Property.RETRY_TOPIC, originTopic);
  return { topic, body: message.body, flag: message.flag, properties };
}

/** Why a dead letter cannot be delivered again, wherever it would go. undefined: it can. */
export function whyNotRedriven({ message, undecodable }: DeadLetter): string | undefined {
  if (message === undefined) return undecodable?.error.message ?? 'it cannot be decoded';
  const why = message.properties.get(UNDECODABLE_PROPERTY);
  return why === undefined
    ? undefined
    : `its message could not be decoded (${why}), and its body is what the broker had stored`;
}

/**
 * Why a dead letter does not go where it says that it came from. undefined: it may. Producers can
 * write that topic, so a redrive that names no topic goes to topics of the group only.
 */
export async function whyNotToOrigin(
  { originTopic }: DeadLetter,
  to: RedriveTarget,
  isOfGroup: (topic: string) => boolean | Promise<boolean>,
): Promise<string | undefined> {
  if (to !== 'topic' || originTopic === undefined || (await isOfGroup(originTopic)))
    return undefined;
  return `it says that it came from topic "${originTopic}", which the group does not subscribe to`;
}
