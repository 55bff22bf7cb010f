import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

/** Queues dealt out like cards. Mirrors AllocateMessageQueueAveragelyByCircle. */
export function averagelyByCircle(
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): Allocator {
  return (clientId) => {
    const index = clientIds.indexOf(clientId);
    return index === -1
      ? []
      : queues.filter((_, position) => position % clientIds.length === index);
  };
}
