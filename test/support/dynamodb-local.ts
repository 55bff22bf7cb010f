import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dynamodbLocalPart } from '../../cli/stack/cache.ts';
import { startChild } from './child-process.ts';
import { freePort } from './ports.ts';
import { requirePart } from './stack.ts';

const READY_MS = 30_000;

/** AWS's own DynamoDB emulation, in memory. */
export async function startDynamoDBLocal(): Promise<{
  readonly endpoint: string;
  /** SIGSTOP freezes it, SIGCONT thaws it. */
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}> {
  const lib = path.join(requirePart(dynamodbLocalPart()).folder, 'lib');
  const port = await freePort();
  const child = startChild('java', [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    `-Djava.library.path=${lib}`,
    '-cp',
    `${lib}/*`,
    'software.amazon.dynamodb.services.local.main.ServerRunner',
    '-inMemory',
    '-disableTelemetry',
    '-port',
    String(port),
  ]);
  const endpoint = `http://127.0.0.1:${port}`;
  const giveUpAt = Date.now() + READY_MS;
  let ended: string | undefined;
  child.exited.then(
    (code) => {
      ended = `with ${code}`;
    },
    (error: unknown) => {
      ended = String(error);
    },
  );
  for (;;) {
    if (ended !== undefined) throw new Error(`DynamoDB Local ended (${ended}): ${child.output()}`);
    // Any answer will do: an unsigned request is refused with 400.
    if (
      await fetch(endpoint).then(
        () => true,
        () => false,
      )
    )
      return {
        endpoint,
        signal: (signal) => void child.process.kill(signal),
        stop: () => child.stop('SIGKILL'),
      };
    if (Date.now() > giveUpAt) {
      await child.stop('SIGKILL');
      throw new Error(`DynamoDB Local did not answer within ${READY_MS} ms: ${child.output()}`);
    }
    await sleep(100);
  }
}
