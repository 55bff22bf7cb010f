import { randomUUID } from 'node:crypto';
import { clientPerCluster } from '../../src/client/client-per-cluster.ts';
import { networkProbe } from '../../src/client/network-probe.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { createLambdaHandler } from '../../src/delivery/lambda-handler.ts';
import type { ClusterConfig, ServiceConfig } from '../../src/model/source.ts';
import { OPERATOR_VERSION, runOperator } from '../../src/operator/run-operator.ts';
import {
  type AwsAccess,
  dynamoDBClient,
  handlerLambdaClient,
} from '../../src/runtime/aws-clients.ts';
import { applyEnvironment, ENVIRONMENT } from '../../src/runtime/environment.ts';
import { createHandlerCheck } from '../../src/runtime/handler-check.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { createSecrets } from '../../src/runtime/secrets.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { localTableAccess } from '../local-aws.ts';
import type { Operator } from './command.ts';

/** A command may take its time where no function ends; its steps are as long as in the function. */
const STEP_MS = 60_000;

/** Commands from here: the same code as in the function, on brokers and a table that this machine reaches. */
export async function localOperator(
  bundled: ServiceConfig,
  access: AwsAccess,
  table: string | undefined,
  nameServers: string | undefined,
): Promise<Operator> {
  const env = {
    ...process.env,
    ...(nameServers === undefined ? {} : { [ENVIRONMENT.nameServers]: nameServers }),
  };
  const service = applyEnvironment(bundled, env);
  const logger = createLogger({}, { ROCKETMQ_LOG_LEVEL: 'silent' });
  const secrets = createSecrets(service, systemClock, access);
  await secrets.middleware.before({ event: {} } as Parameters<typeof secrets.middleware.before>[0]);
  const dynamodb = dynamoDBClient(localTableAccess(access));
  const lambda = handlerLambdaClient(access);
  const { clients, close } = clientPerCluster((cluster) =>
    createRocketMQClient(
      secrets.complete(cluster, service.clusters[cluster] as ClusterConfig, logger),
      {
        clock: systemClock,
        renewCredentials: () => secrets.renew(cluster, logger),
      },
    ),
  );
  return {
    request(command, args) {
      const until = systemClock.now() + STEP_MS;
      const deps = {
        ...{ service, clients, clock: systemClock, probe: networkProbe, place: 'local' as const },
        store:
          table === undefined
            ? undefined
            : createAssignmentStore(dynamodb, table, { keys: service, newToken: randomUUID }),
        remainingMs: () => until - systemClock.now(),
        handlers: ({ functionName }: { functionName: string }) =>
          createLambdaHandler(lambda, functionName),
        checkHandler: createHandlerCheck(lambda),
      };
      return runOperator(deps, { version: OPERATOR_VERSION, command, args });
    },
    async close() {
      await close();
      dynamodb.destroy();
      lambda.destroy();
    },
  };
}
