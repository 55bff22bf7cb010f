import type { RunOrder, SeedResult } from '../orders.ts';
import { startThread } from '../threads.ts';
import { MUTANTS, type Mutant } from './mutants.ts';

const PIECE = 50;

export interface Finding {
  readonly mutant: Mutant;
  readonly runs: number;
  readonly seconds: number;
  /** Absent: the simulator did not find it. */
  readonly found?: RunOrder & { readonly check: string; readonly text: string };
}

/** Runs the product with one mutation until a check fails. */
export async function hunt(mutant: Mutant, maxRuns: number): Promise<Finding> {
  const started = performance.now();
  await using thread = startThread({ mutant: mutant.name });
  const runs = Array.from(
    { length: maxRuns },
    (_, index): RunOrder => ({
      scenario: mutant.scenarios[index % mutant.scenarios.length]!,
      seed: 1 + Math.floor(index / mutant.scenarios.length),
    }),
  );
  let done = 0;
  let last: SeedResult | undefined;
  while (done < runs.length && (last === undefined || last.violations.length === 0)) {
    const piece = runs.slice(done, done + PIECE);
    const answer = await thread.ask({ kind: 'run', runs: piece, stopAtFailure: true });
    const results = answer.kind === 'ran' ? answer.results : [];
    done += results.length;
    last = results[results.length - 1];
  }
  const [violation] = last?.violations ?? [];
  return {
    mutant,
    runs: done,
    seconds: (performance.now() - started) / 1000,
    ...(last !== undefined &&
      violation !== undefined && {
        found: {
          scenario: last.scenario,
          seed: last.seed,
          check: violation.check,
          text: violation.text,
        },
      }),
  };
}

/** Hunts the named mutants, by default all, and prints a table. @returns whether each was found */
export async function huntMutants(
  {
    names,
    threads,
    maxRuns,
  }: {
    readonly names: readonly string[] | undefined;
    readonly threads: number;
    /** Within so many runs each has to be found. */
    readonly maxRuns: number;
  },
  print: (text: string) => void,
): Promise<boolean> {
  const mutants = MUTANTS.filter(({ name }) => names?.includes(name) ?? true);
  const findings: Finding[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: threads }, async () => {
      while (next < mutants.length) {
        const finding = await hunt(mutants[next++]!, maxRuns);
        findings.push(finding);
        print(row(finding));
      }
    }),
  );
  const missed = findings.filter(({ found }) => found === undefined);
  print(
    `${findings.length} mutants, ${findings.length - missed.length} found, ${missed.length} missed`,
  );
  for (const { mutant } of missed) print(`MISSED ${mutant.name}`);
  return missed.length === 0;
}

function row({ mutant, runs, seconds, found }: Finding): string {
  const how =
    found === undefined
      ? 'MISSED'
      : `${found.scenario} seed ${found.seed}: ${found.check}: ${found.text.slice(0, 110)}`;
  return `${mutant.name.padEnd(36)} ${String(runs).padStart(4)} runs ${seconds.toFixed(1).padStart(6)} s  ${how}`;
}
