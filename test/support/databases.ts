import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ensureTable } from '../../src/store/table.ts';
import { startDynalite } from './dynalite.ts';
import { startDynamoDBLocal } from './dynamodb-local.ts';
import { missingStack } from './stack.ts';

/** The two databases that everything about leases has to hold on. */
export const databases: readonly {
  readonly name: string;
  /** Why it cannot run here, for `{ skip }`. */
  readonly missing: string | false;
  start(): Promise<{ readonly endpoint: string; stop(): Promise<unknown> }>;
}[] = [
  { name: 'dynalite', missing: false, start: startDynalite },
  { name: 'DynamoDB Local', missing: missingStack('dynamodb'), start: startDynamoDBLocal },
];

export const TABLE = 'assignments';
/** Whose items the tests work with: the service and stage that they give to coordinator, pullers and operator. */
export const TENANT = { service: 'shop', stage: 'dev' } as const;

export async function connect(endpoint: string): Promise<DynamoDBClient> {
  const client = new DynamoDBClient({
    endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  await ensureTable(client, TABLE);
  return client;
}

/** A proxy that can let a request reach the database and then break the connection instead of answering. */
export interface LossyProxy {
  readonly endpoint: string;
  /** The next write's answer is lost; `meanwhile` runs when the database has carried it out and before the client notices. */
  loseNextAnswer(meanwhile?: () => Promise<unknown>): void;
  /** Runs `meanwhile` before the n-th request from now on (1 is the next) goes to the database. */
  beforeRequest(n: number, meanwhile: () => Promise<unknown>): void;
  stop(): Promise<void>;
}

export async function startLossyProxy(target: string): Promise<LossyProxy> {
  let lose: (() => Promise<unknown>) | undefined;
  let interruption: { left: number; meanwhile: () => Promise<unknown> } | undefined;
  const server = createServer((request, response) => {
    void (async () => {
      const body = await bytes(request);
      if (interruption !== undefined && --interruption.left === 0) await interruption.meanwhile();
      const isWrite = String(request.headers['x-amz-target']).endsWith('.UpdateItem');
      const meanwhile = isWrite ? lose : undefined;
      if (isWrite) lose = undefined;
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => !['host', 'connection'].includes(name)),
      );
      const answer = await fetch(target, {
        method: 'POST',
        headers: headers as Record<string, string>,
        body,
      });
      const answered = Buffer.from(await answer.arrayBuffer());
      if (meanwhile !== undefined) {
        await meanwhile();
        request.socket.destroy();
        return;
      }
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? 'application/x-amz-json-1.0',
      });
      response.end(answered);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseNextAnswer(meanwhile = async () => {}) {
      lose = meanwhile;
    },
    beforeRequest(n, meanwhile) {
      interruption = { left: n, meanwhile };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bytes(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
