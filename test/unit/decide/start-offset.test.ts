import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { advanceMark, isAnotherLife } from '../../../src/decide/offset/queue-life.ts';
import { type StartFacts, startOffset } from '../../../src/decide/offset/start-offset.ts';

const NOTHING: StartFacts = {
  stored: undefined,
  committed: undefined,
  start: 0n,
  mark: undefined,
  knownMax: undefined,
  range: { min: 0n, max: 100n, firstStoredAt: 1_000 },
};
const decide = (facts: Partial<StartFacts>) => startOffset({ ...NOTHING, ...facts });

describe('the candidate', () => {
  test('is the stored offset, else the committed one of the table, else the decided one', () => {
    const known = { committed: 20n, start: 10n };
    assert.deepEqual(decide({ ...known, stored: 5n }), { kind: 'stored', offset: 5n });
    assert.deepEqual(decide(known), { kind: 'committed', offset: 20n });
    assert.deepEqual(decide({ start: 10n }), { kind: 'decided', offset: 10n });
  });
  test('is taken as it is where the broker may not be asked', () => {
    assert.deepEqual(decide({ stored: 500n, range: undefined }), { kind: 'stored', offset: 500n });
  });
  test('may be either end of the queue', () => {
    assert.deepEqual(decide({ stored: 0n }), { kind: 'stored', offset: 0n });
    assert.deepEqual(decide({ stored: 100n }), { kind: 'stored', offset: 100n });
  });
});

describe('a candidate outside the queue', () => {
  for (const which of ['stored', 'committed', 'start'] as const) {
    test(`${which} below the minimum: the minimum`, () => {
      const range = { min: 30n, max: 100n, firstStoredAt: 1_000 };
      assert.deepEqual(decide({ [which]: 29n, range }), {
        kind: 'minimum',
        offset: 30n,
        reason: 'below-minimum',
        candidate: 29n,
      });
    });
    test(`${which} above the maximum: the minimum`, () => {
      assert.deepEqual(decide({ [which]: 101n }), {
        kind: 'minimum',
        offset: 0n,
        reason: 'above-maximum',
        candidate: 101n,
      });
    });
  }
  test('above the maximum of the same life: behind the newest message that a holder was given', () => {
    const mark = { offset: 99n, storedAt: 5_000 };
    assert.deepEqual(decide({ stored: 101n, mark }), {
      kind: 'younger-than',
      storedAt: 5_000,
      candidate: 101n,
    });
  });
  test('an empty queue', () => {
    const range = { min: 0n, max: 0n, firstStoredAt: undefined };
    const mark = { offset: 19n, storedAt: 500 };
    assert.equal(decide({ committed: 20n, mark, range }).kind, 'minimum');
  });
});

describe('another life of the queue', () => {
  test('its first message was stored after the marked one: the minimum, also when it has grown beyond the offset', () => {
    const mark = { offset: 19n, storedAt: 999 };
    for (const which of ['stored', 'committed', 'start'] as const)
      assert.deepEqual(decide({ [which]: 20n, mark }), {
        kind: 'minimum',
        offset: 0n,
        reason: 'another-life',
        candidate: 20n,
      });
  });
  test('is not concluded from messages that expired', () => {
    const range = { min: 20n, max: 100n, firstStoredAt: 1_000 };
    const mark = { offset: 19n, storedAt: 999 };
    assert.deepEqual(decide({ stored: 60n, mark, range }), { kind: 'stored', offset: 60n });
  });
  test('is not concluded when the marked message is the first one', () => {
    const mark = { offset: 0n, storedAt: 1_000 };
    assert.deepEqual(decide({ stored: 60n, mark }), { kind: 'stored', offset: 60n });
  });
  test('without a mark: a queue that became shorter', () => {
    const facts = { committed: 20n, knownMax: 101n };
    assert.equal(decide(facts).kind, 'minimum');
    assert.equal(decide({ ...facts, knownMax: 100n }).kind, 'committed');
    assert.equal(decide({ ...facts, mark: { offset: 19n, storedAt: 1_500 } }).kind, 'committed');
  });
});

describe('any queue', () => {
  /** A life: messages with ascending store times, the first ones expired. */
  const life = (from: number) =>
    fc
      .record({
        steps: fc.array(fc.nat(5), { maxLength: 40 }),
        expired: fc.nat(40),
      })
      .map(({ steps, expired }) => {
        let at = from;
        const storedAt = steps.map((step) => (at += step));
        const min = Math.min(expired, storedAt.length);
        return { storedAt, min, end: at };
      });
  const rangeOf = ({ storedAt, min }: { storedAt: number[]; min: number }) => ({
    min: BigInt(min),
    max: BigInt(storedAt.length),
    firstStoredAt: storedAt[min],
  });
  const markOf = (storedAt: number[], given: number) =>
    advanceMark(
      undefined,
      storedAt
        .slice(0, given)
        .map((at, offset) => ({ queueOffset: BigInt(offset), storeTimestamp: at })),
    );

  test('of the same life: the offset stays where it was, unless it expired', () => {
    fc.assert(
      fc.property(life(1), fc.nat(40), (same, done) => {
        const given = Math.min(done, same.storedAt.length);
        const mark = markOf(same.storedAt, given);
        const range = rangeOf(same);
        assert.equal(isAnotherLife(mark, range), false);
        const decision = decide({ committed: BigInt(given), mark, range });
        const expected = BigInt(Math.max(given, same.min));
        assert.equal(decision.kind === 'younger-than' ? undefined : decision.offset, expected);
      }),
    );
  });
  test('of a later life: no message of it is skipped, whatever was given of the earlier one', () => {
    fc.assert(
      fc.property(
        life(1).chain((earlier) => fc.tuple(fc.constant(earlier), life(earlier.end + 1))),
        fc.nat(40),
        fc.constantFrom('stored', 'committed', 'start') as fc.Arbitrary<'stored'>,
        ([earlier, later], done, which) => {
          const given = Math.min(done, earlier.storedAt.length);
          const mark = markOf(earlier.storedAt, given);
          const range = rangeOf(later);
          // Only what expired before anybody could see it is out of reach of the mark.
          fc.pre(given === 0 || range.min < BigInt(given));
          const decision = decide({ [which]: BigInt(given), mark, range });
          assert.ok(decision.kind !== 'younger-than');
          assert.ok(decision.offset <= range.min || given === 0);
          assert.equal(decision.offset > range.min, false);
        },
      ),
    );
  });
});

describe('the mark', () => {
  test('is the newest message that was given; of one millisecond the last', () => {
    const message = (offset: number, storeTimestamp: number) => ({
      queueOffset: BigInt(offset),
      storeTimestamp,
    });
    const mark = advanceMark(undefined, [message(4, 10), message(5, 20), message(6, 20)]);
    assert.deepEqual(mark, { offset: 6n, storedAt: 20 });
    assert.deepEqual(advanceMark(mark, [message(2, 7)]), mark);
    assert.deepEqual(advanceMark(mark, []), mark);
  });
});
