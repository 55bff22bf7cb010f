import { createRandom } from './kernel/random.ts';
import type { Behaviour, CallFailures, Plan } from './plan.ts';
import { planFrom } from './scenarios.ts';
import { startThread } from './threads.ts';

const SIZES = [10, 100, 1_000] as const;

interface FailureShape {
  readonly name: string;
  /** Of the message with the number, of so many. */
  readonly behaviour?: (number: number, count: number) => Behaviour;
  readonly callFailures?: CallFailures;
  /** Runs, of which the worst counts. Default: 1, where chance changes nothing. */
  readonly seeds?: number;
}

const OK: Behaviour = { kind: 'ok' };
const FAILS: Behaviour = { kind: 'fails', times: 99 };

const SHAPES: readonly FailureShape[] = [
  {
    name: 'one bad message',
    behaviour: (number, count) => (number === count >> 1 ? { kind: 'throws', times: 99 } : OK),
  },
  {
    name: 'three bad messages',
    behaviour: (number, count) =>
      [0, count >> 1, count - 1].includes(number) ? { kind: 'throws', times: 99 } : OK,
  },
  { name: 'all bad', behaviour: () => ({ kind: 'throws', times: 99 }) },
  {
    name: 'all bad, each call takes its whole timeout',
    behaviour: () => ({ kind: 'times-out', times: 99 }),
  },
  {
    name: 'what the handler needs is away',
    callFailures: { kind: 'away', untilMs: 120_000 },
  },
  {
    name: 'half of the calls fail, the worst of 10 runs',
    callFailures: { kind: 'sometimes', chance: 0.5 },
    seeds: 10,
  },
  {
    name: 'one bad message, the answer names all',
    behaviour: (number, count) => (number === count >> 1 ? FAILS : OK),
    callFailures: { kind: 'blames-all', how: 'names' },
  },
  {
    name: 'one bad message, FullBatchFailureError',
    behaviour: (number, count) => (number === count >> 1 ? FAILS : OK),
    callFailures: { kind: 'blames-all', how: 'throws' },
  },
];

/** All are stored before the first pull, and go into one batch. */
function planOf(
  { name, behaviour = () => OK, callFailures }: FailureShape,
  count: number,
  seed: number,
): Plan {
  let next = 0;
  const shape = {
    queues: 1,
    messages: count,
    withinMs: 1,
    behaviours: () => behaviour(next++, count),
    subscription: { batchSize: count, maximumRetryAttempts: 16, retryDelay: { level: 5 } },
    ...(callFailures !== undefined && { callFailures }),
    pullerTimeoutMs: 900_000,
    handlerMs: [2, 150] as const,
    // The first delivery of each message is enough.
    drainMs: 150_000,
  };
  return planFrom(shape, `isolation of ${name}`, seed, createRandom(seed, name));
}

/** A table in Markdown: calls until each message of a batch has failed once or is done, and how often each was handled. */
export async function isolationFigures(): Promise<string> {
  await using thread = startThread();
  const rows: string[] = [];
  for (const shape of SHAPES) {
    const cells: string[] = [];
    for (const count of SIZES) {
      let calls = 0;
      let messages = 0;
      for (let seed = 1; seed <= (shape.seeds ?? 1); seed++) {
        const answer = await thread.ask({ kind: 'run-plan', plan: planOf(shape, count, seed) });
        if (answer.kind !== 'ran') throw new Error(`the thread answered ${answer.kind}`);
        const [result] = answer.results;
        calls = Math.max(calls, result?.firstCalls.calls ?? 0);
        messages = Math.max(messages, result?.firstCalls.messages ?? 0);
      }
      cells.push(
        `${calls} ${calls === 1 ? 'call' : 'calls'}, each ${(messages / count).toFixed(1)} times`,
      );
    }
    rows.push(`| ${[shape.name, ...cells].join(' | ')} |`);
  }
  return [
    `| batch of | ${SIZES.map((count) => count.toLocaleString('en')).join(' | ')} |`,
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
