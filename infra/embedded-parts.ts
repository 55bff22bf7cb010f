import type { AddressInfo } from 'node:net';
import { ConfigError } from '../src/errors.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { startEmbeddedRocketMQ } from '../src/testing/index.ts';
import { guardServer } from './local-guard.ts';

const QUEUES = 4;
/** Short waits between redeliveries, so that a failure shows its whole story at once. Level 3 is the first. */
const QUICK_DELAY_LEVELS = '1s 1s 1s 1s 2s 2s 3s 3s 4s 4s 5s 5s 6s 6s 7s 7s 8s 8s';

export interface EmbeddedPart {
  stop(): Promise<void>;
}

/** A RocketMQ in this process with the topics of the service's events. Every cluster of the service is this one. */
export async function startLocalRocketMQ(
  config: ServiceConfig,
): Promise<
  EmbeddedPart & { readonly config: ServiceConfig; readonly nameServers: readonly string[] }
> {
  const embedded = await startEmbeddedRocketMQ({ messageDelayLevel: QUICK_DELAY_LEVELS });
  const { nameServers } = embedded;
  for (const { cluster, subscriptions } of config.sources) {
    const namespace = config.clusters[cluster]?.namespace;
    for (const { topic } of subscriptions)
      embedded.createTopic(namespace === undefined ? topic : `${namespace}%${topic}`, {
        queues: QUEUES,
      });
  }
  // Their credentials and certificates are for brokers that are not asked here.
  const clusters = Object.entries(config.clusters).map(([name, { namespace }]) => [
    name,
    { nameServers, ...(namespace === undefined ? {} : { namespace }) },
  ]);
  return {
    nameServers,
    config: { ...config, clusters: Object.fromEntries(clusters) as ServiceConfig['clusters'] },
    stop: () => embedded.stop(),
  };
}

/**
 * A DynamoDB in this process.
 * @throws ConfigError when dynalite, which a service in production has no use for, is not installed
 */
export async function startLocalDynamoDB(): Promise<EmbeddedPart & { readonly endpoint: string }> {
  const { default: dynalite } = await import('dynalite').catch((cause: unknown) => {
    throw new ConfigError(
      'serverless offline needs a DynamoDB for the assignments: npm install --save-dev dynalite brings an embedded one; or set AWS_ENDPOINT_URL_DYNAMODB to one that runs, or ROCKETMQ_TABLE to the name of a deployed table',
      { cause },
    );
  });
  const server = dynalite({ createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 });
  // It answers every origin.
  guardServer(server);
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(0, '127.0.0.1', () => resolve()),
  );
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
