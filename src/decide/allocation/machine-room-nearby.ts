import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

/** Where brokers and clients stand. Mirrors AllocateMachineRoomNearby.MachineRoomResolver. */
export interface MachineRooms {
  brokerRoom(queue: MessageQueue): string;
  clientRoom(clientId: string): string;
}

/** Queues go to clients of their own room; a room without clients is shared by all. Mirrors AllocateMachineRoomNearby. */
export function machineRoomNearby(
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
  rooms: MachineRooms,
  inner: (queues: readonly MessageQueue[], clientIds: readonly string[]) => Allocator,
): Allocator {
  const clientsIn = Map.groupBy(clientIds, (clientId) => rooms.clientRoom(clientId));
  const queuesIn = Map.groupBy(queues, (queue) => rooms.brokerRoom(queue));
  const ofRoom = new Map(
    [...clientsIn].map(([room, ids]) => [room, inner(queuesIn.get(room) ?? [], ids)]),
  );
  // Java walks the rooms in the order of a TreeMap.
  const deserted = [...queuesIn]
    .filter(([room]) => !clientsIn.has(room))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const shared = deserted.map(([, ofDeserted]) => inner(ofDeserted, clientIds));
  return (clientId) => {
    if (!clientIds.includes(clientId)) return [];
    const own = ofRoom.get(rooms.clientRoom(clientId))?.(clientId) ?? [];
    return [...own, ...shared.flatMap((queuesOf) => queuesOf(clientId))];
  };
}
