import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, type InvokeCommandInput, LambdaClient } from '@aws-sdk/client-lambda';
import type { ServiceConfig } from '../src/model/source.ts';
import type { AssignmentStore } from '../src/ports/assignment-store.ts';
import { ENVIRONMENT } from '../src/runtime/environment.ts';
import { withRunToken } from '../src/runtime/puller-invoker.ts';
import { createAssignmentStore } from '../src/store/assignment-store.ts';
import { ensureTable } from '../src/store/table.ts';
import { startLocalDynamoDB, startLocalRocketMQ } from './embedded-parts.ts';
import { isLoopback, LOCAL_CREDENTIALS } from './local-aws.ts';
import { openConsole } from './local-console.ts';
import { guardPort } from './local-guard.ts';
import { COORDINATOR, localTableName, PULLER } from './resources/names.ts';
import { OPERATORS } from './resources/operator.ts';
import type { Log, Serverless } from './serverless-api.ts';

/** Printed when the coordinator runs and handlers can be called. */
export const READY_LINE = 'rocketmq: ready';
export const CONSOLE_LINE = 'rocketmq: console at';
const DRAIN_LIMIT_MS = 25_000;
const DRAIN_LOOK_MS = 200;
/** Outlives the end of the process by little, so that the next run finds no pause. */
const LAST_PAUSE_MS = 3000;
const COORDINATOR_PAUSE_MS = 1000;
const REACH_ATTEMPTS = 100;
const REACH_PAUSE_MS = 200;
/** Pullers notice a pause at a renewal: at a laptop, draining should take a moment and not ten seconds. */
const LOCAL_RENEW_INTERVAL_MS = 1000;

/** The event sources of a service under `serverless offline`. */
export interface LocalRun {
  /** What the functions are bundled with. */
  readonly config: ServiceConfig;
  /** Makes the table and keeps a coordinator running: offline's own schedules fire at whole minutes only. */
  start(): Promise<void>;
  /** Pauses every queue, so that holders finish their batches, commit and release; returns when no lease is left, or after 25 s. */
  drain(): Promise<void>;
}

/**
 * Starts what is not given (RocketMQ without ROCKETMQ_NAME_SERVERS, DynamoDB without AWS_ENDPOINT_URL_DYNAMODB or ROCKETMQ_TABLE), gives the added
 * functions an environment that needs no CloudFormation, and opens the console. A cluster that serverless.yml names is never asked: its messages
 * are not for a laptop.
 * @throws ConfigError when there is no DynamoDB to be had
 */
export async function prepareLocalRun(
  serverless: Serverless,
  deployed: ServiceConfig,
  log: Log,
  env: NodeJS.ProcessEnv = process.env,
): Promise<LocalRun> {
  const given = env.AWS_ENDPOINT_URL_DYNAMODB ?? env.AWS_ENDPOINT_URL;
  const embeddedDynamoDB =
    given === undefined && env[ENVIRONMENT.table] === undefined
      ? await startLocalDynamoDB()
      : undefined;
  const dynamodb = given ?? embeddedDynamoDB?.endpoint;
  const embeddedRocketMQ = env[ENVIRONMENT.nameServers]
    ? undefined
    : await startLocalRocketMQ(deployed);
  const config = embeddedRocketMQ?.config ?? deployed;
  const isLocal = isLoopback(dynamodb);
  const table = env[ENVIRONMENT.table] ?? localTableName(config.service, config.stage);
  const lambda = lambdaEndpoint(serverless);
  // serverless-offline's Lambda port allows every origin and every host name.
  const endGuard = guardPort(lambda.port, lambda.host);
  const { functions } = serverless.service;
  // With --local, commands need none; whoever reaches the port would operate the service.
  for (const key of OPERATORS) delete functions[key];
  const coordinatorName = functions[COORDINATOR]!.name!;
  const passedOn = Object.fromEntries(
    Object.values(ENVIRONMENT).flatMap((name) =>
      env[name] === undefined ? [] : [[name, env[name]]],
    ),
  );
  const tableClient = (): DynamoDBClient =>
    new DynamoDBClient({
      region: serverless.getProvider('aws').getRegion(),
      ...(dynamodb === undefined ? {} : { endpoint: dynamodb }),
      ...(isLocal ? { credentials: LOCAL_CREDENTIALS } : {}),
    });
  const runToken = randomUUID();
  const page = await openConsole(config, tableClient(), table);
  const environment = {
    [ENVIRONMENT.consoleMetrics]: page.metricsUrl,
    [ENVIRONMENT.renewInterval]: String(LOCAL_RENEW_INTERVAL_MS),
    ...passedOn,
    [ENVIRONMENT.table]: table,
    [ENVIRONMENT.runToken]: runToken,
    ...(embeddedDynamoDB === undefined
      ? {}
      : { AWS_ENDPOINT_URL_DYNAMODB: embeddedDynamoDB.endpoint }),
    [ENVIRONMENT.pullerFunction]: functions[PULLER]!.name,
    AWS_ENDPOINT_URL_LAMBDA: lambda.url,
    // Nothing local asks who calls, but the SDK wants to sign.
    ...(isLocal && env.AWS_ACCESS_KEY_ID === undefined
      ? {
          AWS_ACCESS_KEY_ID: LOCAL_CREDENTIALS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: LOCAL_CREDENTIALS.secretAccessKey,
        }
      : {}),
  };
  for (const key of [COORDINATOR, PULLER])
    functions[key]!.environment = { ...functions[key]!.environment, ...environment };
  const region = serverless.getProvider('aws').getRegion();
  const ending = new AbortController();
  let looping: Promise<void> | undefined;
  return {
    config,
    async start() {
      if (embeddedRocketMQ !== undefined)
        log.notice(
          `rocketmq: embedded RocketMQ at ${embeddedRocketMQ.nameServers.join(';')} (ROCKETMQ_NAME_SERVERS chooses another)`,
        );
      if (isLocal) {
        const client = tableClient();
        await ensureTable(client, table);
        client.destroy();
      }
      await untilReachable(lambda.url);
      looping = keepCoordinating(
        new LambdaClient({
          region,
          endpoint: lambda.url,
          credentials: LOCAL_CREDENTIALS,
          maxAttempts: 1,
        }),
        { FunctionName: coordinatorName, Payload: JSON.stringify(withRunToken({}, runToken)) },
        log,
        ending.signal,
      );
      log.notice(`${CONSOLE_LINE} ${page.url}`);
      const settings = [
        ...(embeddedRocketMQ === undefined
          ? []
          : [`ROCKETMQ_NAME_SERVERS='${embeddedRocketMQ.nameServers.join(';')}'`]),
        ...(embeddedDynamoDB === undefined
          ? []
          : [`AWS_ENDPOINT_URL_DYNAMODB=${embeddedDynamoDB.endpoint}`]),
      ];
      // Whoever chose both knows them.
      if (settings.length > 0)
        log.notice(
          `rocketmq: commands: ${settings.join(' ')} npx serverless rocketmq status --local`,
        );
      log.notice(
        `${READY_LINE}: ${config.sources.map((source) => `${source.consumerGroup} takes ${source.subscriptions.map(({ topic }) => topic).join(', ')}`).join('; ')}`,
      );
    },
    async drain() {
      ending.abort();
      await looping;
      const client = tableClient();
      const held = await drainQueues(
        createAssignmentStore(client, table, { keys: config, newToken: randomUUID }),
        config,
      );
      client.destroy();
      await page.stop();
      await embeddedRocketMQ?.stop();
      await embeddedDynamoDB?.stop();
      endGuard();
      if (held === 0) log.notice('rocketmq: drained, every lease is released');
      else
        log.warning(
          `rocketmq: ${held} queues were still held after ${DRAIN_LIMIT_MS / 1000} s; what was in flight comes again when their leases have ended`,
        );
    },
  };
}

/** With plain `serverless offline` the Lambda endpoint opens after the plugin's hook. */
async function untilReachable(url: string): Promise<void> {
  for (let attempt = 0; attempt < REACH_ATTEMPTS; attempt++) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await sleep(REACH_PAUSE_MS);
  }
}

async function keepCoordinating(
  client: LambdaClient,
  request: InvokeCommandInput,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const answer = await client.send(new InvokeCommand(request), {
        abortSignal: signal,
      });
      if (answer.FunctionError !== undefined)
        log.error(
          `rocketmq: the coordinator failed: ${Buffer.from(answer.Payload ?? []).toString()}`,
        );
    } catch (error) {
      if (!signal.aborted) log.error(`rocketmq: the coordinator was not started: ${String(error)}`);
    }
    await sleep(COORDINATOR_PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  client.destroy();
}

/** @returns how many queues are held still */
async function drainQueues(store: AssignmentStore, config: ServiceConfig): Promise<number> {
  const giveUpAt = Date.now() + DRAIN_LIMIT_MS;
  for (;;) {
    const now = Date.now();
    const queues = (
      await Promise.all(
        config.sources.map((group) =>
          store.list(group).then((list) => list.map((assignment) => ({ group, assignment }))),
        ),
      )
    ).flat();
    const held = queues.filter(
      ({ assignment: { lease } }) => lease !== undefined && lease.leaseUntil > now,
    ).length;
    const done = held === 0 || now >= giveUpAt;
    const until = now + (done ? LAST_PAUSE_MS : DRAIN_LIMIT_MS);
    // A coordinator that still runs may make new items: every look pauses what is not paused yet.
    const targets = done
      ? queues
      : queues.filter(({ assignment }) => (assignment.pausedUntil ?? 0) <= now + LAST_PAUSE_MS);
    await Promise.all(
      targets.map(({ group, assignment }) => store.setPaused(group, assignment.queue, until)),
    );
    if (done) return held;
    await sleep(DRAIN_LOOK_MS);
  }
}

function lambdaEndpoint(serverless: Serverless): { url: string; host: string; port: number } {
  const custom = serverless.service.custom?.['serverless-offline'] as
    | { lambdaPort?: number; host?: string }
    | undefined;
  const { lambdaPort, host } = {
    lambdaPort: 3002,
    host: 'localhost',
    ...custom,
    ...serverless.processedInput.options,
  };
  const url = `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${lambdaPort}`;
  return { url, host, port: Number(lambdaPort) };
}
