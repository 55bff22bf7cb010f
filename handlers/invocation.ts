import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { clientPerCluster } from '../src/client/client-per-cluster.ts';
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { ConfigError } from '../src/errors.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import type { AssignmentStore } from '../src/ports/assignment-store.ts';
import type { Clock } from '../src/ports/clock.ts';
import type { Logger } from '../src/ports/logger.ts';
import type { RocketMQ } from '../src/ports/rocketmq.ts';
import { dynamoDBClient } from '../src/runtime/aws-clients.ts';
import { applyEnvironment, ENVIRONMENT, required } from '../src/runtime/environment.ts';
import { createLogger } from '../src/runtime/logger.ts';
import type { Secrets } from '../src/runtime/secrets.ts';
import { createSystemClock } from '../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../src/store/assignment-store.ts';

/** What both functions work with. */
interface Invocation {
  readonly service: ServiceConfig;
  readonly logger: Logger;
  readonly store: AssignmentStore;
  /** One client per cluster. */
  readonly clients: (cluster: string) => RocketMQ;
  readonly clock: Clock;
  readonly remainingMs: () => number;
}

/**
 * Opens what an invocation needs and closes it when the work has ended. Nothing outlives the invocation: a frozen environment
 * thaws with sockets that died meanwhile.
 */
export async function withInvocation<T>(
  name: string,
  bundled: ServiceConfig,
  context: Context,
  secrets: Secrets,
  work: (invocation: Invocation) => Promise<T>,
): Promise<T> {
  const logger = createLogger({
    service: bundled.service,
    function: name,
    requestId: context.awsRequestId,
  });
  const clock = createSystemClock();
  // Lambda counts by the wall clock: one that is set back would promise more time than there is.
  const endsAt = clock.now() + context.getRemainingTimeInMillis();
  const dynamodb = dynamoDBClient();
  let close = async (): Promise<void> => {};
  try {
    const service = applyEnvironment(bundled);
    const perCluster = clientPerCluster((cluster) => {
      const config = service.clusters[cluster];
      if (config === undefined)
        throw new ConfigError(
          `this deployment knows no cluster "${cluster}": deploy the service again`,
        );
      return createRocketMQClient(secrets.complete(cluster, config, logger), {
        clock,
        renewCredentials: () => secrets.renew(cluster, logger),
      });
    });
    close = perCluster.close;
    const store = createAssignmentStore(dynamodb, required(ENVIRONMENT.table), {
      keys: bundled,
      ...(bundled.earlierItems !== undefined && { earlierItems: bundled.earlierItems }),
      newToken: randomUUID,
    });
    return await work({
      service,
      logger,
      store,
      clients: perCluster.clients,
      clock,
      remainingMs: () => Math.min(context.getRemainingTimeInMillis(), endsAt - clock.now()),
    });
  } catch (error) {
    logger.error({ err: error }, `${name} failed`);
    throw error;
  } finally {
    await close();
    dynamodb.destroy();
  }
}
