import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { type LocalConsole, startConsole } from '../src/console/start-console.ts';
import { ConfigError } from '../src/errors.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import type { RocketMQ } from '../src/ports/rocketmq.ts';
import { applyEnvironment } from '../src/runtime/environment.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../src/store/assignment-store.ts';

/** Where the console is looked for; busy: another free port. */
const PORT = 9878;

/** The web console over what a local run works with: its table and its brokers. Ends with it. */
export async function openConsole(bundled: ServiceConfig, dynamodb: DynamoDBClient, table: string): Promise<LocalConsole> {
  const service = applyEnvironment(bundled);
  const opened = new Map<string, RocketMQ>();
  const page = await startConsole({
    service,
    store: createAssignmentStore(dynamodb, table, { newToken: randomUUID }),
    clock: systemClock,
    port: PORT,
    clients: (cluster) => {
      const config = service.clusters[cluster];
      if (config === undefined) throw new ConfigError(`the service has no cluster "${cluster}"`);
      const client = opened.get(cluster) ?? createRocketMQClient(config, { clock: systemClock });
      opened.set(cluster, client);
      return client;
    },
  });
  return {
    ...page,
    async stop() {
      await page.stop();
      await Promise.allSettled([...opened.values()].map((client) => client.close()));
      dynamodb.destroy();
    },
  };
}
