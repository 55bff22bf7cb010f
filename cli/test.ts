/** `npm test [-- PATTERN …]`: all test files, or those whose path contains a pattern; one plain line with the counts at the end. */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = [22, 18] as const;

/** In this order; suites with JVMs of their own run one file at a time. */
const STAGES: readonly { readonly folders: readonly string[]; readonly concurrency: number; readonly timeoutMs: number }[] = [
  { folders: ['unit', 'property'], concurrency: Math.min(2, availableParallelism()), timeoutMs: 180_000 },
  { folders: ['contract', 'integration', 'infra'], concurrency: 1, timeoutMs: 600_000 },
  { folders: ['e2e'], concurrency: 1, timeoutMs: 900_000 },
];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  process.stderr.write(
    `tests need Node ${OLDEST_NODE.join('.')} or later, this is ${process.versions.node}: run them as npm test, which brings its own\n`,
  );
  process.exit(1);
}

const patterns = process.argv.slice(2);
let [passed, failed, skipped] = [0, 0, 0];
const failures: string[] = [];
const notRun = new Map<string, Set<string>>();

for (const { folders, concurrency, timeoutMs } of STAGES) {
  const files = folders
    .flatMap((folder) => globSync(`test/${folder}/**/*.test.ts`, { cwd: ROOT }))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort();
  if (files.length > 0) await runFiles(files, concurrency, timeoutMs);
}

for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
for (const [reason, files] of notRun) process.stdout.write(`NOT RUN (${reason}): ${[...files].join(', ')}\n`);
if (passed + failed === 0) process.stderr.write('no test was run\n');
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

async function runFiles(files: readonly string[], concurrency: number, timeoutMs: number): Promise<void> {
  const stream = run({ files: files.map((file) => path.join(ROOT, file)), concurrency, timeout: timeoutMs, cwd: ROOT });
  stream.on('test:pass', ({ name, skip, file, details }) => {
    if (details.type === 'suite' && skip === undefined) return;
    if (skip === undefined) passed++;
    else {
      skipped++;
      const reason = typeof skip === 'string' ? skip : name;
      notRun.set(reason, (notRun.get(reason) ?? new Set()).add(path.relative(ROOT, file ?? name)));
    }
  });
  stream.on('test:fail', ({ name, file, details }) => {
    // A suite fails for its tests; only one that broke by itself (a hook, an import) counts.
    const cause = details.error as Error & { failureType?: string };
    if (details.type === 'suite' && cause.failureType === 'subtestsFailed') return;
    failed++;
    failures.push(`${path.relative(ROOT, file ?? '')} ${name}`);
  });
  const reporter = stream.compose(spec);
  for await (const text of reporter) process.stdout.write(text as string);
}
