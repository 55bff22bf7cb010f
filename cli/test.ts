/** `npm test [-- PATTERN …]`: all test files, or those whose path contains a pattern; one plain line with the counts at the end. */
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { killRunningFiles, runFile } from './testing/run-file.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = [22, 18] as const;

const TWO = Math.min(2, availableParallelism());

const WITH_FAST_CLOCKS = [
  'coordinator',
  'maximum-concurrency',
  'metrics',
  'rebalance',
  'scaling',
].map((name) => `integration/${name}`);

interface Stage {
  readonly paths: readonly string[];
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Beside each other, but never two with JVMs. */
  readonly apart?: boolean;
}

/**
 * In this order; a stage takes what begins so and what no stage before it took, the last one everything. Suites with JVMs of their own run one file at
 * a time: Java's clients give up after 3 s, which two of them on two processors can take to start. A suite without may run beside one.
 */
const STAGES: readonly Stage[] = [
  { paths: ['unit/', 'property/'], concurrency: TWO, timeoutMs: 180_000 },
  { paths: ['infra/', 'package/'], concurrency: TWO, timeoutMs: 600_000 },
  // Their clocks run many times as fast as ours: what makes the machine slow makes them late.
  { paths: WITH_FAST_CLOCKS, concurrency: 1, timeoutMs: 600_000 },
  { paths: [''], concurrency: TWO, timeoutMs: 900_000, apart: true },
];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  process.stderr.write(
    `tests need Node ${OLDEST_NODE.join('.')} or later, this is ${process.versions.node}: run them as npm test, which brings its own\n`,
  );
  process.exit(1);
}
process.once('exit', killRunningFiles);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(1));

const patterns = process.argv.slice(2).map((pattern) => pattern.replace(/^\.\//, ''));
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const notRun = new Map<string, Set<string>>();

let left = globSync('test/**/*.test.ts', { cwd: ROOT })
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
  .sort();
for (const stage of STAGES) {
  const files = left.filter((file) =>
    stage.paths.some((start) => file.startsWith(`test/${start}`)),
  );
  left = left.filter((file) => !files.includes(file));
  const lanes = lanesOf(files, stage);
  await Promise.all(
    lanes.map(async (lane) => {
      for (let file = lane.shift(); file !== undefined; file = lane.shift())
        await take(file, stage.timeoutMs, lanes.length === 1);
    }),
  );
}

for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
for (const [reason, files] of notRun)
  process.stdout.write(`NOT RUN (${reason}): ${[...files].join(', ')}\n`);
if (counts.passed + counts.failed === 0)
  process.stderr.write(
    patterns.length > 0
      ? `no test file's path contains ${patterns.map((pattern) => `"${pattern}"`).join(' or ')}\n`
      : 'no test was run\n',
  );
process.stdout.write(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}\n`,
);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

/** Each lane runs one file after the other. */
function lanesOf(files: string[], { concurrency, apart = false }: Stage): string[][] {
  if (concurrency === 1) return [files];
  if (!apart) return Array.from({ length: concurrency }, () => files);
  const withJvms = files.filter((file) =>
    /missingStack\(/.test(readFileSync(path.join(ROOT, file), 'utf8')),
  );
  return [withJvms, files.filter((file) => !withJvms.includes(file))].filter(
    (lane) => lane.length > 0,
  );
}

/** What a file prints is shown as it comes when it runs alone, in one piece when it does not. */
async function take(file: string, timeoutMs: number, alone: boolean): Promise<void> {
  const printed: Buffer[] = [Buffer.from(`── ${file}\n`)];
  const show = (): void => {
    for (const chunk of printed.splice(0)) process.stdout.write(chunk);
  };
  const records = await runFile(file, timeoutMs, (chunk) => {
    printed.push(chunk);
    if (alone) show();
  });
  show();
  for (const { name, outcome, reason } of records) {
    counts[outcome]++;
    if (outcome === 'failed') failures.push(`${file}: ${name}`);
    if (reason !== undefined) notRun.set(reason, (notRun.get(reason) ?? new Set()).add(file));
  }
}
