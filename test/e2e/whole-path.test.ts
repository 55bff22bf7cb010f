import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { ensureTable } from '../../src/store/table.ts';
import { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import { jsonLines, mqadmin, runJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { type DeployedService, deployService } from './whole-path/deployed-service.ts';
import { Observer } from './whole-path/observer.ts';
import { alwaysFailing, MAXIMUM_RETRY_ATTEMPTS, TOTAL } from './whole-path/workload.ts';

const TOPIC = 'orders';
const GROUP = 'order-workers';
const TABLE = 'assignments';
const QUEUES = 8;
const PULLER_TIMEOUT = 60;
const HANDLER_TIMEOUT = 5;
const COORDINATOR_EVERY_MS = 20_000;
const PATIENCE_MS = 300_000;
const LOCAL = {
  region: 'eu-west-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
};

describe('from produced messages to committed offsets, on a real broker', {
  skip: missingStack('rocketmq', 'dynamodb'),
}, () => {
  let rocketmq: RealRocketMQ;
  let dynamodb: Awaited<ReturnType<typeof startDynamoDBLocal>>;
  let service: DeployedService;
  let client: RocketMQClient;
  let table: DynamoDBClient;
  const observer = new Observer();
  const logs: string[] = [];

  before(async () => {
    [rocketmq, dynamodb] = await Promise.all([
      startRealRocketMQ({
        messageDelayLevel: '1s 1s 1s 2s 2s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s',
      }),
      startDynamoDBLocal(),
    ]);
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    await client.createTopic(TOPIC, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
    table = new DynamoDBClient({ ...LOCAL, endpoint: dynamodb.endpoint });
    await ensureTable(table, TABLE);
    await observer.start();
    const environment = {
      ROCKETMQ_TABLE: TABLE,
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
      COLLECTOR_URL: observer.url,
      ROCKETMQ_RENEW_INTERVAL_MS: '3000',
    };
    service = await deployService(
      configuration(rocketmq.nameServer),
      environment,
      { puller: PULLER_TIMEOUT, handler: HANDLER_TIMEOUT },
      (name, line) => logs.push(`${name} ${line}`),
    );
  });

  after(async () => {
    await service?.stop();
    await observer.stop();
    await client?.close();
    table?.destroy();
    await Promise.all([rocketmq?.stop(), dynamodb?.stop()]);
  });

  test('20,000 messages survive failing, throwing, hanging and dying handlers, killed pullers and coordinators, and a broker restart', async () => {
    const ending = new AbortController();
    await runJava('Produce', [rocketmq.nameServer, TOPIC, String(TOTAL), '256', '32']);
    const loops = [
      keepCoordinating(service, ending.signal),
      keepLooking(client, observer, ending.signal),
      makeTrouble(service, rocketmq, observer, ending.signal),
    ];
    const expected = TOTAL - alwaysFailing().length;
    try {
      await until(
        async () => observer.finished.size === expected && (await everythingCommitted(client)),
        () => progress(observer, logs),
      );
    } finally {
      ending.abort();
    }
    await Promise.all(loops);

    assert.equal(observer.finished.size, expected, 'every message that can succeed was finished');
    const dead = jsonLines<{ seq: string }>(
      await runJava('ReadTopic', [rocketmq.nameServer, `%DLQ%${GROUP}`]),
    );
    assert.deepEqual(
      [...new Set(dead.map(({ seq }) => Number(seq)))].sort((a, b) => a - b),
      alwaysFailing(),
      'the DLQ holds the always failing ones and no other',
    );
    assert.deepEqual(
      observer.deliveriesAfterCommit(),
      [],
      'nothing that was committed is delivered again',
    );
    const consumerProgress = await mqadmin(rocketmq.nameServer, ['consumerProgress', '-g', GROUP]);
    assert.match(consumerProgress, /Diff Total: 0\b/, 'mqadmin sees no lag');
    const store = createAssignmentStore(table, TABLE, {
      keys: { service: 'e2e', stage: 'test' },
      newToken: randomUUID,
    });
    assert.equal(
      (await store.list({ cluster: 'default', consumerGroup: GROUP })).length,
      QUEUES + 1,
    );
  });
});

function configuration(nameServer: string): ServiceConfig {
  return {
    service: 'e2e',
    stage: 'test',
    clusters: { default: { nameServers: [nameServer] } },
    sources: [
      {
        cluster: 'default',
        consumerGroup: GROUP,
        strategy: { name: 'AVG' },
        pullers: 'queue',
        subscriptions: [
          {
            topic: TOPIC,
            filter: { type: 'TAG', expression: '*' },
            handler: {
              invocation: 'function',
              functionKey: 'handler',
              functionName: 'handler',
              timeout: HANDLER_TIMEOUT,
            },
            batchSize: 50,
            parallelizationFactor: 2,
            startingPosition: 'TRIM_HORIZON',
            maximumRetryAttempts: MAXIMUM_RETRY_ATTEMPTS,
            enabled: true,
          },
        ],
      },
    ],
  };
}

/** The schedule: a new coordinator every 20 s, while the ones before may still run. */
async function keepCoordinating(service: DeployedService, signal: AbortSignal): Promise<void> {
  const lambda = new LambdaClient({ ...LOCAL, endpoint: service.lambda.endpoint });
  while (!signal.aborted) {
    await lambda.send(
      new InvokeCommand({ FunctionName: 'coordinator', InvocationType: 'Event', Payload: '{}' }),
    );
    await sleep(COORDINATOR_EVERY_MS, undefined, { signal }).catch(() => {});
  }
  lambda.destroy();
}

async function queuesOf(client: RocketMQClient): Promise<MessageQueue[]> {
  const routes = await Promise.all(
    [TOPIC, retryTopic(GROUP)].map((topic) => client.topicRoute(topic).catch(() => undefined)),
  );
  return routes.flatMap((route) => (route === undefined ? [] : readableQueues(route)));
}

async function keepLooking(
  client: RocketMQClient,
  observer: Observer,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // The broker is away for a while: what cannot be seen is not claimed.
    for (const queue of await queuesOf(client).catch(() => []))
      await observer.look(client, GROUP, queue).catch(() => {});
    await sleep(300);
  }
}

async function everythingCommitted(client: RocketMQClient): Promise<boolean> {
  const queues = await queuesOf(client);
  const lags = await Promise.all(
    queues.map(
      async (queue) =>
        (await client.maxOffset(queue)) - ((await client.queryOffset(GROUP, queue)) ?? -1n),
    ),
  );
  return queues.some(({ topic }) => topic === retryTopic(GROUP)) && lags.every((lag) => lag === 0n);
}

/** A puller dies with a batch in flight, then a coordinator, then the broker is restarted. */
async function makeTrouble(
  service: DeployedService,
  rocketmq: RealRocketMQ,
  observer: Observer,
  signal: AbortSignal,
): Promise<void> {
  const { lambda } = service;
  await reached(observer, TOTAL * 0.1, signal);
  const busy = lambda.running('handler').length > 0 ? lambda.running('puller')[0] : undefined;
  assert.ok(
    busy !== undefined && lambda.killInvocation(busy.requestId),
    'a puller is killed while handlers run',
  );
  await reached(observer, TOTAL * 0.25, signal);
  const coordinator = lambda.running('coordinator')[0];
  assert.ok(
    coordinator !== undefined && lambda.killInvocation(coordinator.requestId),
    'a running coordinator is killed',
  );
  await reached(observer, TOTAL * 0.4, signal);
  await rocketmq.restartBroker('broker-a', 'SIGTERM');
}

async function reached(observer: Observer, count: number, signal: AbortSignal): Promise<void> {
  while (observer.finished.size < count) {
    if (signal.aborted)
      throw new Error(
        `only ${observer.finished.size} of ${count} messages were finished when the test ended`,
      );
    await sleep(5);
  }
}

async function until(
  condition: () => Promise<boolean>,
  describeState: () => string,
): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > giveUpAt)
      throw new Error(`not reached within ${PATIENCE_MS} ms: ${describeState()}`);
    await sleep(500);
  }
}

function progress(observer: Observer, logs: readonly string[]): string {
  return `${observer.finished.size} finished; last log lines:\n${logs.slice(-40).join('\n')}`;
}
