import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** A child process with its output kept, ended by its own id. */
export interface Child {
  readonly process: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  /** The last lines of both streams, for messages. */
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const KEPT_CHARACTERS = 4_000;
const PATIENCE_MS = 20_000;

export function startChild(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Child {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-KEPT_CHARACTERS);
    });
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
  });
  // A test that dies must not leave JVMs behind.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  exited.catch(() => {}).finally(() => process.off('exit', onExit));
  return {
    process: child,
    exited,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      await exited.catch(() => {});
      clearTimeout(timer);
    },
  };
}
