import type { MessageQueue } from '../../model/message-queue.ts';

/** Where brokers and clients stand. Mirrors AllocateMachineRoomNearby.MachineRoomResolver. */
export interface MachineRooms {
  brokerRoom(queue: MessageQueue): string;
  clientRoom(clientId: string): string;
}

type Inner = (clientId: string, queues: readonly MessageQueue[], clientIds: readonly string[]) => MessageQueue[];

/** Queues go to clients of their own room; a room without clients is shared by all. Mirrors AllocateMachineRoomNearby. */
export function allocateNearby(
  clientId: string,
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
  rooms: MachineRooms,
  inner: Inner,
): MessageQueue[] {
  if (!clientIds.includes(clientId)) return [];
  const room = rooms.clientRoom(clientId);
  const neighbours = clientIds.filter((id) => rooms.clientRoom(id) === room);
  const inhabited = new Set(clientIds.map((id) => rooms.clientRoom(id)));
  const byRoom = Map.groupBy(queues, (queue) => rooms.brokerRoom(queue));
  // Java walks the rooms in the order of a TreeMap.
  const deserted = [...byRoom.keys()].filter((name) => !inhabited.has(name)).sort();
  return [
    ...((byRoom.get(room)?.length ?? 0) > 0 ? inner(clientId, byRoom.get(room) ?? [], neighbours) : []),
    ...deserted.flatMap((name) => inner(clientId, byRoom.get(name) ?? [], clientIds)),
  ];
}
