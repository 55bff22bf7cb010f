import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { userTopic } from '../records/subscription.ts';
import type { QueueSession } from './queue-session.ts';

/** The subscription of a message. undefined: there is none, or the message cannot be read. */
export function messageSubscription(
  session: QueueSession,
  message: Message | undefined,
): SubscriptionConfig | undefined {
  if (message === undefined) return session.subscriptionOf(session.queue.topic);
  try {
    return session.subscriptionOf(userTopic(message, session.source.consumerGroup));
  } catch {
    return undefined;
  }
}
