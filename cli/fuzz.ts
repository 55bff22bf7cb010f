/** `npm run fuzz`: mutated captures for every parser of what producers, brokers and name servers send. */
import { availableParallelism } from 'node:os';
import type { Job, Result } from '../test/fuzz/orders.ts';
import { runJob } from '../test/fuzz/run-job.ts';
import { TARGETS } from '../test/fuzz/targets.ts';
import { readArguments } from './arguments.ts';
import { print } from './print.ts';

const NAMES = TARGETS.map(({ name }) => name);
const { values, refuse } = readArguments({
  help: `usage: npm run fuzz -- [--inputs N] [--target NAME] [--seed N] [--threads N] [--input BASE64]

Gives mutated captures to every parser of what producers, brokers and name servers send. Exits with 0 only if none
crashed, took longer than 100 ms or took more than 256 MB of heap.
  --inputs N      how many, shared by the targets (100,000)
  --target NAME   only this one; may be repeated: ${NAMES.join(', ')}
  --seed N        decides every input (1)
  --threads N     targets at once (${availableParallelism()})
  --input BASE64  this input alone, with --target`,
  options: {
    inputs: { type: 'string', default: '100000' },
    target: { type: 'string', multiple: true, default: NAMES },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    input: { type: 'string' },
  },
});
const wholeNumber = (option: 'inputs' | 'seed' | 'threads'): number => {
  const number = Number(values[option]);
  return Number.isSafeInteger(number) && number > 0
    ? number
    : refuse(`--${option} ${values[option]}: give a whole number from 1 on`);
};
const targets = values.target.map(
  (name) => TARGETS.find((target) => target.name === name) ?? refuse(`no target ${name}`),
);

if (values.input !== undefined) {
  const input = Buffer.from(values.input, 'base64');
  for (const target of targets) print(`${target.name}: ${target.run(input)}`);
  process.exit(0);
}

const MAX_SHOWN = 2_000;
const PIECE = 200_000;
const perTarget = Math.ceil(wholeNumber('inputs') / targets.length);
const jobs: Job[] = targets.flatMap(({ name: target }) =>
  Array.from({ length: Math.ceil(perTarget / PIECE) }, (_, piece) => ({
    target,
    seed: wholeNumber('seed') + piece,
    inputs: Math.min(PIECE, perTarget - piece * PIECE),
  })),
);
const results: Result[] = [];
const began = performance.now();
await Promise.all(
  Array.from({ length: wholeNumber('threads') }, async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift())
      results.push(await runJob(job));
  }),
);

const seconds = (performance.now() - began) / 1000;
for (const { name } of targets) {
  const own = results.filter(({ target }) => target === name);
  const max = (field: 'slowestMs' | 'memoryMb' | 'outcomes'): number =>
    Math.max(...own.map((result) => result[field]));
  print(
    `${name}: ${sum(own)} inputs, ${max('outcomes')} outcomes, slowest ${max('slowestMs').toFixed(1)} ms, at most ${max('memoryMb')} MB`,
  );
}
const findings = results.flatMap((result) => result.findings);
for (const { target, kind, text, input } of findings)
  print(
    `FAILED ${target}: ${kind}: ${text}\n  npm run fuzz -- --target ${target} --input ${input.length > MAX_SHOWN ? `(${input.length} characters, too many to show)` : input}`,
  );
print(`${sum(results)} inputs in ${seconds.toFixed(0)} s, ${findings.length} failed`);
process.exitCode = findings.length > 0 ? 1 : 0;

function sum(of: readonly Result[]): number {
  return of.reduce((total, { inputs }) => total + inputs, 0);
}
