import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Allocation,
  allocate,
  allocateToSlots,
} from '../../src/decide/allocation/allocate.ts';
import { compareQueues, type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import type { AllocationStrategy } from '../../src/model/source.ts';

const ROOMS = ['east', 'west', 'north'];

const queues = fc.uniqueArray(
  fc.record({
    topic: fc.constant('orders'),
    brokerName: fc
      .tuple(fc.constantFrom(...ROOMS), fc.constantFrom('a', 'b', '中', '🚀'))
      .map(([room, name]) => `${room}@${name}`),
    queueId: fc.nat(40),
  }),
  { minLength: 1, maxLength: 40, selector: queueKey },
);
const clientIds = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 15,
});

/** Those that leave no queue out. */
const covering: fc.Arbitrary<AllocationStrategy> = fc.oneof(
  fc.constantFrom(
    { name: 'AVG' } as const,
    { name: 'AVG_BY_CIRCLE' } as const,
    { name: 'CONSISTENT_HASH' } as const,
  ),
  fc.record({
    name: fc.constant('CONSISTENT_HASH' as const),
    virtualNodes: fc.integer({ min: 1, max: 30 }),
  }),
  fc.record({
    name: fc.constant('MACHINE_ROOM_NEARBY' as const),
    inner: fc.constantFrom('AVG' as const, 'AVG_BY_CIRCLE' as const, 'CONSISTENT_HASH' as const),
    slotRooms: fc.array(fc.constantFrom(...ROOMS), { minLength: 1, maxLength: 4 }),
  }),
);

function sizes(slots: ReadonlyMap<string, number>, clients: number): number[] {
  return Array.from(
    { length: clients },
    (_, slot) => [...slots.values()].filter((owner) => owner === slot).length,
  );
}

/** The queues of every client, for strategies that Java configures the same way. */
function sharesOf(
  strategy: Allocation,
  all: readonly MessageQueue[],
  clients: readonly string[],
): MessageQueue[][] {
  return clients.map((clientId) => allocate(strategy, clientId, all, clients));
}

describe('allocation', () => {
  it('gives every queue to exactly one client', () => {
    fc.assert(
      fc.property(
        queues,
        clientIds,
        fc.constantFrom('AVG', 'AVG_BY_CIRCLE', 'CONSISTENT_HASH'),
        (all, clients, name) => {
          const given = sharesOf({ name: name as 'AVG' }, all, clients).flat();
          assert.deepEqual(given.sort(compareQueues), [...all].sort(compareQueues));
        },
      ),
    );
  });

  it('gives every queue a slot', () => {
    fc.assert(
      fc.property(queues, clientIds, covering, (all, clients, strategy) => {
        const slots = allocateToSlots(strategy, all, clients);
        assert.deepEqual([...slots.keys()].sort(), all.map(queueKey).sort());
        assert([...slots.values()].every((slot) => slot >= 0 && slot < clients.length));
      }),
    );
  });

  it('does not depend on the order of queues', () => {
    const shuffled = queues.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    fc.assert(
      fc.property(shuffled, clientIds, covering, ([all, others], clients, strategy) => {
        assert.deepEqual(
          allocateToSlots(strategy, others, clients),
          allocateToSlots(strategy, all, clients),
        );
      }),
    );
  });

  it('does not depend on the order of clients', () => {
    const shuffled = clientIds.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    );
    const strategy = fc.constantFrom('AVG', 'AVG_BY_CIRCLE', 'CONSISTENT_HASH');
    fc.assert(
      fc.property(queues, shuffled, strategy, (all, [clients, others], name) => {
        for (const clientId of clients)
          assert.deepEqual(
            allocate({ name: name as 'AVG' }, clientId, all, others),
            allocate({ name: name as 'AVG' }, clientId, all, clients),
          );
      }),
    );
  });

  it('leaves the lists that it is given as they are', () => {
    fc.assert(
      fc.property(queues, clientIds, covering, (all, clients, strategy) => {
        allocateToSlots(strategy, Object.freeze(all), Object.freeze(clients));
      }),
    );
  });

  it('is even to one queue when it averages', () => {
    fc.assert(
      fc.property(
        queues,
        clientIds,
        fc.constantFrom('AVG' as const, 'AVG_BY_CIRCLE' as const),
        (all, clients, name) => {
          const counts = sizes(allocateToSlots({ name }, all, clients), clients.length);
          assert(Math.max(...counts) - Math.min(...counts) <= 1);
        },
      ),
    );
  });

  it('moves only queues of the client that left, or to the one that came, on a ring', () => {
    fc.assert(
      fc.property(queues, clientIds, (all, clients) => {
        const before = allocateToSlots({ name: 'CONSISTENT_HASH' }, all, clients);
        const newcomer = 'newcomer of seven';
        const after = allocateToSlots({ name: 'CONSISTENT_HASH' }, all, [...clients, newcomer]);
        for (const [key, slot] of after)
          assert(slot === clients.length || slot === before.get(key));
      }),
    );
  });

  it('keeps queues in their room as long as somebody is there', () => {
    const slotRooms = fc.array(fc.constantFrom(...ROOMS), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(queues, clientIds, slotRooms, (all, clients, roomsOfSlots) => {
        const roomOf = (slot: number): string => roomsOfSlots[slot % roomsOfSlots.length] as string;
        const inhabited = new Set(clients.map((_, slot) => roomOf(slot)));
        const slots = allocateToSlots(
          { name: 'MACHINE_ROOM_NEARBY', inner: 'AVG', slotRooms: roomsOfSlots },
          all,
          clients,
        );
        for (const one of all) {
          const room = one.brokerName.split('@')[0] as string;
          if (inhabited.has(room)) assert.equal(roomOf(slots.get(queueKey(one)) as number), room);
        }
      }),
    );
  });

  it('gives MACHINE_ROOM’s own queues once each and no other', () => {
    fc.assert(
      fc.property(queues, clientIds, fc.subarray(ROOMS), (all, clients, rooms) => {
        const given = sharesOf({ name: 'MACHINE_ROOM', rooms }, all, clients);
        const kept = all.filter(({ brokerName }) =>
          rooms.includes(brokerName.split('@')[0] as string),
        );
        assert.deepEqual(given.flat().sort(compareQueues), kept.sort(compareQueues));
        const counts = given.map(({ length }) => length);
        assert(Math.max(...counts) - Math.min(...counts) <= 1);
      }),
    );
  });
});
