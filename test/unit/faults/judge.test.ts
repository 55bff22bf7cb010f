import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Verdict } from '../../faults/handler.ts';
import type { Fault } from '../../faults/inject-fault.ts';
import type { Delivery } from '../../faults/journal.ts';
import {
  costsOf,
  deadLetterErrors,
  doubledByBroker,
  type Evidence,
  extraDeadLettersOf,
  lostMessages,
  orderErrors,
  repeatsOf,
} from '../../faults/judge.ts';
import { durationOf, FAULT_KINDS, planFaults } from '../../faults/plan-faults.ts';
import { MAX_RETRIES, type Order } from '../../faults/workload.ts';

const TOPIC = 'orders-key';
const QUEUE = `${TOPIC}/broker-a/0`;
/** Always fails: see workload.ts. */
const DEAD = 300;
const FAILS_ONCE = 13;

/** A call of 10 ms with these messages, one key each by default. */
function call(
  begunAt: number,
  seqs: readonly (number | readonly [seq: number, verdict: Verdict, reconsumeTimes?: number])[],
): Delivery[] {
  return seqs.map((each) => {
    const [seq, verdict = 'done', reconsumeTimes = 0] = typeof each === 'number' ? [each] : each;
    return {
      ...{ order: 'key', seq, key: 'k', queue: QUEUE, offset: seq, reconsumeTimes, verdict },
      ...{ requestId: `call at ${begunAt}`, begunAt, endedAt: begunAt + 10 },
      ...{ calledAt: begunAt, returnedAt: begunAt + 10 },
    };
  });
}

function evidence(
  seqs: readonly number[],
  deliveries: readonly Delivery[],
  more: Partial<Evidence> = {},
): Evidence {
  const entries = seqs.map((seq) => entry(seq));
  const stored = seqs.map((seq) => ({ seq, queueId: 0, storedAt: 0 }));
  return {
    ...{ order: 'key', topic: TOPIC, deliveries, faults: [], stored, entries },
    ...{ delayed: [], redelivered: [], deadLetters: [], ...more },
  };
}

const entry = (seq: number, storedAt = 0) => ({
  ...{ seq, key: 'k', queueId: 0, queueOffset: seq, reconsumeTimes: 0, storedAt },
});

function fault(kind: Fault['kind'], at: number, more: Partial<Fault> = {}): Fault {
  return { kind, at, until: at, queues: undefined, requestId: undefined, ...more };
}

describe('the judge of a fault run', () => {
  test('a message is lost when no handler did it and the DLQ does not have it', () => {
    const run = evidence(
      [0, 1, DEAD],
      [...call(0, [0, [1, 'failed']]), ...call(50, [[DEAD, 'failed', 3]])],
    );
    assert.deepEqual(lostMessages(run), [1, DEAD]);
    assert.deepEqual(lostMessages({ ...run, deadLetters: [entry(DEAD)] }), [1]);
  });

  test('the DLQ has a dead message as often as its last delivery failed, and no other', () => {
    const errors = (seqs: readonly number[], dead: readonly number[]): readonly string[] =>
      deadLetterErrors(evidence(seqs, [], { deadLetters: dead.map((seq) => entry(seq)) }));
    assert.deepEqual(errors([0, DEAD], [DEAD]), []);
    assert.deepEqual(errors([DEAD, DEAD], [DEAD, DEAD]), []);
    assert.deepEqual(errors([DEAD], []), [`message ${DEAD}: 0 entries instead of 1`]);
    assert.deepEqual(errors([DEAD], [DEAD, DEAD]), [`message ${DEAD}: 2 entries instead of 1`]);
    const twice = [...call(0, [[DEAD, 'failed', 3]]), ...call(50, [[DEAD, 'failed', 3]])];
    const deadLetters = [entry(DEAD), entry(DEAD)];
    assert.deepEqual(deadLetterErrors(evidence([DEAD], twice, { deadLetters })), []);
    assert.deepEqual(errors([0], [0]), ['message 0: 1 entries instead of 0']);
  });

  describe('order', () => {
    const errorsOf = (deliveries: readonly Delivery[], order: Order = 'key'): readonly string[] =>
      orderErrors(evidence([0, 1, 2], deliveries, { order }));

    test('a death delivers a part again, from its beginning', () => {
      assert.deepEqual(errorsOf([...call(0, [0, 1]), ...call(50, [0, 1]), ...call(80, [2])]), []);
    });
    test('a message that begins before an earlier one has its end', () => {
      assert.match(errorsOf([...call(0, [1]), ...call(50, [0, 2])])[0] ?? '', /overtook/);
      assert.match(errorsOf([...call(0, [[0, 'failed']]), ...call(50, [1])])[0] ?? '', /overtook/);
      assert.equal(errorsOf([...call(0, [1])], 'none').length, 0);
    });
    test('a message behind one that went to the DLQ', () => {
      assert.deepEqual(
        errorsOf([...call(0, [[0, 'failed', MAX_RETRIES]]), ...call(50, [1, 2])]),
        [],
      );
    });
    test('two calls at once', () => {
      assert.match(errorsOf([...call(0, [0]), ...call(5, [1])])[0] ?? '', /began 5 ms before/);
    });
    test('other keys wait for nothing, other queues neither', () => {
      const other = call(0, [1]).map((delivery) => ({ ...delivery, key: 'l' }));
      const entries = [entry(0), { ...entry(1), key: 'l' }];
      assert.deepEqual(orderErrors({ ...evidence([], other), entries }), []);
      assert.equal(orderErrors({ ...evidence([], other), order: 'queue', entries }).length, 1);
    });
  });

  describe('repeated deliveries', () => {
    test('what failed was asked for, what was done or skipped twice was not', () => {
      const failing = [
        ...call(0, [[FAILS_ONCE, 'failed']]),
        ...call(50, [[FAILS_ONCE, 'done', 1]]),
      ];
      assert.deepEqual(repeatsOf(evidence([FAILS_ONCE], failing)), []);
      const skipped = [...call(0, [[1, 'skipped']]), ...call(50, [1])];
      assert.deepEqual(repeatsOf(evidence([1], skipped)), []);
      assert.equal(repeatsOf(evidence([1], [...call(0, [1]), ...call(50, [1])])).length, 1);
    });
    test('a failure that came back twice, and one that nobody reported', () => {
      const twice = call(80, [[FAILS_ONCE, 'done', 1]]);
      const failing = [
        ...call(0, [[FAILS_ONCE, 'failed']]),
        ...call(50, [[FAILS_ONCE, 'done', 1]]),
      ];
      assert.equal(repeatsOf(evidence([FAILS_ONCE], [...failing, ...twice])).length, 1);
      const unreported = [...call(0, [1]), ...call(50, [[1, 'done', 1]])];
      assert.equal(repeatsOf(evidence([1], unreported)).length, 1);
    });
    test('what follows from a repeat has its fault, and counts once', () => {
      const places = [0, 20, 21, 30, 31];
      const deliveries = [
        ...call(0, [[DEAD, 'failed', 0]]),
        ...call(5_000, [[DEAD, 'failed', 1]]),
        ...call(5_100, [[DEAD, 'failed', 1]]),
        ...call(90_000, [[DEAD, 'failed', 2]]),
        ...call(90_100, [[DEAD, 'failed', 2]]),
      ].map((each, index) => ({ ...each, offset: places[index] as number }));
      const faults = [fault('broker killed', 1_000), fault('table frozen', 80_000)];
      const run = evidence([DEAD], deliveries, { faults });
      assert.deepEqual(
        repeatsOf(run).map((repeat) => repeat.fault),
        [faults[0], faults[0]],
      );
      assert.deepEqual(
        costsOf([run]).map(({ repeats }) => repeats.length),
        [1, 0],
      );
    });
    test('what is skipped behind a failure comes again for the same reason', () => {
      const deliveries = [...call(0, [1]), ...call(30_000, [[1, 'skipped']]), ...call(60_000, [1])];
      const faults = [fault('puller killed', 50, { queues: [QUEUE] })];
      assert.deepEqual(
        repeatsOf(evidence([1], deliveries, { faults })).map((repeat) => repeat.fault),
        [faults[0], faults[0]],
      );
    });
    test('entries of the DLQ: the message failed again, or its send was repeated', () => {
      const last = call(0, [[DEAD, 'failed', MAX_RETRIES]]);
      const again = call(50, [[DEAD, 'failed', MAX_RETRIES]]);
      const deadLetters = [entry(DEAD), entry(DEAD), entry(DEAD)];
      assert.deepEqual(extraDeadLettersOf(evidence([DEAD], [...last, ...again], { deadLetters })), {
        failedAgain: 1,
        sentAgain: 1,
      });
    });
    test('what a killed broker lets come twice is its own', () => {
      const deliveries = [
        ...call(0, [[FAILS_ONCE, 'failed']]),
        ...call(50, [[FAILS_ONCE, 'done', 1]]),
        ...call(80, [[FAILS_ONCE, 'done', 1]]),
      ];
      const again = { ...entry(FAILS_ONCE), reconsumeTimes: 1 };
      const by = (delayed: number): Evidence =>
        evidence([FAILS_ONCE], deliveries, {
          delayed: Array.from({ length: delayed }, () => again),
          redelivered: [again, again],
        });
      assert.deepEqual([repeatsOf(by(1)).length, doubledByBroker(by(1))], [0, 1]);
      assert.deepEqual([repeatsOf(by(2)).length, doubledByBroker(by(2))], [1, 0]);
    });
    test('a message that its producer stored twice', () => {
      const run = evidence([1, 1], [...call(0, [1]), ...call(50, [1])]);
      assert.deepEqual(repeatsOf(run), []);
    });
    test('are explained by the fault that is nearest to them', () => {
      const deliveries = [...call(0, [1]), ...call(30_000, [1])];
      const broker = fault('broker killed', 100);
      const puller = fault('puller killed', 50, { queues: [QUEUE] });
      const elsewhere = fault('puller killed', 60, { queues: ['other/broker-a/0'] });
      const later = fault('broker killed', 40_000);
      const causeAmong = (...faults: Fault[]) =>
        repeatsOf(evidence([1], deliveries, { faults }))[0]?.fault;
      assert.equal(causeAmong(broker, puller, elsewhere, later), puller);
      assert.equal(causeAmong(broker, elsewhere, later), broker);
      assert.equal(causeAmong(elsewhere, later), undefined);
    });

    describe('and by a fault before a puller that ended as it should', () => {
      /** Delivered at 20 s, its puller ends at 31 s, delivered again at 40 s. */
      const deliveries = [...call(20_000, [1]), ...call(40_000, [1])];
      const ended = fault('puller ended', 31_000, { queues: [QUEUE] });
      const causeOf = (other: Fault): Fault | undefined =>
        repeatsOf(evidence([1], deliveries, { faults: [other, ended] }))[0]?.fault;
      for (const [kind, at, more] of [
        // The commit was confirmed and is forgotten.
        ['broker killed', 29_000, {}],
        // It did not arrive.
        ['broker killed', 20_500, {}],
        ['broker terminated', 20_500, {}],
        ['broker frozen', 19_000, { until: 21_000 }],
        ['broker frozen', 12_000, { until: 17_000 }],
        // It is about the puller that had the message.
        ['puller killed', 20_500, { queues: [QUEUE] }],
        ['puller frozen', 15_000, { until: 25_000, queues: [QUEUE] }],
        ['handler killed', 20_005, { requestId: 'call at 20000' }],
      ] as const)
        test(`when it may have undone the commit: ${kind} at ${at}`, () => {
          const other = fault(kind, at, more);
          assert.equal(causeOf(other), other);
        });
      for (const [kind, at, more] of [
        // Its commits were written down long before.
        ['broker killed', 30_900, {}],
        // The commit had a second before it.
        ['broker terminated', 25_000, {}],
        ['broker frozen', 25_000, { until: 29_000 }],
        ['broker frozen', 8_000, { until: 12_000 }],
        ['table frozen', 20_500, {}],
        ['name server frozen', 20_500, {}],
        ['coordinator killed', 20_500, {}],
        ['concurrency 6', 20_500, {}],
        ['puller killed', 20_500, { queues: ['other/broker-a/0'] }],
        ['handler killed', 20_005, { requestId: 'another call' }],
      ] as const)
        test(`not when it cannot have undone the commit: ${kind} at ${at}`, () => {
          assert.equal(causeOf(fault(kind, at, more)), ended);
        });
    });
  });

  test('a killed puller may repeat what was in flight, what lies behind that, and a second of its traffic', () => {
    const at = 20_000;
    const deliveries = [
      // In flight: its handler is killed with nobody to wait for it.
      ...call(at - 15_000, [0]).map((each) => ({
        ...each,
        verdict: undefined,
        returnedAt: at + 5,
      })),
      ...call(at - 14_000, [1, 2]),
      ...call(at - 500, [3, 4, 5]),
      ...call(at + 30_000, [0, 1, 2, 3, 4, 5]),
    ];
    const faults = [fault('puller killed', at, { queues: [QUEUE] })];
    const [cost] = costsOf([evidence([0, 1, 2, 3, 4, 5], deliveries, { order: 'none', faults })]);
    assert.ok(cost !== undefined);
    assert.deepEqual(
      [cost.inFlight, cost.ahead, cost.perSecond, cost.bound, cost.repeats.length],
      [1, 2, 3, 6, 6],
    );
    assert.equal(cost.catchUpMs, 30_010);
  });

  test('a message that has not begun yet holds up what is done behind it', () => {
    const deliveries = [...call(0, [2, 3]), ...call(70_000, [1])];
    const faults = [fault('puller killed', 60_000, { queues: [QUEUE] })];
    assert.equal(costsOf([evidence([1, 2, 3], deliveries, { faults })])[0]?.ahead, 2);
  });

  test('a message that was sent back without a verdict holds nothing up', () => {
    const unreported = (each: Delivery): Delivery => ({ ...each, verdict: undefined });
    const deliveries = [
      ...call(0, [1]).map(unreported),
      ...call(100, [[1, 'done', 1]]).map((each) => ({ ...each, offset: 100 })),
      ...call(200, [2, 3]),
    ];
    const faults = [fault('puller killed', 60_000, { queues: [QUEUE] })];
    const aheadIn = (order: Order): number | undefined =>
      costsOf([evidence([1, 2, 3], deliveries, { order, faults })])[0]?.ahead;
    assert.deepEqual([aheadIn('none'), aheadIn('key')], [0, 3]);
  });

  test('while the broker was away nothing could be committed', () => {
    const queues = [QUEUE];
    const deliveries = [...call(2_000, [1, 2]), ...call(9_000, [3]), ...call(40_000, [1, 2, 3])];
    const faults = [
      fault('broker frozen', 2_500, { until: 8_000 }),
      fault('puller killed', 9_500, { queues }),
    ];
    const [, cost] = costsOf([evidence([1, 2, 3], deliveries, { faults })]);
    assert.deepEqual([cost?.perSecond, cost?.repeats.length], [3, 3]);
  });

  test('a puller that ends as it should leaves what was done ahead of a failure', () => {
    const deliveries = [
      ...call(0, [[FAILS_ONCE, 'failed'], 14]),
      ...call(50, [15]),
      ...call(500, [[FAILS_ONCE, 'done', 1], 14, 15]),
    ].map((each) => ({ ...each, key: String(each.seq) }));
    const faults = [fault('puller ended', 100, { queues: [QUEUE] })];
    const [cost] = costsOf([evidence([FAILS_ONCE, 14, 15], deliveries, { faults })]);
    assert.deepEqual([cost?.bound, cost?.repeats.length], [2, 2]);
  });

  test('costs of a fault are added up over the orders', () => {
    const faults = [fault('broker killed', 10)];
    const run = evidence([1], [...call(0, [1]), ...call(50, [1])], { faults });
    const [cost] = costsOf([run, run]);
    assert.equal(cost?.repeats.length, 2);
  });
});

describe('the plan of a fault run', () => {
  test('is the same for the same seed, and another for another', () => {
    const options = { seed: 3, faults: 25, everyMs: 5_000 };
    assert.deepEqual(planFaults(options), planFaults(options));
    assert.notDeepEqual(planFaults(options), planFaults({ ...options, seed: 4 }));
  });
  test('has every kind once in ten faults', () => {
    const kinds = planFaults({ seed: 9, faults: 10, everyMs: 5_000 }).map(({ kind }) => kind);
    assert.deepEqual(kinds.sort(), [...FAULT_KINDS].sort());
  });
  test('has the kinds that it is given only', () => {
    const kinds = ['puller killed', 'broker killed'] as const;
    const plan = planFaults({ seed: 9, faults: 3, everyMs: 5_000, kinds });
    assert.deepEqual(new Set(plan.map(({ kind }) => kind)), new Set(kinds));
  });
  test('freezes pullers for 3 to 45 s', () => {
    const freezes = planFaults({ seed: 1, faults: 2_000, everyMs: 1 })
      .filter(({ kind }) => kind === 'puller frozen')
      .map(({ lastsMs }) => lastsMs);
    assert.ok(freezes.every((ms) => ms >= 3_000 && ms <= 45_000));
    assert.ok(freezes.some((ms) => ms > 40_000) && freezes.some((ms) => ms < 6_000));
  });
  test('lasts as long as its pauses and what it waits for', () => {
    const plan = planFaults({ seed: 1, faults: 100, everyMs: 10_000 });
    assert.ok(durationOf(plan) > 900_000 && durationOf(plan) < 1_400_000);
  });
});
