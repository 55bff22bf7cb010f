import { createHash, hash } from 'node:crypto';
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
  const said: string[] = [];
  // The first U+0001 ends the name: names have none.
  for (const [name, value] of properties)
    if (isPartOfContent(name)) said.push(`${name}\u0001${value}`);
  // A redelivery may have its properties in another order.
  if (said.length > 1) said.sort();
  // JSON ends where its bracket closes, so no two of these with their bodies are the same bytes.
  return digest(JSON.stringify([cluster, consumerGroup, topic, msgId, flag, said]), body);
}

/** Small messages are put together here: a hash in one call costs a third less than an object that is fed. */
const SCRATCH = Buffer.alloc(16 * 1024);
/** UTF-8 takes at most so many bytes for a UTF-16 unit. */
const WIDEST_UNIT = 3;

function digest(head: string, body: Buffer): string {
  if (head.length * WIDEST_UNIT + body.length > SCRATCH.length)
    return createHash('sha256').update(head).update(body).digest('base64url');
  const at = SCRATCH.write(head);
  const end = at + body.copy(SCRATCH, at);
  return hash('sha256', SCRATCH.subarray(0, end), 'base64url');
}

function isPartOfContent(name: string): boolean {
  return READ_BY_HANDLERS.has(name) || !(isSystemProperty(name) || ADDED_BY_BROKERS.has(name));
}
