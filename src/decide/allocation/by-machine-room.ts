import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

/**
 * Queues of brokers named `room@name` whose room is in the set, in runs; what does not divide evenly goes one by one from the first client on.
 * Queues of all other brokers belong to nobody. Mirrors AllocateMessageQueueByMachineRoom.
 */
export function byMachineRoom(
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
  rooms: readonly string[],
): Allocator {
  const kept = queues.filter(({ brokerName }) => {
    const parts = splitAsJava(brokerName);
    return parts.length === 2 && rooms.includes(parts[0] as string);
  });
  const each = Math.floor(kept.length / clientIds.length);
  const even = each * clientIds.length;
  return (clientId) => {
    const index = clientIds.indexOf(clientId);
    if (index === -1) return [];
    return [
      ...kept.slice(index * each, (index + 1) * each),
      ...kept.slice(even + index, even + index + 1),
    ];
  };
}

/** Java's String.split drops empty parts at the end: `roomA@` has one part, `roomA@b@` two. */
function splitAsJava(brokerName: string): string[] {
  const parts = brokerName.split('@');
  while (parts.at(-1) === '') parts.pop();
  return parts;
}
