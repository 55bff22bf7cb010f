import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import { failedDeliveries } from '../records/own-retry.ts';

/**
 * Deliveries of a message that failed before this one: those that the broker counts, and those that
 * only this group's pullers know of.
 */
export function failuresBefore(
  message: Message,
  source: Pick<SourceConfig, 'consumerGroup' | 'mode'>,
  localRetries: number,
): number {
  return failedDeliveries(message, source) + localRetries;
}
