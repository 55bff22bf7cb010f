import { compileSql } from '../decide/filter/sql92.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { isOwnRetry } from '../records/own-retry.ts';
import { Property } from '../records/properties.ts';
import { buildSubscription, matchesTags } from '../records/subscription.ts';

type Matches = (message: Message) => boolean;

/** By subscription, so that a filter is read once. */
const FILTERS = new WeakMap<SubscriptionConfig, Matches>();

/**
 * Is the message a redelivery that the filter of its topic does not take? Whoever may write to the
 * retry topic names the topic of a redelivery, past that topic's filter. Brokers filter no retry
 * topics: `filterSupportRetry` concerns subscriptions of the retry topic that are SQL92 themselves.
 */
export function isFilteredRetry(
  message: Message,
  subscription: SubscriptionConfig | undefined,
  consumerGroup: string,
): boolean {
  if (subscription === undefined || !isOwnRetry(message, consumerGroup)) return false;
  const matches = FILTERS.get(subscription) ?? compile(subscription);
  FILTERS.set(subscription, matches);
  return !matches(message);
}

/** What brokers do not compile is refused when a service is packaged, and before the first pull. */
function compile({ topic, filter: { type, expression } }: SubscriptionConfig): Matches {
  if (type === 'SQL92') {
    const matches = compileSql(expression) ?? (() => true);
    return ({ properties }) => matches(properties);
  }
  const tags = buildSubscription(topic, expression);
  return ({ properties }) => matchesTags(tags, properties.get(Property.TAGS));
}
