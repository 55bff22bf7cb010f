import type { RocketMQRecord } from '../model/event.ts';

/** The messageIds that more than one record of an event has. */
export function sharedMessageIds(records: readonly Pick<RocketMQRecord, 'messageId'>[]): string[] {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const { messageId } of records)
    if (seen.has(messageId)) shared.add(messageId);
    else seen.add(messageId);
  return [...shared];
}
