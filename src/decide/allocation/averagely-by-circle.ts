import type { MessageQueue } from '../../model/message-queue.ts';

/** Queues dealt out like cards. Mirrors AllocateMessageQueueAveragelyByCircle. */
export function allocateByCircle(clientId: string, queues: readonly MessageQueue[], clientIds: readonly string[]): MessageQueue[] {
  const index = clientIds.indexOf(clientId);
  return index === -1 ? [] : queues.filter((_, position) => position % clientIds.length === index);
}
