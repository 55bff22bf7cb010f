import type { MessageQueue } from '../../model/message-queue.ts';

/** Queues of brokers named `room@name` whose room is in the set, in runs; what does not divide evenly goes one by one from the first client on. Mirrors AllocateMessageQueueByMachineRoom. */
export function allocateByMachineRoom(
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
  rooms: readonly string[],
): MessageQueue[] {
  const index = clientIds.indexOf(clientId);
  if (index === -1) return [];
  const kept = queues.filter(({ brokerName }) => {
    const parts = brokerName.split('@');
    return parts.length === 2 && rooms.includes(parts[0] as string);
  });
  const each = Math.floor(kept.length / clientIds.length);
  const rest = kept.length % clientIds.length;
  const extra = kept[index + each * clientIds.length];
  return [...kept.slice(index * each, (index + 1) * each), ...(rest > index && extra !== undefined ? [extra] : [])];
}
