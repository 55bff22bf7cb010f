import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ProcessQueue, type QueueEntry } from '../../src/decide/process-queue/process-queue.ts';
import { messageAt } from '../support/records.ts';

function filled(count: number): ProcessQueue {
  const queue = new ProcessQueue(0n);
  const offsets = Array.from({ length: count }, (_, offset) => offset);
  queue.put(
    offsets.map((offset) => messageAt(offset)),
    [],
    BigInt(count),
    7,
  );
  return queue;
}

function take(queue: ProcessQueue, now: number): QueueEntry | undefined {
  const entry = queue.peek(now);
  if (entry !== undefined) queue.take(entry);
  return entry;
}

describe('turns in the process queue', () => {
  it('what is due again goes before fresh messages', () => {
    const queue = filled(3);
    const first = take(queue, 0) as QueueEntry;
    queue.giveBack(first, 5, true);
    assert.equal(take(queue, 4)?.offset, 1n);
    assert.equal(take(queue, 5)?.offset, 0n);
    assert.equal(take(queue, 5)?.offset, 2n);
  });

  it('but cannot keep a fresh one waiting for ever, however often everything else fails', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 40 }),
        (failing, fresh) => {
          const queue = filled(failing + fresh);
          const failed = Array.from({ length: failing }, () => take(queue, 0) as QueueEntry);
          for (const entry of failed) queue.giveBack(entry, 0, true);
          let done = 0;
          for (let turns = 0; done < fresh; turns++) {
            assert.ok(turns < 33 * (fresh + 1), `${fresh - done} never had their turn`);
            const entry = take(queue, 0) as QueueEntry;
            if (entry.offset < BigInt(failing)) queue.giveBack(entry, 0, true);
            else if (queue.settle(entry)) done++;
          }
        },
      ),
    );
  });

  it('counts what could be taken now, with its bytes', () => {
    const step = fc.record({
      what: fc.constantFrom('take', 'settle', 'back', 'later'),
      index: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = filled(20);
        const taken: QueueEntry[] = [];
        for (const { what, index } of steps) {
          if (what === 'take') {
            const entry = take(queue, 10);
            if (entry !== undefined) taken.push(entry);
            continue;
          }
          const [entry] = taken.splice(index % Math.max(1, taken.length), 1);
          if (entry === undefined) continue;
          if (what === 'settle') queue.settle(entry);
          else queue.giveBack(entry, what === 'back' ? 0 : 11, true);
        }
        const ready = [...queue.unfinished()].filter(
          ({ state, notBefore }) => state === 'ready' && notBefore <= 10,
        );
        const bytes = ready.reduce((sum, entry) => sum + entry.bytes, 0);
        assert.deepEqual(queue.waiting(10), { count: ready.length, bytes });
        const offsets = (entries: Iterable<QueueEntry>) =>
          [...entries].map(({ offset }) => offset).toSorted((a, b) => Number(a - b));
        assert.deepEqual(offsets(queue.takeable(10)), offsets(ready));
        assert.ok(ready.every(({ since }) => since === 7));
      }),
    );
  });
});
