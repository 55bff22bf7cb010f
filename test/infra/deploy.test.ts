import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeTableCommand, DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import {
  type FunctionConfiguration,
  GetFunctionConcurrencyCommand,
  InvokeCommand,
  LambdaClient,
  ListFunctionsCommand,
} from '@aws-sdk/client-lambda';
import { startLocalDynamoDB } from '../../infra/embedded-parts.ts';
import { Producer } from '../../src/consumer/index.ts';
import { ensureTable } from '../../src/store/table.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { LocalLambda } from '../support/lambda/local-lambda.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { missingPythonTools } from '../support/stack.ts';
import { type Fixture, makeService, serverless, unpack } from './package-service.ts';

const REGION = 'eu-west-1';
const yml = (functions: string, options = '') => `service: shop
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: ${REGION}, deploymentMethod: direct }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } }${options} } }
functions:
  orders: { handler: orders.handler, timeout: 20, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }${functions}
`;
const REFUNDS =
  '\n  refunds: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: refund-worker, topic: refunds } }] }';
/** Tells what it got by its log. */
const HANDLER =
  "export const handler = async ({ Records }) => { for (const { body } of Records) console.log('HANDLED ' + body); };\n";

describe('a service on AWS (moto)', { skip: missingPythonTools() }, () => {
  let moto: Moto;
  let fixture: Fixture;
  let lambda: LambdaClient;
  let dynamodb: DynamoDBClient;
  before(async () => {
    moto = await startMoto(REGION);
    fixture = await makeService({
      'serverless.yml': yml(REFUNDS, ', alarms: true, puller: { reservedConcurrency: 7 }'),
      'orders.js': HANDLER,
    });
    const settings = {
      region: REGION,
      endpoint: moto.endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    lambda = new LambdaClient(settings);
    dynamodb = new DynamoDBClient(settings);
  });
  after(async () => {
    lambda?.destroy();
    dynamodb?.destroy();
    await fixture?.remove();
    await moto?.stop();
  });

  const run = async (command: string) => {
    const { code, output } = await serverless(fixture.directory, [command], moto.env);
    assert.equal(code, 0, output);
    return output;
  };
  const functions = async (): Promise<Map<string, FunctionConfiguration>> => {
    const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
    return new Map(Functions.map((one) => [one.FunctionName ?? '', one]));
  };
  const tables = async () => (await dynamodb.send(new ListTablesCommand({}))).TableNames ?? [];
  let table = '';

  test('deploy: functions with roles of their own, that know the table and each other', async () => {
    await run('deploy');
    const deployed = await functions();
    const names = [
      'orders',
      'refunds',
      'rocketmqCoordinator',
      'rocketmqOperator',
      'rocketmqPuller',
    ].map((name) => `shop-dev-${name}`);
    assert.deepEqual([...deployed.keys()].sort(), names);
    [table = ''] = await tables();
    const coordinator = deployed.get('shop-dev-rocketmqCoordinator');
    assert.deepEqual(coordinator?.Environment?.Variables, {
      ROCKETMQ_TABLE: table,
      ROCKETMQ_PULLER_FUNCTION: 'shop-dev-rocketmqPuller',
    });
    assert.equal(
      deployed.get('shop-dev-rocketmqPuller')?.Environment?.Variables?.ROCKETMQ_TABLE,
      table,
    );
    const roles = names.slice(2).map((name) => deployed.get(name)?.Role);
    assert.equal(new Set(roles).size, 3);
    const concurrency = await lambda.send(
      new GetFunctionConcurrencyCommand({ FunctionName: 'shop-dev-rocketmqPuller' }),
    );
    assert.equal(concurrency.ReservedConcurrentExecutions, 7);
    const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: table }));
    assert.deepEqual(Table?.KeySchema?.map(({ AttributeName }) => AttributeName).sort(), [
      'pk',
      'sk',
    ]);
  });

  test('what was deployed works: zips, environments and timeouts, on a Lambda and a RocketMQ nearby', async () => {
    const deployed = await functions();
    const [rocketmq, database] = await Promise.all([startEmbeddedRocketMQ(), startLocalDynamoDB()]);
    const unpacked: Fixture[] = [];
    const environment: Record<string, string> = {
      ROCKETMQ_NAME_SERVERS: rocketmq.nameServers.join(';'),
      AWS_ENDPOINT_URL_DYNAMODB: database.endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    };
    const local: ConstructorParameters<typeof LocalLambda>[0] = {};
    for (const [key, name] of ['orders', 'refunds', 'rocketmqCoordinator', 'rocketmqPuller'].map(
      (each) => [each, `shop-dev-${each}`] as const,
    )) {
      const task = await unpack(fixture.directory, key);
      unpacked.push(task);
      const { Handler = '', Timeout = 3, Environment } = deployed.get(name) ?? {};
      const handler = path.join(task.directory, Handler.replace('index.', 'index.mjs.'));
      Object.assign(local, {
        [name]: {
          handler,
          timeout: Timeout,
          environment: { ...Environment?.Variables, ...environment },
        },
      });
    }
    const logs: string[] = [];
    const service = new LocalLambda(local, { onLog: (_, line) => logs.push(line) });
    await service.start();
    environment.AWS_ENDPOINT_URL_LAMBDA = service.endpoint;
    for (const definition of Object.values(local))
      Object.assign(definition.environment ?? {}, environment);
    const settings = {
      region: REGION,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    };
    const near = new LambdaClient({ ...settings, endpoint: service.endpoint });
    const nearDynamodb = new DynamoDBClient({ ...settings, endpoint: database.endpoint });
    try {
      await ensureTable(nearDynamodb, table);
      for (const topic of ['orders', 'refunds']) rocketmq.createTopic(topic, { queues: 2 });
      await using producer = new Producer({ nameServers: rocketmq.nameServers });
      for (let n = 0; n < 10; n++)
        await producer.send({
          topic: n < 6 ? 'orders' : 'refunds',
          body: Buffer.from(`message ${n}`),
        });
      // As the schedule does it.
      await near.send(
        new InvokeCommand({
          FunctionName: 'shop-dev-rocketmqCoordinator',
          InvocationType: 'Event',
        }),
      );
      const handled = () =>
        logs.flatMap((line) => /HANDLED (message \d)/.exec(line)?.[1] ?? []).sort();
      for (const giveUpAt = Date.now() + 60_000; handled().length < 10; await sleep(50))
        assert.ok(
          Date.now() < giveUpAt,
          `handled so far: ${handled().join(', ')}\n${logs.slice(-30).join('\n')}`,
        );
      assert.deepEqual(
        handled(),
        Array.from({ length: 10 }, (_, n) => `message ${n}`),
      );
    } finally {
      near.destroy();
      nearDynamodb.destroy();
      await service.stop();
      await Promise.all([
        rocketmq.stop(),
        database.stop(),
        ...unpacked.map((task) => task.remove()),
      ]);
    }
  });

  test('a change: a function goes, another option comes; the table stays', async () => {
    await writeFile(
      path.join(fixture.directory, 'serverless.yml'),
      yml('', ', logging: { level: debug }'),
    );
    await run('deploy');
    const deployed = await functions();
    assert.equal(deployed.has('shop-dev-refunds'), false);
    assert.equal(
      deployed.get('shop-dev-rocketmqPuller')?.Environment?.Variables?.ROCKETMQ_LOG_LEVEL,
      'debug',
    );
    assert.deepEqual(await tables(), [table]);
    const template = await readFile(
      path.join(fixture.directory, '.serverless/cloudformation-template-update-stack.json'),
      'utf8',
    );
    assert.equal(template.includes('AWS::CloudWatch::Alarm'), false);
  });

  // That the table outlives both stands in the template (DeletionPolicy), which moto does not obey.
  test('without its event nothing of ours is left', async () => {
    await writeFile(
      path.join(fixture.directory, 'serverless.yml'),
      yml('').replace(/events: .*\] \}/, 'events: [] }'),
    );
    await run('deploy');
    assert.deepEqual([...(await functions()).keys()], ['shop-dev-orders']);
  });

  test('remove', async () => {
    await run('remove');
    assert.deepEqual([...(await functions()).keys()], []);
  });
});
