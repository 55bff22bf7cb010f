import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { createRandom } from '../../simulator/kernel/random.ts';
import type { Behaviour, Fault } from '../../simulator/plan.ts';
import { planFrom, type Shape } from '../../simulator/scenarios.ts';
import { type SimulatorThread, startThread } from '../../simulator/threads.ts';

/*
 * With any handler that ends, finitely many invocations finish the queue. Each run has its bound (simulator/drain-bound.ts), which
 * follows from one handler call of progress for each invocation, so that a run that goes round without progress fails.
 */
const RUNS = 25;
/** Other checks are made for pullers with more time: what is done ahead of a failure is repeated when a puller ends. */
const LIVENESS = new Set(['drained', 'nothing-lost', 'hang']);

const MODES: Readonly<Record<string, Pick<Shape, 'source' | 'subscription'>>> = {
  unordered: {},
  'ordered by queue': {
    subscription: { order: { by: 'queue', suspendCurrentQueueTimeMillis: 500 } },
  },
  'ordered by key': {
    subscription: {
      order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 500 },
    },
  },
  pop: { source: { mode: 'pop' } },
  broadcasting: { source: { messageModel: 'BROADCASTING' } },
};

const times = fc.constantFrom(1, 2, 99);
const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Behaviour>({ kind: 'ok' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fails' as const), times }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('throws' as const), times }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('times-out' as const), times }) },
);
/** An inline handler that ends its puller: it is looked for one message at a time. */
const deadly: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Behaviour>({ kind: 'ok' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kills' as const), times }) },
);
const deaths: fc.Arbitrary<Fault[]> = fc.array(
  fc.record({
    kind: fc.constant('kill' as const),
    at: fc.integer({ min: 1_000, max: 60_000 }),
    of: fc.constant('puller' as const),
    which: fc.nat(3),
  }),
  { maxLength: 2 },
);
const cases = fc.record({
  isInline: fc.boolean(),
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 8 }),
  deadly: fc.array(deadly, { minLength: 1, maxLength: 4 }),
  faults: deaths,
  batchSize: fc.integer({ min: 1, max: 12 }),
  timeout: fc.integer({ min: 2, max: 20 }),
  /** What a puller has beyond one handler call. */
  moreMs: fc.integer({ min: 18_200, max: 60_000 }),
  maximumRetryAttempts: fc.integer({ min: 0, max: 2 }),
  seed: fc.nat(1_000_000),
});
/** Found by chance once: a puller is killed beside its inline handler, whose call counted as running for ever. */
const killedBesideItsHandler: typeof cases extends fc.Arbitrary<infer T> ? T : never = {
  isInline: true,
  behaviours: [{ kind: 'ok' }],
  deadly: [{ kind: 'ok' }, { kind: 'kills', times: 99 }],
  faults: [{ kind: 'kill', at: 1_000, of: 'puller', which: 0 }],
  batchSize: 1,
  timeout: 2,
  moreMs: 18_200,
  maximumRetryAttempts: 0,
  seed: 694_260,
};
/** Every second puller has no time to deliver the suspect: its deaths were forgotten each time. */
const noTimeForTheSuspect: typeof killedBesideItsHandler = {
  isInline: true,
  behaviours: [{ kind: 'ok' }],
  deadly: [{ kind: 'kills', times: 99 }],
  faults: [],
  batchSize: 1,
  timeout: 8,
  moreMs: 18_200,
  maximumRetryAttempts: 0,
  seed: 13,
};

describe('with any handler that ends, finitely many invocations finish the queue', () => {
  let thread: SimulatorThread;
  before(() => {
    thread = startThread();
  });
  after(() => thread[Symbol.asyncDispose]());

  for (const [mode, settings] of Object.entries(MODES))
    it(mode, async () => {
      await fc.assert(
        fc.asyncProperty(cases, async (given) => {
          const { isInline, batchSize, timeout, maximumRetryAttempts, seed } = given;
          const behaviours = (isInline ? given.deadly : given.behaviours).values();
          const shape: Shape = {
            queues: 1,
            messages: (isInline ? given.deadly : given.behaviours).length,
            withinMs: 2_000,
            behaviours: () => behaviours.next().value ?? { kind: 'ok' },
            ...(settings.source && { source: settings.source }),
            subscription: {
              ...settings.subscription,
              batchSize,
              maximumRetryAttempts,
              handler: {
                invocation: isInline ? 'inline' : 'function',
                functionKey: 'handler',
                functionName: 'handler',
                timeout,
              },
            },
            faults: given.faults,
            pullerTimeoutMs: timeout * 1000 + given.moreMs,
          };
          const plan = planFrom(shape, mode, seed, createRandom(seed, mode));
          const answer = await thread.ask({ kind: 'run-plan', plan });
          assert(answer.kind === 'ran');
          const { violations = [] } = answer.results[0] ?? {};
          assert.deepEqual(
            violations.filter(({ check }) => LIVENESS.has(check)),
            [],
          );
        }),
        { numRuns: RUNS, examples: [[killedBesideItsHandler], [noTimeForTheSuspect]] },
      );
    });
});
