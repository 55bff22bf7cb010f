import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

/** The list that the user wrote, as it stands: unsorted, unchecked, whoever else is in the group. Mirrors AllocateMessageQueueByConfig. */
export function byConfig(queuesOf: (clientId: string) => readonly MessageQueue[]): Allocator {
  return (clientId) => [...queuesOf(clientId)];
}
