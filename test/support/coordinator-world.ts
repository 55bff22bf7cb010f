import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { CoordinatorDeps } from '../../src/coordinator/coordinator-deps.ts';
import {
  type CoordinatorReport,
  type GroupReport,
  runCoordinator,
} from '../../src/coordinator/run-coordinator.ts';
import { compareQueues } from '../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { PullerRequest } from '../../src/ports/invoke.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import {
  type EmbeddedRocketMQ,
  type EmbeddedRocketMQOptions,
  startEmbeddedRocketMQ,
} from '../../src/testing/index.ts';
import { connect, TABLE, TENANT } from './databases.ts';
import { startDynalite } from './dynalite.ts';

/** A clock that runs `speed` times as fast, so that a run of 55 s takes a second or two. */
export function fastClock(speed: number): Clock {
  const start = Date.now();
  return {
    now: () => Math.round(start + (Date.now() - start) * speed),
    async sleep(ms, signal) {
      await sleep(ms / speed, undefined, signal === undefined ? {} : { signal });
    },
  };
}

const quiet = () => {};
export const silentLogger: Logger = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  child: () => silentLogger,
};

export function subscription(
  topic: string,
  settings: Partial<SubscriptionConfig> = {},
): SubscriptionConfig {
  return {
    topic,
    filter: { type: 'TAG', expression: '*' },
    handler: { invocation: 'inline', functionKey: 'handler', functionName: 'handler', timeout: 10 },
    batchSize: 10,
    parallelizationFactor: 1,
    startingPosition: 'TRIM_HORIZON',
    maximumRetryAttempts: 16,
    enabled: true,
    ...settings,
  };
}

export function source(
  subscriptions: readonly SubscriptionConfig[],
  settings: Partial<SourceConfig> = {},
): SourceConfig {
  return {
    cluster: 'default',
    consumerGroup: 'workers',
    strategy: { name: 'AVG' },
    pullers: 'queue',
    subscriptions,
    ...settings,
  };
}

/** Embedded RocketMQ, dynalite, a client, and a coordinator whose invocations are only recorded. */
export async function createWorld(options: EmbeddedRocketMQOptions = {}, speed = 20) {
  const broker: EmbeddedRocketMQ = await startEmbeddedRocketMQ({
    autoCreateTopic: false,
    longPollTickMs: 200,
    ...options,
  });
  const database = await startDynalite();
  const dynamodb: DynamoDBClient = await connect(database.endpoint);
  const client = createRocketMQClient({ nameServers: broker.nameServers });
  const store = createAssignmentStore(dynamodb, TABLE, { keys: TENANT, newToken: randomUUID });
  const clock = fastClock(speed);
  const invocations: (PullerRequest & { readonly at: number })[] = [];
  const group = { cluster: 'default', consumerGroup: 'workers' };

  const run = async (
    sources: readonly SourceConfig[],
    deps: Partial<CoordinatorDeps> = {},
  ): Promise<CoordinatorReport> => {
    let asked = 0;
    return runCoordinator({
      service: {
        service: 'shop',
        stage: 'dev',
        clusters: { default: { nameServers: broker.nameServers } },
        sources,
      },
      clients: () => client,
      store,
      invoker: {
        async invoke(request) {
          invocations.push({ ...request, at: Date.now() });
        },
      },
      clock,
      logger: silentLogger,
      // A run of a second; a pass that a loaded machine makes slow still gets its end.
      remainingMs: () => (asked++ === 0 ? 6_000 : 60_000),
      ...deps,
    });
  };

  return {
    broker,
    client: client as RocketMQ,
    store,
    dynamodb,
    clock,
    group,
    invocations,
    /** One pass: a run of one second, and time enough to end it. */
    async pass(of: SourceConfig, deps: Partial<CoordinatorDeps> = {}): Promise<GroupReport> {
      const report = await run([of], deps);
      return report.groups[0] as GroupReport;
    },
    run,
    async items() {
      return (await store.list(group)).sort((a, b) => compareQueues(a.queue, b.queue));
    },
    async send(topic: string, queueId: number, count = 1, brokerName = 'broker-a'): Promise<void> {
      for (let i = 0; i < count; i++)
        await client.send(
          { topic, body: Buffer.from(`${topic}-${i}`) },
          { queue: { topic, brokerName, queueId } },
        );
    },
    async stop(): Promise<void> {
      await client.close();
      dynamodb.destroy();
      await database.stop();
      await broker.stop();
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;
