import type { Message } from '../model/message.ts';
import { isSystemProperty, Property } from './properties.ts';

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

/** Properties of a message that is sent on as a new one: delays, timers, transactions and counts of failures are over. */
export function forwardedProperties({
  properties,
}: Pick<Message, 'properties'>): Map<string, string> {
  const forwarded = new Map<string, string>();
  for (const [name, value] of properties)
    if (KEPT.has(name) || !isSystemProperty(name)) forwarded.set(name, value);
  return forwarded;
}
