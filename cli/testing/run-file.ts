import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestRecord } from './record.ts';

const RECORD = new URL('./record.ts', import.meta.url).href;
const PROPERTY_SEED = new URL('./property-seed.ts', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A test that hangs is named this long before its file is killed. */
const NAMING_MS = 5_000;
const running = new Set<number>();

/**
 * Runs a test file in a process group of its own and kills the whole group at the deadline: a loop that never yields, a test that hangs,
 * a handle left open and JVMs left behind all end here (node:test's own `run` waits for them for ever).
 * @param onOutput what the file prints, as it comes
 */
export async function runFile(
  file: string,
  timeoutMs: number,
  onOutput: (chunk: Buffer) => void,
): Promise<TestRecord[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'test-run-'));
  const records = path.join(folder, 'records');
  const hasProperties = (await readFile(path.join(ROOT, file), 'utf8')).includes("'fast-check'");
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const child = spawn(
    process.execPath,
    [
      ...(hasProperties ? [`--import=${PROPERTY_SEED}`] : []),
      `--test-timeout=${timeoutMs - NAMING_MS}`,
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...[`--test-reporter=${RECORD}`, `--test-reporter-destination=${records}`],
      file,
    ],
    {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) },
    },
  );
  const group = child.pid as number;
  running.add(group);
  child.stdout.on('data', onOutput);
  child.stderr.on('data', onOutput);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill(group);
  }, timeoutMs);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  // What the file started and did not stop; it would also hold the pipes open.
  kill(group);
  running.delete(group);
  if (!child.stdout.closed || !child.stderr.closed) await once(child, 'close');

  const text = await readFile(records, 'utf8').catch(() => '');
  await rm(folder, { recursive: true });
  const tests = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TestRecord);
  const broken = late
    ? `did not end within ${timeoutMs / 1000} s: a test, a loop or an open handle keeps it`
    : code !== 0 && !tests.some(({ outcome }) => outcome === 'failed')
      ? `ended with ${signal ?? code}`
      : tests.length === 0
        ? 'has no tests'
        : undefined;
  return broken === undefined ? tests : [...tests, { name: broken, outcome: 'failed' }];
}

/** For the end of the runner itself. */
export function killRunningFiles(): void {
  for (const group of running) kill(group);
}

function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
