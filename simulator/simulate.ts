/**
 * `npm run simulate -- [--scenario NAME] [--seeds 1000] [--from 1] [--seed N] [--trace] [--mutants] [--isolation] [--threads N]`
 * Runs the real coordinator, puller, client and store under virtual time; a seed says everything that happens.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isolationFigures } from './isolation-figures.ts';
import { huntMutants } from './mutants/hunt.ts';
import type { RunOrder, SeedResult } from './orders.ts';
import { SCENARIOS } from './scenarios.ts';
import { type HangError, inThreads, startThread } from './threads.ts';

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string', multiple: true },
    'mutant-runs': { type: 'string', default: '1000' },
    isolation: { type: 'boolean', default: false },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});

const PIECE = 20;
/** In every so many rounds. */
const RARE: Readonly<Record<string, number>> = {
  memory: 20,
  'pop-memory': 5,
  poisons: 5,
  'poisons-beside-others': 5,
  'two-deployments': 4,
  'java-members': 3,
  'pop-poison': 3,
  'slow-failures': 3,
  sparse: 3,
  'lost-commits': 2,
  recreated: 2,
};
/** Failures that are listed. */
const MAX_LISTED = 20;

const scenarios = values.scenario ?? Object.keys(SCENARIOS);
const threads = whole('threads', values.threads);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

if (values.isolation) print(await isolationFigures());
else if (values.mutants || (values.mutant !== undefined && values.seed === undefined))
  process.exitCode = (await huntMutants(
    { names: values.mutant, threads, maxRuns: whole('mutant-runs', values['mutant-runs']) },
    print,
  ))
    ? 0
    : 1;
else if (values.seed !== undefined)
  process.exitCode = await explainSeed(whole('seed', values.seed));
else process.exitCode = await runSeeds(whole('from', values.from), whole('seeds', values.seeds));

function whole(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new TypeError(`--${name} is "${text}": give a whole number`);
  return Number(text);
}

/** All scenarios share the seeds: each has its part of them, slow ones a smaller one. */
async function runSeeds(from: number, seeds: number): Promise<number> {
  const started = performance.now();
  const runs: RunOrder[] = [];
  for (let round = 0; runs.length < seeds; round++)
    for (const scenario of scenarios) {
      const every = scenarios.length === 1 ? 1 : (RARE[scenario] ?? 1);
      if (round % every === 0 && runs.length < seeds)
        runs.push({ scenario, seed: from + round / every });
    }
  const pieces = Array.from({ length: Math.ceil(runs.length / PIECE) }, (_, index) =>
    runs.slice(index * PIECE, (index + 1) * PIECE),
  );
  const results = (
    await inThreads(
      threads,
      pieces,
      async (thread, piece) => {
        const answer = await thread.ask({ kind: 'run', runs: piece, stopAtFailure: false });
        return answer.kind === 'ran' ? answer.results : [];
      },
      hung,
    )
  ).flat();
  const seconds = (performance.now() - started) / 1000;
  for (const scenario of scenarios) print(summary(scenario, results));
  const failed = results.filter(({ violations }) => violations.length > 0);
  print(`${results.length} seeds in ${seconds.toFixed(1)} s, ${failed.length} failed`);
  for (const { scenario, seed, violations } of failed.slice(0, MAX_LISTED))
    print(
      `FAILED --scenario ${scenario} --seed ${seed}: ${violations[0]?.check}: ${violations[0]?.text}`,
    );
  const [first] = failed;
  if (first !== undefined && first.digest !== '') await explain(first, true);
  return failed.length === 0 ? 0 : 1;
}

/** A run that hangs is a failed one; what its piece had beside it is not counted. */
function hung({ run = { scenario: 'unknown', seed: 0 }, message }: HangError): SeedResult[] {
  const violations = [{ check: 'hang', text: message, at: 0 }];
  return [
    {
      ...run,
      violations,
      digest: '',
      events: 0,
      virtualMs: 0,
      firstCalls: { calls: 0, messages: 0 },
    },
  ];
}

function summary(scenario: string, all: readonly SeedResult[]): string {
  const results = all.filter((result) => result.scenario === scenario);
  const sum = (of: (result: SeedResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const failed = sum(({ violations }) => (violations.length > 0 ? 1 : 0));
  const hours = (sum(({ virtualMs }) => virtualMs) / 3_600_000).toFixed(1);
  return `${scenario.padEnd(18)} ${results.length} seeds, ${hours} virtual hours, ${sum(({ events }) => events)} events, ${failed} failed`;
}

async function explainSeed(seed: number): Promise<number> {
  let failed = 0;
  for (const scenario of scenarios) failed += (await explain({ scenario, seed }, false)) ? 1 : 0;
  return failed === 0 ? 0 : 1;
}

/** Prints the run of a seed. @returns whether it failed */
async function explain({ scenario, seed }: RunOrder, shrinks: boolean): Promise<boolean> {
  const [mutant] = values.mutant ?? [];
  await using thread = startThread(mutant === undefined ? {} : { mutant });
  const answer = await thread.ask({ kind: 'explain', run: { scenario, seed }, shrinks });
  if (answer.kind !== 'explained') return false;
  const { result, faults, messages, tries, trace } = answer;
  if (shrinks)
    print(
      `\n${scenario}, seed ${seed}, shrunk in ${tries} runs to ${faults.length} faults and ${messages} messages:`,
    );
  if (values.trace || shrinks) for (const line of trace) print(line);
  for (const { check, text, at } of result.violations) print(`${check} at ${at / 1000} s: ${text}`);
  print(
    `${scenario}, seed ${seed}: ${result.violations.length} violations, ${result.events} events, ${result.virtualMs / 1000} virtual s, digest ${result.digest}`,
  );
  return result.violations.length > 0;
}
