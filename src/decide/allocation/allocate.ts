import { type AssignedSlot, FOREIGN_SLOT } from '../../model/membership.ts';
import { compareQueues, type MessageQueue, queueKey } from '../../model/message-queue.ts';
import type { AllocationStrategy } from '../../model/source.ts';
import type { Allocator } from './allocator.ts';
import { averagely } from './averagely.ts';
import { averagelyByCircle } from './averagely-by-circle.ts';
import { byConfig } from './by-config.ts';
import { byMachineRoom } from './by-machine-room.ts';
import { consistentHash } from './consistent-hash.ts';
import { type MachineRooms, machineRoomNearby } from './machine-room-nearby.ts';

/** A strategy with its parts resolved; what Java configures in code. */
export type Allocation =
  | { readonly name: 'AVG' | 'AVG_BY_CIRCLE' }
  | { readonly name: 'CONSISTENT_HASH'; readonly virtualNodes?: number | undefined }
  | { readonly name: 'MACHINE_ROOM'; readonly rooms: readonly string[] }
  | {
      readonly name: 'MACHINE_ROOM_NEARBY';
      readonly inner: Allocation;
      readonly rooms: MachineRooms;
    }
  | { readonly name: 'CONFIG'; readonly queuesOf: (clientId: string) => readonly MessageQueue[] };

/**
 * The queues of one client, as Java's strategy of that name gives them, in its order. Both lists are sorted first, so the result does not depend on
 * the order they come in. No queues or no clients: nothing, where Java throws. Mirrors AllocateMessageQueueStrategy.
 */
export function allocate(
  strategy: Allocation,
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): MessageQueue[] {
  return prepare(strategy, queues, clientIds)(clientId);
}

/**
 * Which slot each queue of a topic belongs to. Queues that the strategy leaves out (MACHINE_ROOM, CONFIG) are not in the map: nobody works them.
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
  const queuesOf = prepare(resolve(strategy, slotClientIds), queues, slotClientIds);
  slotClientIds.forEach((clientId, slot) => {
    for (const queue of queuesOf(clientId)) {
      const key = queueKey(queue);
      // CONFIG is unchecked in Java; here a queue that does not exist, or stands twice, is passed over.
      if (known.has(key) && !slots.has(key)) slots.set(key, slot);
    }
  });
  return slots;
}

/**
 * Which slot each queue of a topic belongs to when the slots are members of the group beside others: all of them allocate over the same list.
 * A client id that stands twice (a connection of the slot that died unnoticed, or one that is about to leave) has two shares, and Java's members
 * leave both to it: both are its slot's, or nobody would work the second.
 * @param memberIds as a broker lists them (38)
 * @returns queueKey → slot, FOREIGN_SLOT for what is another member's, or nobody's
 */
export function allocateAmongMembers(
  strategy: AllocationStrategy,
  queues: readonly MessageQueue[],
  memberIds: readonly string[],
  slotClientIds: readonly string[],
): Map<string, AssignedSlot> {
  const shares =
    strategy.name === 'CONSISTENT_HASH'
      ? memberIds.map((id) => ({ id, share: id }))
      : asShares(memberIds);
  const queuesOf = prepare(
    resolve(strategy, slotClientIds),
    queues,
    shares.map(({ share }) => share),
  );
  const slots = new Map<string, AssignedSlot>(
    queues.map((queue) => [queueKey(queue), FOREIGN_SLOT]),
  );
  for (const { id, share } of shares) {
    const slot = slotClientIds.indexOf(id);
    if (slot === -1) continue;
    for (const queue of queuesOf(share))
      if (slots.has(queueKey(queue))) slots.set(queueKey(queue), slot);
  }
  return slots;
}

/** A name of its own for each entry, in the same order: U+0000 sorts before every character of a client id. */
function asShares(memberIds: readonly string[]): { readonly id: string; readonly share: string }[] {
  return memberIds.toSorted().map((id, index, all) => {
    const nth = index - all.indexOf(id);
    return { id, share: nth === 0 ? id : `${id}\u0000${String(nth).padStart(4, '0')}` };
  });
}

/** Sorts, and does once what is the same for every client: a ring of a thousand slots is made of ten thousand hashes. */
function prepare(
  strategy: Allocation,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): Allocator {
  // Array.prototype.sort compares UTF-16 units, as Java's String order does.
  return prepareSorted(strategy, [...queues].sort(compareQueues), [...clientIds].sort());
}

function prepareSorted(
  strategy: Allocation,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
): Allocator {
  switch (strategy.name) {
    case 'AVG':
      return averagely(queues, clientIds);
    case 'AVG_BY_CIRCLE':
      return averagelyByCircle(queues, clientIds);
    case 'CONSISTENT_HASH':
      return consistentHash(queues, clientIds, strategy.virtualNodes);
    case 'MACHINE_ROOM':
      return byMachineRoom(queues, clientIds, strategy.rooms);
    case 'MACHINE_ROOM_NEARBY':
      return machineRoomNearby(queues, clientIds, strategy.rooms, (ofRoom, ids) =>
        prepareSorted(strategy.inner, ofRoom, ids),
      );
    case 'CONFIG':
      return byConfig(strategy.queuesOf);
  }
}

/** A strategy of the configuration, with slots in the place of clients. A broker's room is what its name says before `@`. */
function resolve(strategy: AllocationStrategy, slotClientIds: readonly string[]): Allocation {
  switch (strategy.name) {
    case 'MACHINE_ROOM_NEARBY': {
      const { inner, slotRooms } = strategy;
      const roomOf = new Map(
        slotClientIds.map((clientId, slot) => [clientId, slotRooms[slot % slotRooms.length] ?? '']),
      );
      return {
        name: 'MACHINE_ROOM_NEARBY',
        inner: { name: inner },
        rooms: {
          brokerRoom: ({ brokerName }) => brokerName.split('@')[0] as string,
          clientRoom: (clientId) => roomOf.get(clientId) ?? '',
        },
      };
    }
    case 'CONFIG':
      return {
        name: 'CONFIG',
        queuesOf: (clientId) =>
          strategy.queues.filter(({ slot }) => slotClientIds[slot] === clientId),
      };
    default:
      return strategy;
  }
}
