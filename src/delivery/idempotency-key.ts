import { createHash } from 'node:crypto';
import type { Message } from '../model/message.ts';
import { isSystemProperty, Property } from '../records/properties.ts';

/** Names that RocketMQ's clients define and a producer's handlers read. */
const READ_BY_HANDLERS: ReadonlySet<string> = new Set([
  Property.TAGS,
  Property.KEYS,
  Property.SHARDING_KEY,
]);
/** Brokers of 5.x add these on the way of a redelivery. They are not in `Property`. */
const ADDED_BY_BROKERS: ReadonlySet<string> = new Set([
  'ORIGIN_GROUP',
  'TIMER_ROLL_LABEL',
  'TRANS_OFFSET',
]);

/**
 * A digest of what a producer said: group, topic, messageId, tags, keys, properties and body. It is
 * the same for all deliveries of a message, and of its redriven dead letter. Producers choose the
 * messageId, so the content is part of it: a message under another's id has another key.
 * @returns SHA-256 in base64url, 43 characters
 */
export function idempotencyKeyOf(
  { msgId, flag, body, properties }: Pick<Message, 'msgId' | 'flag' | 'body' | 'properties'>,
  {
    cluster,
    consumerGroup,
    topic,
  }: { readonly cluster: string; readonly consumerGroup: string; readonly topic: string },
): string {
  const said: [string, string][] = [];
  for (const property of properties)
    if (isPartOfContent(property[0])) said.push([property[0], property[1]]);
  // A redelivery may have its properties in another order.
  if (said.length > 1) said.sort(([one], [other]) => (one < other ? -1 : 1));
  // JSON ends where its bracket closes, so no two of these with their bodies are the same bytes.
  return createHash('sha256')
    .update(JSON.stringify([cluster, consumerGroup, topic, msgId, flag, said]))
    .update(body)
    .digest('base64url');
}

function isPartOfContent(name: string): boolean {
  return READ_BY_HANDLERS.has(name) || !(isSystemProperty(name) || ADDED_BY_BROKERS.has(name));
}
