import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ProcessQueue, type QueueEntry } from '../../src/decide/process-queue/process-queue.ts';
import { messageAt } from '../support/records.ts';

/** One row per message, looked through from the start for every question. */
interface Row {
  readonly offset: bigint;
  state: 'ready' | 'taken' | 'done';
  fresh: boolean;
  notBefore: number;
  localRetries: number;
}

/** The same rules, the slow and obvious way. */
class NaiveQueue {
  rows: Row[] = [];
  next: bigint;

  constructor(next: bigint) {
    this.next = next;
  }

  put(offsets: readonly bigint[], next: bigint): void {
    for (const offset of offsets)
      this.rows.push({ offset, state: 'ready', fresh: true, notBefore: 0, localRetries: 0 });
    this.next = next;
  }

  peek(now: number): Row | undefined {
    const ready = this.rows.filter(({ state, notBefore }) => state === 'ready' && notBefore <= now);
    return ready.find(({ fresh }) => !fresh) ?? ready[0];
  }

  get committable(): bigint {
    return this.rows.find(({ state }) => state !== 'done')?.offset ?? this.next;
  }

  get unfinished(): Row[] {
    return this.rows.filter(({ state }) => state !== 'done');
  }
}

type Step =
  | { readonly kind: 'pull'; readonly gaps: readonly number[]; readonly filtered: number }
  | { readonly kind: 'take'; readonly count: number }
  | { readonly kind: 'settle'; readonly which: number }
  | {
      readonly kind: 'give back';
      readonly which: number;
      readonly afterMs: number;
      readonly failed: boolean;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'reset'; readonly to: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pull' as const),
      gaps: fc.array(fc.nat(5), { maxLength: 8 }),
      filtered: fc.nat(5),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      count: fc.integer({ min: 1, max: 10 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('give back' as const),
      which: fc.nat(),
      afterMs: fc.nat(50),
      failed: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), to: fc.nat(500) }) },
);

/** Carries the steps out on both and compares all that can be seen after each. */
function compare(steps: readonly Step[]): void {
  const real = new ProcessQueue(0n);
  const naive = new NaiveQueue(0n);
  let now = 0;
  let taken: { readonly entry: QueueEntry; readonly row: Row }[] = [];
  let committed = 0n;
  const pick = (which: number) =>
    taken.splice(which % taken.length, 1)[0] as (typeof taken)[number];

  for (const current of steps) {
    switch (current.kind) {
      case 'pull': {
        let offset = real.nextOffset;
        const offsets = current.gaps.map((gap) => {
          offset += BigInt(gap + 1);
          return offset - 1n;
        });
        const next = offset + BigInt(current.filtered);
        real.put(
          offsets.map(Number).map((at) => messageAt(at)),
          [],
          next,
        );
        naive.put(offsets, next);
        break;
      }
      case 'take':
        for (let count = 0; count < current.count; count++) {
          const [entry, row] = [real.peek(now), naive.peek(now)];
          assert.equal(entry?.offset, row?.offset, 'what is taken next');
          if (entry === undefined || row === undefined) break;
          assert.equal(entry.localRetries, row.localRetries);
          real.take(entry);
          row.state = 'taken';
          row.fresh = false;
          taken.push({ entry, row });
        }
        break;
      case 'settle': {
        if (taken.length === 0) break;
        const { entry, row } = pick(current.which);
        assert.equal(real.settle(entry), true);
        row.state = 'done';
        break;
      }
      case 'give back': {
        if (taken.length === 0) break;
        const { entry, row } = pick(current.which);
        assert.equal(real.giveBack(entry, now + current.afterMs, current.failed), true);
        row.state = 'ready';
        row.notBefore = now + current.afterMs;
        if (current.failed) row.localRetries++;
        break;
      }
      case 'wait':
        now += current.ms;
        break;
      case 'reset':
        real.dropAll(BigInt(current.to));
        naive.rows = [];
        naive.next = BigInt(current.to);
        // Results of what was in flight arrive later, and must change nothing.
        for (const { entry } of taken) assert.equal(real.settle(entry), false);
        taken = [];
        committed = BigInt(current.to);
    }
    const unfinished = naive.unfinished;
    assert.equal(real.committable, naive.committable, 'what may be committed');
    assert.equal(real.count, unfinished.length);
    assert.equal(real.taken, taken.length);
    assert.equal(real.bytes, unfinished.length * messageAt(0).body.length);
    assert.equal(real.nextOffset, naive.next);
    for (const { offset } of unfinished)
      assert.ok(real.committable <= offset, 'never above an unfinished message');
    assert.ok(real.committable >= committed, 'never back, except by a reset');
    committed = real.committable;
  }
}

describe('ProcessQueue', () => {
  it('equals the naive model after any steps; its committable offset stays below all unfinished ones and only a reset turns it back', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), compare), { numRuns: 1_000 });
  });

  it('long runs too, in which the front is moved up', () => {
    const long = fc
      .array(fc.nat(31), { minLength: 100, maxLength: 100 })
      .map((sizes) =>
        sizes.flatMap((size): Step[] => [
          { kind: 'pull', gaps: Array.from({ length: size + 16 }, () => 0), filtered: 0 },
          { kind: 'take', count: 40 },
          ...Array.from(
            { length: 30 },
            (_, index): Step => ({ kind: 'settle', which: index * 7 + size }),
          ),
        ]),
      );
    fc.assert(fc.property(long, compare), { numRuns: 3 });
  });
});
