import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { createRocketMQClient, type RocketMQClient } from '../src/client/rocketmq-client.ts';
import { createInlineHandler } from '../src/delivery/inline-handler.ts';
import type { RocketMQEvent } from '../src/model/event.ts';
import { readableQueues } from '../src/model/route.ts';
import type { SourceConfig } from '../src/model/source.ts';
import type { PullerRequest } from '../src/ports/invoke.ts';
import type { PullerDeps } from '../src/puller/puller-deps.ts';
import { createLogger } from '../src/runtime/logger.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../src/store/assignment-store.ts';
import { ensureTable } from '../src/store/table.ts';

export const TABLE = 'bench';
const INVOCATION_MS = 900_000;

/** One topic with an inline handler. */
export function benchSource(topic: string, consumerGroup: string, batchSize: number): SourceConfig {
  return {
    cluster: 'default',
    consumerGroup,
    strategy: { name: 'AVG' },
    pullers: 1,
    subscriptions: [
      {
        topic,
        filter: { type: 'TAG', expression: '*' },
        handler: { invocation: 'inline', functionKey: 'bench', functionName: 'bench', timeout: 10 },
        batchSize,
        parallelizationFactor: 1,
        startingPosition: 'TRIM_HORIZON',
        maximumRetryAttempts: 16,
        enabled: true,
      },
    ],
  };
}

export interface PullerSetup {
  readonly client: RocketMQClient;
  readonly dynamodb: DynamoDBClient;
  readonly request: PullerRequest;
  readonly deps: PullerDeps;
  close(): Promise<void>;
}

/** Everything that handlers/puller.ts wires, with assignments for all queues of the topic in one slot. */
export async function openPuller(
  nameServer: string,
  endpoint: string,
  source: SourceConfig,
  handler: (event: RocketMQEvent) => unknown,
): Promise<PullerSetup> {
  const dynamodb = new DynamoDBClient({
    endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  await ensureTable(dynamodb, TABLE);
  const store = createAssignmentStore(dynamodb, TABLE, {
    keys: { service: 'bench', stage: 'bench' },
    newToken: randomUUID,
  });
  const client = createRocketMQClient({ nameServers: [nameServer] });
  const queues = readableQueues(await client.topicRoute(source.subscriptions[0]?.topic ?? ''));
  for (const queue of queues) await store.create(source, queue, 0, await client.minOffset(queue));
  const endsAt = Date.now() + INVOCATION_MS;
  const inline = createInlineHandler(handler, () => ({}) as Context);
  return {
    client,
    dynamodb,
    request: {
      cluster: source.cluster,
      consumerGroup: source.consumerGroup,
      slot: 0,
      queues,
      notAfter: endsAt,
    },
    deps: {
      service: {
        service: 'bench',
        stage: 'bench',
        clusters: { default: { nameServers: [nameServer] } },
        sources: [source],
      },
      client,
      store,
      handlers: () => inline,
      clock: systemClock,
      logger: createLogger({}, { ROCKETMQ_LOG_LEVEL: 'silent' }),
      random: Math.random,
      holder: randomUUID(),
      remainingMs: () => endsAt - Date.now(),
    },
    async close() {
      await client.close();
      dynamodb.destroy();
    },
  };
}
