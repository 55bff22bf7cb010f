import path from 'node:path';
import type { Json, Template } from '../infra/package-service.ts';
import { makeService, readTemplate, serverless, unpack } from '../infra/package-service.ts';
import { type LocalFunction, LocalLambda } from '../support/lambda/local-lambda.ts';
import { groupOf, MAX_RETRIES, type Order, topicOf } from './workload.ts';

export const COORDINATOR = 'faults-dev-rocketmqCoordinator';
export const PULLER = 'faults-dev-rocketmqPuller';
export const HANDLER = 'faults-dev-orders';
const FUNCTIONS = {
  orders: HANDLER,
  rocketmqCoordinator: COORDINATOR,
  rocketmqPuller: PULLER,
} as const;
/** Seconds. Short, so that pullers succeed each other during the run. */
const PULLER_TIMEOUT = 120;
const HANDLER_TIMEOUT = 6;

/** A service with one event per order, for one handler. */
function serverlessYml(orders: readonly Order[], nameServer: string): string {
  const events = orders.map((order) => {
    const ordered =
      order === 'none'
        ? 'parallelizationFactor: 2'
        : `order: ${order}, suspendCurrentQueueTimeMillis: 100${order === 'key' ? ', orderKey: KEYS, parallelizationFactor: 4' : ''}`;
    return `      - rocketmq: { consumerGroup: ${groupOf(order)}, topic: ${topicOf(order)}, batchSize: 20, maximumRetryAttempts: ${MAX_RETRIES}, ${ordered} }\n`;
  });
  return `service: faults
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["${nameServer}"] } }
    puller: { timeout: ${PULLER_TIMEOUT} }
functions:
  orders:
    handler: orders.handler
    timeout: ${HANDLER_TIMEOUT}
    events:
${events.join('')}`;
}

export interface PackagedService {
  readonly lambda: LocalLambda;
  stop(): Promise<void>;
}

/** Runs `serverless package` and starts what it packed, zip by zip, under the local Lambda. */
export async function startPackagedService(
  orders: readonly Order[],
  nameServer: string,
  environment: Readonly<Record<string, string>>,
  onLog: (functionName: string, line: string) => void,
): Promise<PackagedService> {
  const fixture = await makeService({
    'serverless.yml': serverlessYml(orders, nameServer),
    'orders.ts': `export { handler } from '${path.join(import.meta.dirname, 'handler.ts')}';\n`,
  });
  const removals: (() => Promise<void>)[] = [fixture.remove];
  const remove = async (): Promise<void> => {
    await Promise.all(removals.map((removal) => removal()));
  };
  try {
    const { code, output } = await serverless(fixture.directory, ['package']);
    if (code !== 0) throw new Error(`serverless package ended with ${code}: ${output}`);
    const template = await readTemplate(fixture.directory);
    const functions: Record<string, LocalFunction> = {};
    for (const [key, name] of Object.entries(FUNCTIONS)) {
      const task = await unpack(fixture.directory, key);
      removals.push(task.remove);
      const { Handler, Timeout, Environment } = propertiesOf(template, name);
      functions[name] = {
        handler: path.join(task.directory, Handler.replace('index.', 'index.mjs.')),
        timeout: Timeout,
        // The plugin deploys the puller so; a coordinator's next run is the schedule's.
        maximumRetryAttempts: 0,
        forgetPayloads: name === HANDLER,
        environment: {
          ...textsOf(Environment?.Variables ?? {}),
          ROCKETMQ_PULLER_FUNCTION: PULLER,
          ...environment,
        },
      };
    }
    const lambda = new LocalLambda(functions, { onLog });
    await lambda.start();
    return {
      lambda,
      async stop() {
        await lambda.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function propertiesOf(template: Template, functionName: string): Json {
  const resource = Object.values(template.Resources).find(
    ({ Type, Properties }) =>
      Type === 'AWS::Lambda::Function' && Properties.FunctionName === functionName,
  );
  if (resource === undefined) throw new Error(`the template has no function ${functionName}`);
  return resource.Properties;
}

/** What CloudFormation would fill in comes from the environment of the run. */
function textsOf(variables: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.entries(variables).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(texts) as Record<string, string>;
}
