import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/ports.ts';
import type { Stranger } from './stranger.ts';

const PATIENCE_MS = 90_000;

export interface RunningService {
  /** Waits for a line that matches. */
  line(wanted: RegExp): Promise<RegExpExecArray | null>;
  /** Waits until handlers have reported exactly these. */
  reported(expected: readonly string[]): Promise<void>;
  output(): string;
  stop(): Promise<void>;
}

/** `serverless offline start` in a stranger's project; its handlers report by HTTP. */
export async function startService(
  { directory }: Stranger,
  env: Record<string, string> = {},
): Promise<RunningService> {
  const reports: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      reports.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const REPORT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [lambdaPort, httpPort] = [await freePort(), await freePort()];
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(AWS_|ROCKETMQ_|NODE_OPTIONS|NODE_TEST)/.test(name),
    ),
  );
  const ports = [
    '--lambdaPort',
    String(lambdaPort),
    '--httpPort',
    String(httpPort),
    '--host',
    '127.0.0.1',
    '--noSponsor',
  ];
  const child = spawn(
    process.execPath,
    [
      path.join(directory, 'node_modules/serverless/bin/serverless.js'),
      'offline',
      'start',
      ...ports,
    ],
    {
      cwd: directory,
      env: { ...clean, NO_COLOR: '1', REPORT, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let running = true;
  void ended.then(() => {
    running = false;
  });
  const wait = async (holds: () => boolean, what: string): Promise<void> => {
    for (const giveUpAt = Date.now() + PATIENCE_MS; !holds(); await sleep(50))
      if (!running || Date.now() > giveUpAt) throw new Error(`${what}\n${output}`);
  };
  return {
    async line(wanted) {
      await wait(() => wanted.test(output), `no line ${String(wanted)}`);
      return wanted.exec(output);
    },
    async reported(expected) {
      await wait(
        () => new Set(reports).size >= expected.length,
        `reports so far: ${reports.join(', ')}`,
      );
      const extra = reports.filter((report) => !expected.includes(report));
      const missing = expected.filter((report) => !reports.includes(report));
      if (extra.length + missing.length > 0)
        throw new Error(
          `missing ${missing.join(', ')}; not expected ${extra.join(', ')}\n${output}`,
        );
    },
    output: () => output,
    async stop() {
      child.kill('SIGINT');
      const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
      await ended;
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}
