import { buildRecord } from '../delivery/build-record.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';
import type { PullerDeps } from './puller-deps.ts';

export interface RecordParts extends Pick<PullerDeps, 'region' | 'accountId'> {
  readonly source: SourceConfig;
}

/** A message as its handler sees it. @param now epoch ms: when it is delivered first */
export function recordOf(
  { region = 'local', accountId = '000000000000', source }: RecordParts,
  message: Message,
  subscription: SubscriptionConfig,
  localRetries: number,
  now: number,
  deliveryId?: string,
): RocketMQRecord {
  return buildRecord(message, {
    cluster: source.cluster,
    consumerGroup: source.consumerGroup,
    topic: subscription.topic,
    now,
    deliveryId,
    localRetries,
    traced: subscription.tracing !== 'off',
    region,
    accountId,
    maxReconsumeTimes: maxReconsumeTimes(subscription, message),
    mode: source.mode ?? 'pull',
    order: subscription.order,
  });
}
