import type { MessageQueue } from '../../model/message-queue.ts';
import type { SourceConfig } from '../../model/source.ts';

/** Slots of a group: a fixed number, or as many as its widest topic has queues, so that each of those has a slot of its own. At least one. */
export function countSlots(
  pullers: SourceConfig['pullers'],
  queuesByTopic: Iterable<readonly MessageQueue[]>,
): number {
  if (pullers !== 'queue') return pullers;
  return Math.max(1, ...Array.from(queuesByTopic, (queues) => queues.length));
}
