import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonTool } from '../../cli/stack/python-tools.ts';
import { freePort } from './ports.ts';

const START_MS = 60_000;

export interface Moto {
  readonly endpoint: string;
  /** What the AWS SDK and Serverless need to talk to it and to nobody else. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** AWS on loopback: what a deployment calls. */
export async function startMoto(region: string): Promise<Moto> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(pythonTool('moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  for (const giveUpAt = Date.now() + START_MS; ; await sleep(100)) {
    const answered = await fetch(`${endpoint}/moto-api/`).then(
      () => true,
      () => false,
    );
    if (answered) break;
    if (Date.now() > giveUpAt || child.exitCode !== null) {
      await stop();
      throw new Error(`moto does not answer at ${endpoint}`);
    }
  }
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
  // The framework looks every five seconds otherwise.
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    SLS_AWS_MONITORING_FREQUENCY: '200',
    ...credentials,
  };
  return { endpoint, env, stop };
}
