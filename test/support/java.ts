import { existsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rocketmqPart } from '../../cli/stack/cache.ts';
import { startChild } from './child-process.ts';

const SOURCES = fileURLToPath(new URL('./java/', import.meta.url));

/** Runs one of the programs in test/support/java (compiled into the cache when its source is newer) and gives back what it printed on stdout. */
export async function runJava(program: string, args: readonly string[], heap = '256m'): Promise<string> {
  const { folder } = rocketmqPart();
  const classes = path.join(folder, 'test-classes');
  await mkdir(classes, { recursive: true });
  const source = path.join(SOURCES, `${program}.java`);
  const compiled = path.join(classes, `${program}.class`);
  if (!existsSync(compiled) || (await stat(compiled)).mtimeMs < (await stat(source)).mtimeMs)
    await run('javac', ['-proc:none', '-cp', path.join(folder, 'lib', '*'), '-d', classes, source]);
  return run('java', [`-Xmx${heap}`, '-XX:+UseSerialGC', ...QUIET, '-cp', `${classes}:${path.join(folder, 'lib', '*')}`, program, ...args]);
}

/** Runs one command of RocketMQ's own admin tool. */
export function mqadmin(nameServer: string, args: readonly string[]): Promise<string> {
  const { folder } = rocketmqPart();
  return run('java', [
    '-Xmx128m',
    '-XX:+UseSerialGC',
    ...QUIET,
    '-cp',
    path.join(folder, 'lib', '*'),
    'org.apache.rocketmq.tools.command.MQAdminStartup',
    ...args,
    '-n',
    nameServer,
  ]);
}

/** RocketMQ's logging goes to the home folder by default. */
const QUIET = ['-Drocketmq.log.root.level=OFF', `-Duser.home=${path.join(rocketmqPart().folder, 'home')}`];

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = startChild(command, args);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await child.exited;
  const output = Buffer.concat(chunks).toString('utf8');
  if (code !== 0) throw new Error(`${command} ${args.slice(-4).join(' ')} ended with ${code}: ${child.output()}`);
  return output;
}

/** The lines of JSON among what a program printed; RocketMQ's logging writes to stdout too. */
export function jsonLines<T>(output: string): T[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T);
}
