import type { Message } from '../model/message.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { failuresBefore } from './failures-before.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';

/**
 * One more failure, and the message has failed for good: it is delivered without others. A handler
 * that always fails whole batches does not take good messages with a bad one.
 */
export function isLastDelivery(
  source: SourceConfig,
  subscription: SubscriptionConfig,
  localRetries: number,
  message: Message,
): boolean {
  if (subscription.order !== undefined || source.messageModel === 'BROADCASTING') return false;
  const failures = failuresBefore(message, source, localRetries);
  return failures > 0 && failures >= maxReconsumeTimes(subscription, message);
}

/** Events of format kafka have one name for the queue of all their messages; what is popped comes from many. */
export function areOfOneQueue(one: Message, other: Message): boolean {
  return one.queueId === other.queueId && one.brokerName === other.brokerName;
}
