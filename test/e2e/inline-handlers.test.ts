import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { startLocalDynamoDB } from '../../infra/embedded-parts.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { toServiceConfig } from '../../src/config/service-config.ts';
import { ensureTable } from '../../src/store/table.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { traceIdOf } from '../support/lambda/local-lambda.ts';
import { until } from '../support/until.ts';
import type { Call } from './inline/handlers.ts';
import { type DeployedService, deployService } from './whole-path/deployed-service.ts';

const TABLE = 'assignments';
const QUEUES = 4;
const MESSAGES = 120;
const TIMEOUT = 20;
const INLINE_CONCURRENCY = 3;
const EVENTS = {
  shared: {},
  keyed: { order: 'key' },
  roomy: { inlineConcurrency: INLINE_CONCURRENCY, parallelizationFactor: INLINE_CONCURRENCY },
} as const;
type Name = keyof typeof EVENTS;
const NAMES = Object.keys(EVENTS) as Name[];

/** As serverless.yml would have them: each its own group and topic, all queues of a group in one puller. */
function configuration(nameServers: readonly string[]) {
  return toServiceConfig({
    service: 'shop',
    stage: 'dev',
    custom: {
      clusters: { default: { nameServers } },
      groups: Object.fromEntries(NAMES.map((name) => [name, { pullers: 1 }])),
    },
    functions: Object.fromEntries(
      NAMES.map((name) => [
        name,
        {
          name: `shop-dev-${name}`,
          timeout: TIMEOUT,
          events: [
            {
              rocketmq: {
                consumerGroup: name,
                topic: name,
                batchSize: 5,
                invocation: 'inline',
                ...EVENTS[name],
              },
            },
          ],
        },
      ]),
    ),
  }).config;
}

describe('inline handlers in the packaged puller', () => {
  let rocketmq: EmbeddedRocketMQ;
  let dynamodb: Awaited<ReturnType<typeof startLocalDynamoDB>>;
  let service: DeployedService;
  const calls: Call[] = [];
  const logs: string[] = [];
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      calls.push(JSON.parse(Buffer.concat(chunks).toString()));
      response.end();
    });
  });

  before(async () => {
    rocketmq = await startEmbeddedRocketMQ();
    dynamodb = await startLocalDynamoDB();
    const { endpoint } = dynamodb;
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    const table = new DynamoDBClient({ region: 'eu-west-1', endpoint, credentials });
    await ensureTable(table, TABLE);
    table.destroy();
    const client = createRocketMQClient({ nameServers: rocketmq.nameServers });
    for (const topic of NAMES) {
      rocketmq.createTopic(topic, { queues: QUEUES });
      for (let n = 0; n < MESSAGES; n++) {
        const properties = { __SHARDINGKEY: `key ${n % 20}` };
        const queue = { topic, brokerName: rocketmq.brokers[0]?.name ?? '', queueId: n % QUEUES };
        await client.send({ topic, body: Buffer.from(String(n)), properties }, { queue });
      }
    }
    await client.close();
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    service = await deployService(
      configuration(rocketmq.nameServers),
      {
        ROCKETMQ_TABLE: TABLE,
        AWS_ENDPOINT_URL_DYNAMODB: endpoint,
        COLLECTOR_URL: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        OWN: 'of its function',
      },
      { puller: 60, handler: TIMEOUT },
      (name, line) => logs.push(`${name} ${line}`),
      NAMES.map((name) => ({
        functionKey: name,
        file: path.join(import.meta.dirname, 'inline/handlers.ts'),
        exportName: name,
      })),
    );
    const lambda = new LambdaClient({
      region: 'eu-west-1',
      endpoint: service.lambda.endpoint,
      credentials,
    });
    await lambda.send(
      new InvokeCommand({ FunctionName: 'coordinator', InvocationType: 'Event', Payload: '{}' }),
    );
    lambda.destroy();
    const handled = () =>
      new Set(calls.flatMap(({ handler, bodies }) => bodies.map((body) => `${handler} ${body}`)));
    await until(() => handled().size === MESSAGES * NAMES.length, 'all is handled', 60_000).catch(
      (error: unknown) =>
        assert.fail(
          `${String(error)}\n${logs.filter((line) => /level":[4-9]0/.test(line)).join('\n')}`,
        ),
    );
  });
  after(async () => {
    await service?.stop();
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
    await dynamodb?.stop();
    await rocketmq?.stop();
  });

  const mostOf = (name: Name): number =>
    Math.max(...calls.filter(({ handler }) => handler === name).map(({ active }) => active));

  for (const name of NAMES.slice(0, 2))
    test(`${name}: one call at a time in a process`, () => assert.equal(mostOf(name), 1));

  test('with inlineConcurrency, exactly so many', () =>
    assert.equal(mostOf('roomy'), INLINE_CONCURRENCY));

  test('each call has what Lambda gives a call, and the process what the puller has', () => {
    assert.equal(new Set(calls.map(({ requestId }) => requestId)).size, calls.length);
    const traces = service.lambda.invocations.map(({ requestId }) => traceIdOf(requestId));
    for (const call of calls) {
      assert.equal(call.contextName, `shop-dev-${call.handler}`);
      assert.equal(call.processName, 'puller');
      assert.ok(call.remainingMs > 0 && call.remainingMs <= TIMEOUT * 1000);
      assert.equal(call.memory, '512');
      assert.equal(call.own, 'of its function');
      assert.ok(traces.includes(call.traceId ?? ''), 'the segment is the puller’s');
    }
    const perProcess = Map.groupBy(calls, ({ process }) => process);
    assert.ok(
      [...perProcess.values()].some(
        (own) => own.length > new Set(own.map(({ traceId }) => traceId)).size,
      ),
    );
  });
});
