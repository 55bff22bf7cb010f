import { compareQueues, type MessageQueue, queueKey } from '../../model/message-queue.ts';
import type { AllocationStrategy } from '../../model/source.ts';
import { allocateAveragely } from './averagely.ts';
import { allocateByCircle } from './averagely-by-circle.ts';
import { allocateByMachineRoom } from './by-machine-room.ts';
import { allocateByConsistentHash } from './consistent-hash.ts';
import { allocateNearby, type MachineRooms } from './machine-room-nearby.ts';

/** A strategy with its parts resolved; what Java configures in code. */
export type Allocation =
  | { readonly name: 'AVG' | 'AVG_BY_CIRCLE' }
  | { readonly name: 'CONSISTENT_HASH'; readonly virtualNodes?: number | undefined }
  | { readonly name: 'MACHINE_ROOM'; readonly rooms: readonly string[] }
  | { readonly name: 'MACHINE_ROOM_NEARBY'; readonly inner: Allocation; readonly rooms: MachineRooms }
  | { readonly name: 'CONFIG'; readonly queuesOf: (clientId: string) => readonly MessageQueue[] };

/**
 * The queues of one client, as Java's strategy of that name gives them, in its order. Both lists are sorted first, so the result does not depend on
 * the order they come in. A client that is not in the list gets nothing. Mirrors AllocateMessageQueueStrategy.
 */
export function allocate(
  strategy: Allocation,
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): MessageQueue[] {
  // Array.prototype.sort compares UTF-16 units, as Java's String order does.
  return allocateSorted(strategy, clientId, [...queues].sort(compareQueues), [...clientIds].sort());
}

function allocateSorted(
  strategy: Allocation,
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): MessageQueue[] {
  switch (strategy.name) {
    case 'AVG':
      return allocateAveragely(clientId, queues, clientIds);
    case 'AVG_BY_CIRCLE':
      return allocateByCircle(clientId, queues, clientIds);
    case 'CONSISTENT_HASH':
      return allocateByConsistentHash(clientId, queues, clientIds, strategy.virtualNodes);
    case 'MACHINE_ROOM':
      return allocateByMachineRoom(clientId, queues, clientIds, strategy.rooms);
    case 'MACHINE_ROOM_NEARBY':
      return allocateNearby(clientId, queues, clientIds, strategy.rooms, (id, ownQueues, ids) =>
        allocateSorted(strategy.inner, id, ownQueues, ids),
      );
    case 'CONFIG':
      return [...strategy.queuesOf(clientId)];
  }
}

/**
 * Which slot each queue of a topic belongs to. Strategies that leave queues out (MACHINE_ROOM, CONFIG) leave them out of the map.
 * @param queues of one topic
 * @param slotClientIds client id of slot 0, 1, …
 * @returns queueKey → slot
 */
export function allocateToSlots(
  strategy: AllocationStrategy,
  queues: readonly MessageQueue[],
  slotClientIds: readonly string[],
): Map<string, number> {
  const slots = new Map<string, number>();
  const known = new Set(queues.map(queueKey));
  const allocation = resolve(strategy, slotClientIds);
  slotClientIds.forEach((clientId, slot) => {
    for (const queue of allocate(allocation, clientId, queues, slotClientIds)) {
      const key = queueKey(queue);
      // CONFIG is unchecked in Java; here a queue that does not exist, or stands twice, is passed over.
      if (known.has(key) && !slots.has(key)) slots.set(key, slot);
    }
  });
  return slots;
}

/** A strategy of the configuration, with slots in the place of clients. A broker's room is what its name says before `@`. */
function resolve(strategy: AllocationStrategy, slotClientIds: readonly string[]): Allocation {
  switch (strategy.name) {
    case 'MACHINE_ROOM_NEARBY': {
      const { inner, slotRooms } = strategy;
      const clientRoom = (clientId: string): string => slotRooms[slotClientIds.indexOf(clientId) % slotRooms.length] ?? '';
      return {
        name: 'MACHINE_ROOM_NEARBY',
        inner: { name: inner },
        rooms: { brokerRoom: ({ brokerName }) => brokerName.split('@')[0] as string, clientRoom },
      };
    }
    case 'CONFIG':
      return { name: 'CONFIG', queuesOf: (clientId) => strategy.queues.filter(({ slot }) => slotClientIds[slot] === clientId) };
    default:
      return strategy;
  }
}
