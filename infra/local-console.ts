import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { clientPerCluster } from '../src/client/client-per-cluster.ts';
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { type LocalConsole, startConsole } from '../src/console/start-console.ts';
import { ConfigError } from '../src/errors.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { applyEnvironment } from '../src/runtime/environment.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../src/store/assignment-store.ts';

/** Where the console is looked for; busy: another free port. */
const PORT = 9878;

/** The web console over what a local run works with: its table and its brokers. Ends with it. */
export async function openConsole(
  bundled: ServiceConfig,
  dynamodb: DynamoDBClient,
  table: string,
): Promise<LocalConsole> {
  const service = applyEnvironment(bundled);
  const { clients, close } = clientPerCluster((cluster) => {
    const config = service.clusters[cluster];
    if (config === undefined) throw new ConfigError(`the service has no cluster "${cluster}"`);
    return createRocketMQClient(config, { clock: systemClock });
  });
  const page = await startConsole({
    service,
    store: createAssignmentStore(dynamodb, table, { keys: service, newToken: randomUUID }),
    clock: systemClock,
    port: PORT,
    clients,
  });
  return {
    ...page,
    async stop() {
      await page.stop();
      await close();
      dynamodb.destroy();
    },
  };
}
