import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { rocketmqPart } from '../../cli/stack/cache.ts';
import { type Child, startChild } from './child-process.ts';
import { requirePart, TESTED_VERSION } from './stack.ts';

/** A program that has not ended by then hangs. */
const LONGEST_RUN_MS = 300_000;
/** Up to JDK 17 the locale decides what encoding a program reads and prints. */
const ENVIRONMENT = { ...process.env, LC_ALL: 'C.UTF-8' };
const SOURCES = fileURLToPath(new URL('./java/', import.meta.url));

/** Runs one of the programs in test/support/java and gives back what it printed on stdout. */
export async function runJava(
  program: string,
  args: readonly string[],
  heap = '256m',
): Promise<string> {
  const { folder } = requirePart(rocketmqPart(TESTED_VERSION));
  return runMain(folder, program, args, heap, [
    await compile(path.join(SOURCES, `${program}.java`), folder),
  ]);
}

/** Runs one command of RocketMQ's own admin tool. */
export function mqadmin(nameServer: string, args: readonly string[]): Promise<string> {
  const { folder } = requirePart(rocketmqPart(TESTED_VERSION));
  return runMain(
    folder,
    'org.apache.rocketmq.tools.command.MQAdminStartup',
    [...args, '-n', nameServer],
    '128m',
  );
}

/** Starts one of the programs and lets it run: its lines come as they are printed, SIGTERM lets it shut down. */
export async function startJava(
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
  heap = '256m',
): Promise<Child> {
  const { folder } = requirePart(rocketmqPart(TESTED_VERSION));
  const child = startChild(
    'java',
    await javaArguments(folder, program, args, heap, [
      await compile(path.join(SOURCES, `${program}.java`), folder),
    ]),
    { env: ENVIRONMENT },
  );
  if (child.process.stdout !== null)
    createInterface({ input: child.process.stdout }).on('line', onLine);
  return child;
}

async function runMain(...how: Parameters<typeof javaArguments>): Promise<string> {
  // Some of mqadmin's commands write their answers into the working directory.
  const workingDirectory = await mkdtemp(path.join(tmpdir(), 'java-'));
  try {
    return await run('java', await javaArguments(...how), workingDirectory);
  } finally {
    await rm(workingDirectory, { recursive: true, force: true });
  }
}

async function javaArguments(
  folder: string,
  main: string,
  args: readonly string[],
  heap: string,
  classes: readonly string[] = [],
): Promise<string[]> {
  // RocketMQ logs to stdout and to the home folder unless a file of this name on the class path says otherwise.
  const home = path.join(folder, 'home');
  await mkdir(path.join(home, 'conf'), { recursive: true });
  for (const name of ['rmq.logback-test.xml', 'conf/logback_tools.xml'])
    await writeFile(path.join(home, name), '<configuration><root level="OFF"/></configuration>');
  const classPath = [home, ...classes, path.join(folder, 'lib', '*')].join(path.delimiter);
  const folders = [`-Duser.home=${home}`, `-Drocketmq.home.dir=${home}`];
  return [`-Xmx${heap}`, '-XX:+UseSerialGC', ...folders, '-cp', classPath, main, ...args];
}

/** Compiled once per content of the source: clones with different sources share the cache. */
async function compile(source: string, folder: string): Promise<string> {
  const hash = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16);
  const classes = path.join(folder, 'test-classes', hash);
  if (existsSync(classes)) return classes;
  await mkdir(path.dirname(classes), { recursive: true });
  const unfinished = await mkdtemp(`${classes}-`);
  await run('javac', [
    '-proc:none',
    '-cp',
    path.join(folder, 'lib', '*'),
    '-d',
    unfinished,
    source,
  ]);
  // Another process may have been faster.
  await rename(unfinished, classes).catch(() => rm(unfinished, { recursive: true }));
  return classes;
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const child = startChild(command, args, {
    env: ENVIRONMENT,
    ...(cwd === undefined ? {} : { cwd }),
  });
  const timer = setTimeout(() => child.process.kill('SIGKILL'), LONGEST_RUN_MS);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  // At its exit, the last of its output may not have been read.
  const [code] = await Promise.all([child.exited, once(child.process, 'close')]).finally(() =>
    clearTimeout(timer),
  );
  const output = Buffer.concat(chunks).toString('utf8');
  if (code !== 0)
    throw new Error(`${command} ${args.slice(-4).join(' ')} ended with ${code}: ${child.output()}`);
  return output;
}

/** The lines of JSON among what a program printed. */
export function jsonLines<T>(output: string): T[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T);
}
