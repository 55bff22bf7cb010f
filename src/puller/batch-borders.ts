import { goesAlone } from '../decide/batch/goes-alone.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { firstStoredAt } from '../records/own-retry.ts';
import { failuresBefore } from './failures-before.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';

/** Its next failure may be its last one: the message is delivered without others. */
export function isDeliveredAlone(
  source: SourceConfig,
  subscription: SubscriptionConfig,
  localRetries: number,
  message: Message,
  now: number,
): boolean {
  if (source.messageModel === 'BROADCASTING') return false;
  const failures = failuresBefore(message, source, localRetries);
  if (failures === 0) return false;
  const { maximumRecordAgeInSeconds: maxAge } = subscription;
  return goesAlone({
    failures,
    maxFailures: maxReconsumeTimes(subscription, message),
    ageMs: maxAge === undefined ? 0 : now - firstStoredAt(message, source),
    maxAgeMs: maxAge === undefined ? undefined : maxAge * 1000,
  });
}

/** Events of format kafka have one name for the queue of all their messages; what is popped comes from many. */
export function areOfOneQueue(one: Message, other: Message): boolean {
  return one.queueId === other.queueId && one.brokerName === other.brokerName;
}
