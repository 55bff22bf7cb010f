import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SERVERLESS = fileURLToPath(
  new URL('../../node_modules/serverless/bin/serverless.js', import.meta.url),
);

const READY_LIMIT_MS = 120_000;

export interface OfflineService {
  readonly lambdaPort: number;
  /** Resolves with the exit code (or the signal's name) when the service has ended, wanted or not. */
  readonly ended: Promise<number | string>;
  /** Asks it to drain and waits for its end; after `timeoutMs` it is killed. */
  stop(timeoutMs?: number): Promise<void>;
}

/**
 * Starts the service of the repo under `serverless offline`.
 * @param onLine gets every line that it prints
 * @throws Error when it ends before it is ready, or is not ready after two minutes; the signal's reason
 */
export async function startOffline(
  environment: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
  isReady: (line: string) => boolean,
  signal?: AbortSignal,
): Promise<OfflineService> {
  const [lambdaPort, httpPort] = await freePorts(2);
  const child = spawn(
    process.execPath,
    [
      SERVERLESS,
      'offline',
      'start',
      '--lambdaPort',
      String(lambdaPort),
      '--httpPort',
      String(httpPort),
      '--host',
      '127.0.0.1',
      '--noSponsor',
    ],
    {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A Ctrl-C of the terminal must reach the command alone: it drains the service in its own order.
      detached: true,
    },
  );
  const ended = new Promise<number | string>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  );
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        onLine(line);
        if (isReady(line)) resolve();
      });
  });
  // Whatever ends this process, the service does not stay behind.
  const onExit = (): void => killGroup(child);
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));
  const limit = AbortSignal.timeout(READY_LIMIT_MS);
  try {
    await Promise.race([
      ready,
      ended.then((code) => {
        throw new Error(`serverless offline ended (${code}) before the service was ready`);
      }),
      aborted(limit).then(() => {
        throw new Error(`the service was not ready within ${READY_LIMIT_MS / 1000} s`);
      }),
      ...(signal === undefined ? [] : [aborted(signal).then(() => Promise.reject(signal.reason))]),
    ]);
  } catch (error) {
    killGroup(child);
    throw error;
  }
  return {
    lambdaPort: lambdaPort as number,
    ended,
    stop: (timeoutMs = 30_000) => stop(child, ended, timeoutMs),
  };
}

async function stop(
  child: ChildProcess,
  ended: Promise<unknown>,
  timeoutMs: number,
): Promise<void> {
  child.kill('SIGINT');
  const timer = setTimeout(() => killGroup(child), timeoutMs);
  await ended;
  clearTimeout(timer);
}

/** It was started as a group of its own: its bundler and workers go with it. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
