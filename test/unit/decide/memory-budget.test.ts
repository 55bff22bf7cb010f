import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import {
  deliveryCost,
  type EventUse,
  fewer,
  MemoryBudget,
  type QueueMemory,
} from '../../../src/decide/pull/memory-budget.ts';

const MIB = 1024 * 1024;

/** An answer arrives, if there is room for it. */
function store(queue: QueueMemory, bytes: number, now = 0): boolean {
  const fits = queue.mayFetch(now) && queue.admit(bytes, 1, now);
  if (fits) queue.note(bytes);
  return fits;
}

describe('answers in hand', () => {
  it('of one queue take what Java’s limit for a queue allows', () => {
    const queue = new MemoryBudget(512 * MIB).open(() => {});
    let stored = 0;
    while (store(queue, MIB)) stored++;
    assert.ok(stored >= 100 && stored <= 0.2 * 512, `${stored} MiB`);
  });

  it('of any number of queues stay below a fifth of the memory and one large answer', () => {
    const budget = new MemoryBudget(512 * MIB);
    const queues = Array.from({ length: 64 }, () => budget.open(() => {}));
    for (let round = 0; round < 200; round++) for (const queue of queues) store(queue, 3 * MIB);
    assert.ok(budget.used.stored <= 0.2 * 512 * MIB + 3 * MIB, `${budget.used.stored / MIB} MiB`);
  });

  it('leave every queue its share, however much the others hold for ever', () => {
    const budget = new MemoryBudget(512 * MIB);
    const blocked = Array.from({ length: 63 }, () => budget.open(() => {}));
    const queue = budget.open(() => {});
    for (let round = 0; round < 1_000; round++) for (const other of blocked) store(other, 200_000);
    assert.ok(store(queue, 300_000));
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

  it('of inner batches that did not fit are asked for with fewer records', () => {
    assert.equal(fewer(2 * 32_767, 32), 16);
    assert.equal(fewer(32_767, 1), 1);
    assert.equal(fewer(8, 32), 4);
  });

  it('that did not fit are asked for with fewer messages', () => {
    const queue = new MemoryBudget(64 * MIB).open(() => {});
    assert.ok(store(queue, 8 * MIB));
    assert.equal(queue.admit(8 * MIB, 32, 0), false);
    assert.equal(queue.mayFetch(0), true);
  });
});

describe('handler calls', () => {
  const rules = (bytes: number, tried: number[]) => ({
    use: 'text' as EventUse,
    isTooLarge: (error: unknown) => error instanceof RangeError,
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
    assert.ok(one.open({}, running, rules(60 * MIB, tried), 0));
    assert.equal(other.open(message, next, rules(60 * MIB, tried), 0), undefined);
    assert.equal(other.open(message, next, rules(60 * MIB, tried), 0), undefined);
    assert.equal(tried.length, 2, 'what did not fit is not tried again before there is room');
    // Whoever came first is next, even if less would fit.
    assert.equal(one.startDelivery().take(MIB, 0), false);
    running.release();
    assert.equal(woken, 1);
    assert.ok(other.open(message, next, rules(60 * MIB, tried), 0));
    next.release();
    assert.equal(budget.used.delivered, 0);
  });

  it('are charged for what their event takes beside the text', () => {
    const held = (use: EventUse): number => {
      const queue = new MemoryBudget(1024 * MIB).open(() => {});
      const delivery = queue.startDelivery();
      assert.ok(queue.open({}, delivery, { ...rules(20 * MIB, []), use }, 0));
      assert.ok(deliveryCost(20 * MIB, use) < delivery.held);
      return Math.round(delivery.held / MIB);
    };
    assert.deepEqual([held('text'), held('base64'), held('lambda')], [60, 120, 84]);
  });

  it('that make base64 decompress no more than fits with it', () => {
    const budget = new MemoryBudget(512 * MIB);
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
    assert.ok(budget.maxMessageBytes < 18 * MIB);
    const open = () => queue.open({}, queue.startDelivery(), rules(60 * MIB, []), 0);
    assert.throws(open, RangeError);
    assert.equal(budget.used.delivered, 0);
  });

  it('a place is lost by who does not ask any more', () => {
    const budget = new MemoryBudget(100 * MIB);
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
        assert.ok(step < 1_000, 'somebody waits for ever');
        for (const [index, queue] of queues.entries()) {
          const [next] = waiting[index] ?? [];
          if (next === undefined) continue;
          const delivery = queue.startDelivery();
          const alone = running.length === 0;
          if (!delivery.take(next.bytes * MIB, step)) continue;
          assert.ok(alone || budget.used.delivered <= 40 * MIB);
          running.push(delivery);
          waiting[index]?.shift();
        }
        running.shift()?.release();
      }
    }),
  );
});
