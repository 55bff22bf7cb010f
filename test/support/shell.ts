import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './child-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface ShellResult {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  /** The last lines of both streams. */
  readonly output: string;
}

/** A command line as the documents have it, in a shell, in the repo's folder or another. A process group of its own, as in a terminal. */
export function startShell(
  command: string,
  more: Readonly<Record<string, string>> = {},
  cwd: string = ROOT,
): Child {
  // What a test runner or a session on AWS left in the environment is not what a newcomer's shell has.
  const clean = Object.entries(process.env).filter(
    ([name]) => !/^(AWS_|ROCKETMQ_(?!STACK_CACHE)|NODE_TEST|NODE_OPTIONS$)/.test(name),
  );
  const env = { ...Object.fromEntries(clean), NO_COLOR: '1', ...more };
  const child = startChild('sh', ['-c', command], { cwd, env, detached: true });
  const onExit = (): void => signalGroup(child, 'SIGKILL');
  process.once('exit', onExit);
  void child.exited.finally(() => process.off('exit', onExit));
  return child;
}

/** The same, to its end. */
export async function shell(
  command: string,
  env?: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<ShellResult> {
  const child = startShell(command, env, cwd);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => child.process.once('close', resolve));
  const code = await child.exited;
  await closed;
  return { code, stdout: Buffer.concat(chunks).toString('utf8'), output: child.output() };
}

/** `SIGINT` is Ctrl-C: the terminal sends it to every process of the group. What has ended is left alone. */
export function signalGroup({ process: { pid } }: Child, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // Nothing of it is left.
  }
}
