import { buildRecord } from '../delivery/build-record.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';
import type { PullerDeps } from './puller-deps.ts';

export interface RecordParts extends Pick<PullerDeps, 'clock' | 'region' | 'accountId'> {
  readonly source: SourceConfig;
}

/** A message as its handler sees it. */
export function recordOf(
  { clock, region = 'local', accountId = '000000000000', source }: RecordParts,
  message: Message,
  subscription: SubscriptionConfig,
  localRetries: number,
): RocketMQRecord {
  return buildRecord(message, {
    cluster: source.cluster,
    consumerGroup: source.consumerGroup,
    topic: subscription.topic,
    now: clock.now(),
    localRetries,
    traced: subscription.tracing !== 'off',
    region,
    accountId,
    maxReconsumeTimes: maxReconsumeTimes(subscription, message),
    mode: source.mode ?? 'pull',
    order: subscription.order,
  });
}
