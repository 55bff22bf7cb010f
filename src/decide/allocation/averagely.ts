import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

/** A run of neighbouring queues per client; the first Q mod C clients get one more. Mirrors AllocateMessageQueueAveragely. */
export function averagely(
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): Allocator {
  const mod = queues.length % clientIds.length;
  const each = Math.floor(queues.length / clientIds.length);
  return (clientId) => {
    const index = clientIds.indexOf(clientId);
    if (index === -1) return [];
    const start = index * each + Math.min(index, mod);
    return queues.slice(start, start + each + (index < mod ? 1 : 0));
  };
}
