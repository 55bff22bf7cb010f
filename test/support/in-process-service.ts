import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import type { RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { runCoordinator } from '../../src/coordinator/run-coordinator.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import { runLimited } from '../../src/membership/run-limited.ts';
import type { Assignment } from '../../src/model/assignment.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import type { BodyStore } from '../../src/ports/body-store.ts';
import type { PullerRequest } from '../../src/ports/invoke.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { Meter } from '../../src/ports/meter.ts';
import type { InlineTurns } from '../../src/puller/inline-turns.ts';
import type { PullerOptions, PullerReport } from '../../src/puller/puller-deps.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import type { Tenant } from '../../src/store/tenant.ts';
import { silentLogger } from './coordinator-world.ts';
import { TABLE, TENANT } from './databases.ts';

/** Longer than any test. */
const INVOCATION_MS = 280_000;

/** A service whose coordinator and pullers run in this process, against a real broker and table. */
export interface InProcessService {
  /** Invocations so far, in their order. */
  readonly requests: readonly PullerRequest[];
  readonly pullers: readonly Promise<PullerReport>[];
  assignments(): Promise<Assignment[]>;
  /** Drains everything; the coordinator's run ends, too. May be called again. */
  end(): Promise<PullerReport[]>;
}

export function startInProcess(settings: {
  readonly client: RocketMQClient;
  readonly dynamodb: DynamoDBClient;
  readonly nameServer: string;
  readonly source: SourceConfig;
  readonly handler: (event: RocketMQEvent) => unknown;
  readonly options?: Partial<PullerOptions>;
  readonly meter?: Meter;
  readonly logger?: Logger;
  readonly bodies?: BodyStore;
  readonly inlineTurns?: InlineTurns;
  readonly tenant?: Tenant;
}): InProcessService {
  const { client, source, nameServer, logger = silentLogger, tenant = TENANT } = settings;
  const service = {
    ...tenant,
    clusters: { default: { nameServers: [nameServer] } },
    sources: [source],
  };
  const store = createAssignmentStore(settings.dynamodb, TABLE, {
    keys: tenant,
    newToken: randomUUID,
  });
  const handler = createInlineHandler(settings.handler, () => ({}) as Context);
  const stop = new AbortController();
  const endsAt = Date.now() + INVOCATION_MS;
  const requests: PullerRequest[] = [];
  const pullers: Promise<PullerReport>[] = [];
  const common = {
    service,
    store,
    clock: systemClock,
    logger,
    signal: stop.signal,
    remainingMs: () => endsAt - Date.now(),
  };
  const invoker = {
    invoke: async (request: PullerRequest) => {
      requests.push(request);
      const { options = {}, bodies, meter, inlineTurns } = settings;
      const own = {
        client,
        handlers: () => handler,
        random: Math.random,
        holder: randomUUID(),
        options,
      };
      pullers.push(
        runLimited(request, {
          ...common,
          ...own,
          ...(bodies && { bodies }),
          ...(meter && { meter }),
          ...(inlineTurns && { inlineTurns }),
        }),
      );
    },
  };
  const coordinating = coordinate();
  // The schedule starts one run after the other.
  async function coordinate(): Promise<void> {
    while (!stop.signal.aborted)
      await runCoordinator({ ...common, clients: () => client, invoker });
  }
  return {
    requests,
    pullers,
    assignments: () => store.list({ cluster: source.cluster, consumerGroup: source.consumerGroup }),
    async end() {
      stop.abort();
      await coordinating;
      return Promise.all(pullers);
    },
  };
}
