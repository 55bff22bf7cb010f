import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Allocation,
  allocate,
  allocateToSlots,
} from '../../../../src/decide/allocation/allocate.ts';
import type { MachineRooms } from '../../../../src/decide/allocation/machine-room-nearby.ts';
import { type MessageQueue, queueKey } from '../../../../src/model/message-queue.ts';
import { slotClientId } from '../../../../src/model/source.ts';
import { readVectors } from '../../../support/vectors.ts';

interface AllocationVector {
  readonly queues: readonly MessageQueue[];
  readonly clientIds: readonly string[];
  readonly allocation: Record<string, Record<string, number[]>>;
}

const byIp: MachineRooms = {
  brokerRoom: ({ brokerName }) => brokerName.split('@')[0] as string,
  clientRoom: (clientId) =>
    ['roomA', 'roomB', 'roomC'][Number(/^\d+\.\d+\.\d+\.(\d+)@/.exec(clientId)?.[1]) % 3] as string,
};

const VECTOR_STRATEGIES: Record<string, Allocation> = {
  AVG: { name: 'AVG' },
  AVG_BY_CIRCLE: { name: 'AVG_BY_CIRCLE' },
  CONSISTENT_HASH: { name: 'CONSISTENT_HASH' },
  CONSISTENT_HASH_virtual3: { name: 'CONSISTENT_HASH', virtualNodes: 3 },
  'MACHINE_ROOM_consumeridcs=roomA': { name: 'MACHINE_ROOM', rooms: ['roomA'] },
  'MACHINE_ROOM_NEARBY-AVG': { name: 'MACHINE_ROOM_NEARBY', inner: { name: 'AVG' }, rooms: byIp },
};

/** `a0` is queue 0 of broker-a, as consumer-semantics writes it. */
function queue(short: string): MessageQueue {
  return { topic: 'TopicTest', brokerName: `broker-${short[0]}`, queueId: Number(short.slice(1)) };
}

function short({ brokerName, queueId }: MessageQueue): string {
  return `${brokerName.slice('broker-'.length)}${queueId}`;
}

const EIGHT = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3'].map(queue);
const THREE = ['10.0.0.1@c1', '10.0.0.2@c2', '10.0.0.3@c3'];

function shares(
  strategy: Allocation,
  clientIds: readonly string[],
  queues: readonly MessageQueue[] = EIGHT,
): string[] {
  return clientIds.map((clientId) =>
    allocate(strategy, clientId, queues, clientIds).map(short).join(' '),
  );
}

describe('allocate', () => {
  for (const [name, strategy] of Object.entries(VECTOR_STRATEGIES))
    it(`gives what Java's ${name} gives, in its order`, () => {
      const cases = readVectors<{ cases: AllocationVector[] }>('allocation').cases.filter(
        ({ allocation }) => name in allocation,
      );
      assert(cases.length > 0);
      for (const { queues, clientIds, allocation } of cases)
        for (const [clientId, indices] of Object.entries(allocation[name] ?? {}))
          assert.deepEqual(
            allocate(strategy, clientId, queues, clientIds),
            indices.map((index) => queues[index]),
          );
    });

  it('knows every strategy that the vectors have', () => {
    const { cases } = readVectors<{ cases: AllocationVector[] }>('allocation');
    const names = new Set(cases.flatMap(({ allocation }) => Object.keys(allocation)));
    assert.deepEqual([...names].sort(), Object.keys(VECTOR_STRATEGIES).sort());
  });

  it('deals two brokers of four queues to three clients', () => {
    assert.deepEqual(shares({ name: 'AVG' }, THREE), ['a0 a1 a2', 'a3 b0 b1', 'b2 b3']);
    assert.deepEqual(shares({ name: 'AVG_BY_CIRCLE' }, THREE), ['a0 a3 b2', 'a1 b0 b3', 'a2 b1']);
    assert.deepEqual(shares({ name: 'CONSISTENT_HASH' }, THREE), ['a0', 'a2 b0', 'a1 a3 b1 b2 b3']);
  });

  it('leaves clients beyond the queues without any', () => {
    const ten = Array.from({ length: 10 }, (_, index) => `c${index}`);
    const alone = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3', '', ''];
    assert.deepEqual(shares({ name: 'AVG' }, ten), alone);
    assert.deepEqual(shares({ name: 'AVG_BY_CIRCLE' }, ten), alone);
  });

  it('leaves queues without owner when a client id stands twice, as Java does', () => {
    assert.deepEqual(shares({ name: 'AVG' }, ['A', 'A', 'B']), ['a0 a1 a2', 'a0 a1 a2', 'b2 b3']);
  });

  it('gives a doubled client a second run of nodes on the ring', () => {
    // Computed by Java's class.
    const strategy: Allocation = { name: 'CONSISTENT_HASH', virtualNodes: 5 };
    assert.deepEqual(shares(strategy, ['A', 'A', 'B']).slice(1), ['a0 a1 a2 b0 b1 b3', 'a3 b2']);
    assert.equal(shares(strategy, ['A', 'B'])[0], 'a1 a2 b1 b3');
  });

  it('gives nothing to a client that is not in the list, and nothing of nothing', () => {
    for (const strategy of Object.values(VECTOR_STRATEGIES)) {
      assert.deepEqual(allocate(strategy, '10.0.0.9@x', EIGHT, THREE), []);
      assert.deepEqual(allocate(strategy, '10.0.0.1@c1', [], THREE), []);
      assert.deepEqual(allocate(strategy, '10.0.0.1@c1', EIGHT, []), []);
    }
  });

  it('orders queue ids as numbers and clients by UTF-16 units', () => {
    const many = Array.from({ length: 12 }, (_, queueId) => queue(`a${queueId}`));
    assert.deepEqual(shares({ name: 'AVG' }, ['x'], [...many].reverse()), [
      'a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11',
    ]);
    // U+FF5E is one unit above every surrogate, but a lower code point than the rocket.
    assert.deepEqual(shares({ name: 'AVG' }, ['～', '🚀'], ['a0', 'a1'].map(queue)), ['a1', 'a0']);
    assert.deepEqual(shares({ name: 'AVG' }, ['@10', '@2'], ['a0', 'a1'].map(queue)), ['a0', 'a1']);
  });

  it('reads a machine room as Java’s String.split does', () => {
    const names = ['roomA@b', 'roomA@', 'roomA@b@', 'roomA@b@c', 'roomA', '@roomA', 'roomB@b', '@'];
    const queues = names.map((brokerName) => ({ topic: 'T', brokerName, queueId: 0 }));
    const kept = allocate({ name: 'MACHINE_ROOM', rooms: ['roomA'] }, 'c', queues, ['c']);
    assert.deepEqual(
      kept.map(({ brokerName }) => brokerName),
      ['roomA@b', 'roomA@b@'],
    );
  });

  it('shares the queues of deserted rooms after the own ones, room by room', () => {
    const queues = ['roomZ@b', 'roomB@b', 'roomA@b'].flatMap((brokerName) =>
      [0, 1].map((queueId) => ({ topic: 'T', brokerName, queueId })),
    );
    const strategy: Allocation = {
      name: 'MACHINE_ROOM_NEARBY',
      inner: { name: 'AVG_BY_CIRCLE' },
      rooms: byIp,
    };
    const names = (clientId: string): string[] =>
      allocate(strategy, clientId, queues, ['1.1.1.0@a', '1.1.1.2@c']).map(
        ({ brokerName, queueId }) => `${brokerName[4]}${queueId}`,
      );
    assert.deepEqual(names('1.1.1.0@a'), ['A0', 'A1', 'B0', 'Z0']);
    assert.deepEqual(names('1.1.1.2@c'), ['B1', 'Z1']);
  });

  it('takes CONFIG as it stands', () => {
    const list = ['b1', 'a0', 'a0'].map(queue);
    assert.deepEqual(
      allocate(
        { name: 'CONFIG', queuesOf: (clientId) => (clientId === 'c1' ? list : []) },
        'c1',
        EIGHT,
        ['c0', 'c1'],
      ),
      list,
    );
  });
});

describe('allocateToSlots', () => {
  const slotIds = (slots: number): string[] =>
    Array.from({ length: slots }, (_, slot) => slotClientId('shop', 'dev', 'orders', slot));
  const slotOf = (map: Map<string, number>): Record<string, number> =>
    Object.fromEntries(
      EIGHT.filter((one) => map.has(queueKey(one))).map((one) => [
        short(one),
        map.get(queueKey(one)) as number,
      ]),
    );

  it('says the slot of each queue', () => {
    const expected = { a0: 0, a1: 0, a2: 0, a3: 1, b0: 1, b1: 1, b2: 2, b3: 2 };
    assert.deepEqual(slotOf(allocateToSlots({ name: 'AVG' }, EIGHT, slotIds(3))), expected);
  });

  it('keeps the numbers of slots whose ids sort otherwise', () => {
    // As text, slot 10 stands before slot 2: Java would give it the third queue.
    const queues = Array.from({ length: 11 }, (_, queueId) => ({
      topic: 'T',
      brokerName: 'b',
      queueId,
    }));
    const slots = allocateToSlots({ name: 'AVG' }, queues, slotIds(11));
    assert.deepEqual(
      queues.map((one) => slots.get(queueKey(one))),
      [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  });

  it('leaves out what MACHINE_ROOM leaves out', () => {
    const queues = ['roomA@b', 'roomB@b'].map((brokerName) => ({
      topic: 'T',
      brokerName,
      queueId: 0,
    }));
    const slots = allocateToSlots({ name: 'MACHINE_ROOM', rooms: ['roomB'] }, queues, slotIds(1));
    assert.deepEqual([...slots], [['T/roomB@b/0', 0]]);
  });

  it('takes from CONFIG the queues that exist, each once, first slot first', () => {
    const line = (slot: number, name: string) => ({ slot, ...queue(name) });
    const strategy = {
      name: 'CONFIG',
      queues: [line(1, 'a0'), line(0, 'b3'), line(1, 'b3'), line(0, 'b9'), line(7, 'a1')],
    } as const;
    assert.deepEqual(slotOf(allocateToSlots(strategy, EIGHT, slotIds(2))), { a0: 1, b3: 0 });
  });

  it('puts slots into rooms in turn', () => {
    const queues = ['east@b', 'north@b', 'west@b'].flatMap((brokerName) =>
      [0, 1].map((queueId) => ({ topic: 'T', brokerName, queueId })),
    );
    const strategy = {
      name: 'MACHINE_ROOM_NEARBY',
      inner: 'AVG',
      slotRooms: ['east', 'west'],
    } as const;
    const slots = allocateToSlots(strategy, queues, slotIds(4));
    assert.deepEqual(Object.fromEntries(slots), {
      'T/east@b/0': 0,
      'T/east@b/1': 2,
      'T/west@b/0': 1,
      'T/west@b/1': 3,
      'T/north@b/0': 0,
      'T/north@b/1': 1,
    });
  });

  it('builds the ring of a thousand slots once', () => {
    const queues = Array.from({ length: 1000 }, (_, queueId) => ({
      topic: 'T',
      brokerName: 'b',
      queueId,
    }));
    const started = performance.now();
    const slots = allocateToSlots({ name: 'CONSISTENT_HASH' }, queues, slotIds(1000));
    assert.equal(slots.size, 1000);
    // A ring per slot would be ten million hashes.
    assert(performance.now() - started < 3000);
  });
});
