import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { fewer, MemoryBudget, type QueueMemory } from '../../../src/decide/pull/memory-budget.ts';
import { deliveryCost, type EventUse } from '../../../src/decide/pull/memory-costs.ts';

const MIB = 1024 * 1024;

/** An answer arrives, and is read and stored if there is room for it. */
function store(queue: QueueMemory, bytes: number, now = 0): boolean {
  const fits = queue.mayFetch(now) && queue.receive(bytes, 0, now) && queue.admit(bytes, 1, now);
  if (fits) queue.note(bytes);
  queue.endFetch();
  return fits;
}

describe('answers in hand', () => {
  it('of one queue take all of their part', () => {
    const queue = new MemoryBudget(512 * MIB).open(() => {});
    let stored = 0;
    while (store(queue, MIB)) stored++;
    assert.ok(stored >= 31 && stored <= 32, `${stored} MiB`);
  });

  it('of any number of queues stay below their part and one large answer', () => {
    const budget = new MemoryBudget(512 * MIB);
    const queues = Array.from({ length: 64 }, () => budget.open(() => {}));
    for (let round = 0; round < 200; round++) for (const queue of queues) store(queue, 3 * MIB);
    assert.ok(budget.used.stored <= 35 * MIB, `${budget.used.stored / MIB} MiB`);
  });

  it('are counted from their header on', () => {
    const budget = new MemoryBudget(512 * MIB, 64);
    const queues = Array.from({ length: 64 }, () => budget.open(() => {}));
    const read = queues.filter((queue) => queue.mayFetch(0) && queue.receive(4 * MIB, 32, 0));
    assert.ok(read.length >= 4 && read.length < 10, `${read.length} at once`);
    assert.ok(budget.used.stored <= 64 * MIB, `${budget.used.stored / MIB} MiB`);
    for (const queue of read) queue.endFetch();
    assert.equal(budget.used.stored, 0);
  });

  it('that were not read are asked for again with their memory reserved, in turn', () => {
    const budget = new MemoryBudget(512 * MIB, 64);
    const queues = Array.from({ length: 64 }, () => budget.open(() => {}));
    const arrive = (queue: QueueMemory): boolean => {
      const isRead = queue.receive(4 * MIB, 1, 0);
      if (!isRead) queue.endFetch();
      return isRead;
    };
    let waiting = queues.filter((queue) => queue.mayFetch(0) && !arrive(queue));
    let reading = queues.filter((queue) => !waiting.includes(queue));
    for (let round = 0; waiting.length > 0; round++) {
      assert.ok(round < 64, 'a queue waits indefinitely');
      for (const queue of reading) queue.endFetch();
      const next = waiting.filter((queue) => queue.mayFetch(0));
      assert.ok(next.every((queue) => queue.reserves && arrive(queue)));
      assert.ok(budget.used.stored <= 64 * MIB);
      waiting = waiting.filter((queue) => !next.includes(queue));
      reading = next;
    }
  });

  it('leave a queue that waits for messages no memory that others need', () => {
    const budget = new MemoryBudget(512 * MIB, 64);
    const queues = Array.from({ length: 64 }, () => budget.open(() => {}));
    assert.ok(queues.every((queue) => queue.mayFetch(0)));
    assert.equal(budget.used.stored, 0);
    const [one] = queues as [QueueMemory];
    const { count, mayWait } = one.reservePop(32, 4 * MIB, true, 0);
    assert.ok(
      count >= 1 && !mayWait,
      'what is more than the share is not held by a poll that waits',
    );
  });

  it('leave every queue its share, however much the others hold indefinitely', () => {
    const budget = new MemoryBudget(512 * MIB);
    const blocked = Array.from({ length: 63 }, () => budget.open(() => {}));
    const queue = budget.open(() => {});
    for (let round = 0; round < 1_000; round++) for (const other of blocked) store(other, 100_000);
    assert.ok(store(queue, 200_000));
  });

  it('that are larger than that come one queue at a time, in turn', () => {
    const budget = new MemoryBudget(64 * MIB);
    const queues = Array.from({ length: 3 }, () => budget.open(() => {}));
    const [first, second, third] = queues as [QueueMemory, QueueMemory, QueueMemory];
    assert.ok(store(first, 12 * MIB));
    assert.ok(!store(second, 12 * MIB) && second.waits);
    assert.ok(!store(third, 12 * MIB));
    first.note(-12 * MIB);
    assert.ok(!store(third, 12 * MIB));
    assert.ok(store(second, 12 * MIB));
    second.note(-12 * MIB);
    assert.ok(store(third, 12 * MIB));
  });

  it('of one record that did not fit are asked for with all of its memory', () => {
    assert.deepEqual([fewer(32), fewer(3), fewer(1)], [16, 1, 1]);
    const queue = new MemoryBudget(512 * MIB).open(() => {});
    assert.ok(store(queue, 20 * MIB));
    assert.ok(queue.receive(MIB, 1, 0) && !queue.admit(20 * MIB, 1, 0));
    queue.endFetch();
    assert.ok(!queue.mayFetch(0));
    queue.note(-20 * MIB);
    assert.ok(queue.mayFetch(0));
  });

  it('that did not fit are asked for with fewer messages', () => {
    const queue = new MemoryBudget(512 * MIB).open(() => {});
    assert.ok(store(queue, 20 * MIB));
    assert.equal(queue.admit(20 * MIB, 32, 0), false);
    assert.equal(queue.mayFetch(0), true);
  });
});

describe('handler calls', () => {
  const rules = (bytes: number, tried: number[]) => ({
    use: 'text' as EventUse,
    isTooLarge: (error: unknown) => error instanceof RangeError,
    meanwhile: () => 0,
    textBytes: () => 2 * bytes,
    tooLarge: () => new RangeError('too large'),
    open: (maxBytes: number) => {
      tried.push(maxBytes);
      if (bytes > maxBytes) throw new RangeError('too large');
      return { body: { length: bytes } };
    },
  });

  it('decompress what fits, and the rest when its turn has come', () => {
    const budget = new MemoryBudget(512 * MIB);
    let woken = 0;
    const [one, other] = [budget.open(() => {}), budget.open(() => void woken++)];
    const [running, next] = [one.startDelivery(), other.startDelivery()];
    const tried: number[] = [];
    const message = {};
    assert.ok(one.open({}, running, rules(40 * MIB, tried), 0));
    assert.equal(other.open(message, next, rules(40 * MIB, tried), 0), undefined);
    assert.equal(other.open(message, next, rules(40 * MIB, tried), 0), undefined);
    assert.equal(tried.length, 2, 'what did not fit is not tried again before there is room');
    // Whoever came first is next, even if less would fit.
    assert.equal(one.startDelivery().take(MIB, 0), false);
    running.release();
    assert.equal(woken, 1);
    assert.ok(other.open(message, next, rules(40 * MIB, tried), 0));
    next.release();
    assert.equal(budget.used.delivered, 0);
  });

  it('are charged for what their event takes beside the text', () => {
    const held = (use: EventUse): number => {
      const queue = new MemoryBudget(1024 * MIB).open(() => {});
      const delivery = queue.startDelivery();
      assert.ok(queue.open({}, delivery, { ...rules(20 * MIB, []), use }, 0));
      assert.ok(deliveryCost({ body: { length: 20 * MIB } }, use) < delivery.held);
      return Math.round(delivery.held / MIB);
    };
    assert.deepEqual([held('text'), held('base64'), held('lambda')], [60, 120, 56]);
  });

  it('that make base64 decompress no more than fits with it', () => {
    const budget = new MemoryBudget(700 * MIB);
    const [one, other] = [budget.open(() => {}), budget.open(() => {})];
    assert.ok(one.open({}, one.startDelivery(), { ...rules(20 * MIB, []), use: 'base64' }, 0));
    const tried: number[] = [];
    const next = other.startDelivery();
    const open = (use: EventUse) => other.open({}, next, { ...rules(20 * MIB, tried), use }, 0);
    assert.equal(open('base64'), undefined);
    assert.ok((tried[0] ?? 0) < 20 * MIB);
    assert.equal(open('text')?.body.length, 20 * MIB);
  });

  it('a body that no memory suffices for fails, and leaves nothing behind', () => {
    const budget = new MemoryBudget(128 * MIB);
    const queue = budget.open(() => {});
    assert.ok(queue.maxMessageBytes < 18 * MIB);
    const open = () => queue.open({}, queue.startDelivery(), rules(60 * MIB, []), 0);
    assert.throws(open, RangeError);
    assert.equal(budget.used.delivered, 0);
  });

  it('a body of ASCII may be larger than one whose text takes two bytes per character', () => {
    const queue = new MemoryBudget(512 * MIB).open(() => {});
    const ascii = { ...rules(60 * MIB, []), textBytes: () => 60 * MIB };
    const [delivery, next] = [queue.startDelivery(), queue.startDelivery()];
    assert.ok(queue.open({}, delivery, ascii, 0));
    assert.ok(delivery.held <= 0.275 * 512 * MIB);
    delivery.release();
    assert.throws(() => queue.open({}, next, rules(60 * MIB, []), 0), RangeError);
    assert.equal(next.held, 0);
  });

  it('count what patterns parse, and keep nothing of it', () => {
    const budget = new MemoryBudget(100 * MIB);
    const [one, other] = [budget.open(() => {}), budget.open(() => {})];
    const [running, next] = [one.startDelivery(), other.startDelivery()];
    assert.ok(running.take(10 * MIB, 0, 10 * MIB));
    assert.equal(running.held, 10 * MIB);
    assert.equal(next.take(10 * MIB, 0, 10 * MIB), false);
    assert.ok(next.take(10 * MIB, 0));
    running.release();
    next.release();
    assert.ok(next.take(10 * MIB, 0, 1_000 * MIB), 'as much as there is suffices');
  });

  it('a place is lost by who does not ask any more', () => {
    const budget = new MemoryBudget(150 * MIB);
    const [one, gone, other] = [0, 1, 2].map(() => budget.open(() => {})) as QueueMemory[];
    const running = one?.startDelivery();
    assert.ok(running?.take(30 * MIB, 0));
    assert.equal(gone?.startDelivery().take(30 * MIB, 0), false);
    assert.equal(other?.startDelivery().take(MIB, 1_000), false);
    assert.equal(other?.startDelivery().take(MIB, 2_000), true);
  });
});

test('calls never take more than their part, or one more than all of it, and all end', () => {
  const call = fc.record({ queue: fc.nat(4), bytes: fc.integer({ min: 1, max: 60 }) });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 40 }), (calls) => {
      const budget = new MemoryBudget(100 * MIB);
      const queues = Array.from({ length: 5 }, () => budget.open(() => {}));
      const waiting = queues.map((_, index) => calls.filter(({ queue }) => queue === index));
      const running: { release(): void }[] = [];
      for (let step = 0; waiting.some(({ length }) => length > 0); step++) {
        assert.ok(step < 1_000, 'a queue waits indefinitely');
        for (const [index, queue] of queues.entries()) {
          const [next] = waiting[index] ?? [];
          if (next === undefined) continue;
          const delivery = queue.startDelivery();
          const alone = running.length === 0;
          if (!delivery.take(next.bytes * MIB, step)) continue;
          assert.ok(alone || budget.used.delivered <= 27.5 * MIB);
          running.push(delivery);
          waiting[index]?.shift();
        }
        running.shift()?.release();
      }
    }),
  );
});

describe('popped messages', () => {
  it('are counted before they are asked for', () => {
    const budget = new MemoryBudget(512 * MIB, 8);
    const queues = Array.from({ length: 8 }, () => budget.open(() => {}));
    for (const queue of queues) queue.reservePop(32, MIB, false, 0);
    assert.ok(budget.used.stored >= 16 * MIB && budget.used.stored <= 32 * MIB);
    for (const queue of queues) queue.endFetch();
    assert.equal(budget.used.stored, 0);
  });

  it('that are much larger than expected are read by one queue at a time', () => {
    const budget = new MemoryBudget(512 * MIB, 8);
    const queues = Array.from({ length: 8 }, () => budget.open(() => {}));
    for (const queue of queues) assert.equal(queue.reservePop(32, 2048, true, 0).mayWait, true);
    const read = queues.filter((queue) => queue.receivePopped(15 * MIB, 32, 0));
    assert.ok(read.length >= 2 && read.length < 8, `${read.length} at once`);
    assert.ok(budget.used.stored <= 64 * MIB);
  });
});

/** What may happen to a queue: an answer of so many KiB arrives, the oldest one is finished, a pop. */
const happening = fc.record({
  queue: fc.nat(15),
  what: fc.constantFrom('arrive', 'arrive', 'admit', 'fail', 'finish', 'pop'),
  kib: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 16 * 1024 })),
});

test('answers, read and stored, never take more than an eighth of the memory', () => {
  fc.assert(
    fc.property(
      fc.array(happening, { maxLength: 300 }),
      fc.integer({ min: 256, max: 1024 }),
      fc.integer({ min: 1, max: 16 }),
      (all, mib, announced) => {
        const budget = new MemoryBudget(mib * MIB, announced);
        const queues = Array.from({ length: 16 }, () => ({
          memory: budget.open(() => {}),
          reading: 0,
          isPop: false,
          held: [] as number[],
        }));
        for (const [step, { queue: at, what, kib }] of all.entries()) {
          const queue = queues[at];
          if (queue === undefined) continue;
          const { memory, held } = queue;
          const bytes = kib * 1024;
          const now = step * 100;
          if (queue.reading === 0) queue.isPop = what === 'pop';
          if (what === 'arrive' && queue.reading === 0 && memory.mayFetch(now))
            if (memory.receive(bytes, 32, now)) queue.reading = bytes;
            else memory.endFetch();
          else if (what === 'pop' && queue.reading === 0) {
            const { count } = memory.reservePop(32, 4096, step % 2 === 0, now);
            if (count > 0 && memory.receivePopped(bytes, count, now)) queue.reading = bytes;
            else memory.endFetch();
          } else if (what === 'admit' && queue.reading > 0) {
            assert.ok(queue.isPop || memory.admit(queue.reading, 1, now), 'what was reserved fits');
            memory.note(queue.reading);
            held.push(queue.reading);
            queue.reading = 0;
            memory.endFetch();
          } else if (what === 'fail') {
            queue.reading = 0;
            memory.endFetch();
          } else if (what === 'finish') memory.note(-(held.shift() ?? 0));
          assert.ok(
            budget.used.stored <= (mib * MIB) / 8,
            `${budget.used.stored / MIB} MiB of ${mib}`,
          );
        }
      },
    ),
  );
});
