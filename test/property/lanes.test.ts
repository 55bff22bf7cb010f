import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { attemptsToKeep } from '../../src/decide/order/attempts.ts';
import { endsInOrder } from '../../src/decide/order/ends-in-order.ts';
import { ProcessQueue, type QueueEntry } from '../../src/decide/process-queue/process-queue.ts';
import type { Attempts } from '../../src/model/assignment.ts';
import { messageAt } from '../support/records.ts';

/** What a batch's handler says of each of its messages, and how long it takes. */
interface Call {
  readonly verdicts: readonly ('done' | 'failed' | 'drop' | 'dlq')[];
}

type Step =
  | { readonly kind: 'pull'; readonly lanes: readonly number[] }
  | { readonly kind: 'begin'; readonly size: number }
  | ({ readonly kind: 'end'; readonly which: number } & Call)
  /** The handler was not called, or did not answer: nothing was decided. */
  | { readonly kind: 'leave'; readonly which: number; readonly afterMs: number }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Another holder begins at the committed offset; what is in flight is lost. */
  | { readonly kind: 'succession' };

const verdict = fc.oneof(
  { weight: 6, arbitrary: fc.constant('done' as const) },
  { weight: 3, arbitrary: fc.constant('failed' as const) },
  { weight: 1, arbitrary: fc.constantFrom('drop' as const, 'dlq' as const) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pull' as const),
      lanes: fc.array(fc.nat(4), { maxLength: 10 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      size: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(),
      verdicts: fc.array(verdict, { minLength: 6, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('leave' as const),
      which: fc.nat(),
      afterMs: fc.nat(50),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('succession' as const) }) },
);

const PARALLEL = 3;
const SUSPEND_MS = 40;
const MAX_FAILURES = 3;

/** Lane 0 stands for messages without a key. */
class World {
  /** The queue at the broker: the lane of each offset. */
  readonly stored: number[] = [];
  readonly finished = new Set<bigint>();
  /** Failures that count, by offset: what must be known to whoever holds the queue. */
  readonly failures = new Map<bigint, number>();
  queue: ProcessQueue;
  loaded: Attempts = new Map();
  now = 0;
  inFlight: QueueEntry[][] = [];
  committed = 0n;

  constructor() {
    this.queue = this.hold(0n);
  }

  hold(from: bigint): ProcessQueue {
    const { loaded } = this;
    return new ProcessQueue(from, {
      laneOf: (message) => this.laneAt(message?.queueOffset ?? 0n),
      attemptsAt: (offset) => loaded.get(offset) ?? 0,
    });
  }

  laneAt(offset: bigint): string | undefined {
    const lane = this.stored[Number(offset)];
    return lane === 0 ? undefined : String(lane);
  }

  pull(lanes: readonly number[]): void {
    this.stored.push(...lanes);
    const from = Number(this.queue.nextOffset);
    const until = Math.min(this.stored.length, from + 12);
    this.queue.put(
      Array.from({ length: until - from }, (_, index) => messageAt(from + index)),
      [],
      BigInt(until),
    );
  }

  begin(size: number): void {
    if (this.inFlight.length >= PARALLEL) return;
    const next = this.queue.batch(this.now);
    const batch: QueueEntry[] = [];
    const away = new Set(this.inFlight.flat().map(({ lane }) => lane));
    while (batch.length < size) {
      const entry = next();
      if (entry === undefined) break;
      this.queue.take(entry);
      batch.push(entry);
      assert.ok(entry.lane === undefined || !away.has(entry.lane), 'a lane is with one batch only');
      // Everything before it in its lane is finished, or before it in this batch.
      if (entry.lane !== undefined)
        for (let offset = 0n; offset < entry.offset; offset++)
          if (this.laneAt(offset) === entry.lane)
            assert.ok(
              this.finished.has(offset) || batch.some((other) => other.offset === offset),
              `${entry.offset} overtakes ${offset} of its lane`,
            );
    }
    if (batch.length > 0) this.inFlight.push(batch);
  }

  end(which: number, { verdicts }: Call): void {
    const [batch] = this.inFlight.splice(which % Math.max(1, this.inFlight.length), 1);
    if (batch === undefined) return;
    const results = batch.map(({ lane, localRetries }, position) => ({
      lane,
      failures: localRetries,
      maxFailures: MAX_FAILURES,
      verdict: verdicts[position] as Call['verdicts'][number],
    }));
    for (const { offset, localRetries } of batch)
      assert.equal(localRetries, this.failures.get(offset) ?? 0, 'no failure is forgotten');
    for (const [position, end] of endsInOrder(results, true).entries()) {
      const entry = batch[position] as QueueEntry;
      switch (end) {
        case 'again':
          this.failures.set(entry.offset, (this.failures.get(entry.offset) ?? 0) + 1);
          this.queue.giveBack(entry, this.now + SUSPEND_MS, true);
          break;
        case 'untouched':
          this.queue.giveBack(entry, 0, false);
          break;
        case 'done':
        case 'drop':
        case 'dlq':
          this.queue.settle(entry);
          this.finished.add(entry.offset);
      }
    }
  }

  succeed(): void {
    this.loaded = attemptsToKeep(this.queue.unfinished(), this.loaded, this.queue.nextOffset);
    this.committed = this.queue.committable;
    this.inFlight = [];
    // What is not finished keeps its count; what was finished above the committed offset comes again, and counts anew.
    for (const [offset, count] of this.failures)
      if (this.finished.has(offset)) this.failures.delete(offset);
      else assert.equal(this.loaded.get(offset), count, `the failures of ${offset} are forgotten`);
    for (const offset of this.finished) if (offset >= this.committed) this.finished.delete(offset);
    this.queue = this.hold(this.committed);
  }

  check(): void {
    const { queue, finished } = this;
    for (let offset = 0n; offset < queue.committable; offset++)
      assert.ok(finished.has(offset), `${offset} is below what may be committed, and not finished`);
    assert.ok(queue.committable >= this.committed);
  }

  run(current: Step): void {
    switch (current.kind) {
      case 'pull':
        this.pull(current.lanes);
        break;
      case 'begin':
        this.begin(current.size);
        break;
      case 'end':
        this.end(current.which, current);
        break;
      case 'leave': {
        const [batch] = this.inFlight.splice(current.which % Math.max(1, this.inFlight.length), 1);
        for (const entry of batch ?? [])
          this.queue.giveBack(entry, this.now + current.afterMs, false);
        break;
      }
      case 'wait':
        this.now += current.ms;
        break;
      case 'succession':
        this.succeed();
        break;
    }
  }

  /** From here on every handler succeeds. */
  finish(): void {
    for (let round = 0; this.finished.size < this.stored.length; round++) {
      assert.ok(round < 10_000, 'messages are lost');
      this.pull([]);
      this.now += SUSPEND_MS;
      this.begin(4);
      if (round % 3 > 0)
        this.end(round, { verdicts: Array.from({ length: 6 }, () => 'done' as const) });
    }
    assert.equal(this.queue.committable, BigInt(this.stored.length));
  }
}

describe('lanes', () => {
  it('any verdicts, batches, parallel deliverers and successions: no lane is overtaken, nothing is lost, no failure is forgotten, and the committable offset is right', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const world = new World();
        for (const current of steps) {
          world.run(current);
          world.check();
        }
        world.finish();
        world.check();
      }),
      { numRuns: 1_000 },
    );
  });
});
