import { type Allocation, allocate } from '../../src/decide/allocation/allocate.ts';
import type { MachineRooms } from '../../src/decide/allocation/machine-room-nearby.ts';
import { type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import type { Checker } from './checker.ts';

interface AllocationVectors {
  readonly cases: readonly {
    readonly consumerGroup: string;
    readonly queues: readonly MessageQueue[];
    readonly clientIds: readonly string[];
    /** strategy → client id → indices into queues, in Java's order. */
    readonly allocation: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
  }[];
}

/** The resolver that the vectors' program gave to MACHINE_ROOM_NEARBY. */
const VECTOR_ROOMS: MachineRooms = {
  brokerRoom: ({ brokerName }) => brokerName.split('@')[0] as string,
  clientRoom: (clientId) =>
    ['roomA', 'roomB', 'roomC'][Number(clientId.split('@')[0]?.split('.')[3]) % 3] as string,
};

export function checkAllocation({ cases }: AllocationVectors, checker: Checker): void {
  cases.forEach(({ consumerGroup, queues, clientIds, allocation }, index) => {
    for (const [strategy, expected] of Object.entries(allocation))
      checker.case(`case ${index} (${consumerGroup}) ${strategy}`, (expect) => {
        const positions = new Map(queues.map((queue, position) => [queueKey(queue), position]));
        for (const clientId of new Set([...clientIds, ...Object.keys(expected)])) {
          const actual = allocate(strategyOf(strategy), clientId, queues, clientIds).map((queue) =>
            positions.get(queueKey(queue)),
          );
          expect(clientId, actual, expected[clientId]);
        }
      });
  });
}

/** `CONSISTENT_HASH_virtual3`, `MACHINE_ROOM_consumeridcs=roomA,roomB`, `MACHINE_ROOM_NEARBY-AVG`, or a plain name. */
function strategyOf(text: string): Allocation {
  const virtual = /^CONSISTENT_HASH_virtual(\d+)$/.exec(text);
  if (virtual !== null) return { name: 'CONSISTENT_HASH', virtualNodes: Number(virtual[1]) };
  const rooms = /^MACHINE_ROOM_consumeridcs=(.*)$/.exec(text);
  if (rooms !== null) return { name: 'MACHINE_ROOM', rooms: (rooms[1] as string).split(',') };
  const nearby = /^MACHINE_ROOM_NEARBY-(.+)$/.exec(text);
  if (nearby !== null)
    return {
      name: 'MACHINE_ROOM_NEARBY',
      inner: strategyOf(nearby[1] as string),
      rooms: VECTOR_ROOMS,
    };
  if (text === 'AVG' || text === 'AVG_BY_CIRCLE' || text === 'CONSISTENT_HASH')
    return { name: text };
  throw new Error(`the strategy "${text}" is not known`);
}
