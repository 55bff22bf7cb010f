import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { runCoordinator } from '../../src/coordinator/run-coordinator.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import { runMember } from '../../src/membership/run-member.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { PullerOptions, PullerReport } from '../../src/puller/puller-deps.ts';
import { runPuller } from '../../src/puller/run-puller.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { TABLE, TENANT } from './databases.ts';

export interface DeploymentSettings {
  readonly service?: string;
  readonly dynamodb: DynamoDBClient;
  readonly tableName?: string;
  readonly nameServers: readonly string[];
  readonly addressMap?: Readonly<Record<string, string>>;
  readonly source: SourceConfig;
  readonly handler: (event: RocketMQEvent) => unknown;
  readonly options?: Partial<PullerOptions>;
  /** How long a puller invocation lives. */
  readonly invocationMs?: number;
  readonly logger: Logger;
}

/**
 * A deployed service in this process: its coordinator is started again and again, its pullers and members are invocations with a client of
 * their own, as in Lambda.
 */
export function deploy(settings: DeploymentSettings) {
  const { source, logger, nameServers, addressMap = {}, invocationMs = 280_000 } = settings;
  const service = {
    service: settings.service ?? 'shop',
    stage: 'dev',
    clusters: { default: { nameServers } },
    sources: [source],
  };
  const store = createAssignmentStore(settings.dynamodb, settings.tableName ?? TABLE, {
    keys: TENANT,
    newToken: randomUUID,
  });
  const handler = createInlineHandler(settings.handler, () => ({}) as Context);
  const stop = new AbortController();
  const schedule = new AbortController();
  const clients = new Set<RocketMQClient>();
  const invocations: Promise<PullerReport>[] = [];
  const problems = new Set<string>();
  const connect = (): RocketMQClient => {
    const client = createRocketMQClient({ nameServers, addressMap });
    clients.add(client);
    return client;
  };
  const hangUp = async (client: RocketMQClient): Promise<void> => {
    clients.delete(client);
    await client.close();
  };
  const common = { service, store, clock: systemClock, logger, signal: stop.signal };
  const invoker = {
    invoke: async (request: Parameters<typeof runPuller>[0]) => {
      const client = connect();
      const endsAt = Date.now() + invocationMs;
      const deps = {
        ...common,
        client,
        handlers: () => handler,
        random: Math.random,
        holder: randomUUID(),
        remainingMs: () => endsAt - Date.now(),
        options: settings.options ?? {},
      };
      invocations.push(
        (request.asMember === true ? runMember : runPuller)(request, deps).finally(() =>
          hangUp(client),
        ),
      );
    },
  };
  const coordinating = (async () => {
    const signal = AbortSignal.any([stop.signal, schedule.signal]);
    while (!signal.aborted) {
      const client = connect();
      const endsAt = Date.now() + 60_000;
      const { groups } = await runCoordinator({
        ...common,
        signal,
        clients: () => client,
        invoker,
        remainingMs: () => endsAt - Date.now(),
      });
      for (const { code } of groups.flatMap((group) => group.problems)) problems.add(code);
      await hangUp(client);
    }
  })();
  return {
    store,
    invocations,
    problems,
    assignments: () => store.list({ cluster: source.cluster, consumerGroup: source.consumerGroup }),
    /** Another deployment takes its place: its coordinator is not started any more, its pullers go on with what they have. */
    async replaced(): Promise<void> {
      schedule.abort();
      await coordinating;
    },
    /** Drains everything. */
    async end(): Promise<PullerReport[]> {
      stop.abort();
      await coordinating;
      return Promise.all(invocations);
    },
  };
}
