import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { Arguments } from '../../src/operator/arguments.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import {
  OPERATIONS,
  type OperationAnswer,
  type OperationName,
} from '../../src/operator/run-operator.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { type Tenant, tenantPrefix } from '../../src/store/tenant.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect, TABLE } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { LOCAL_OPERATOR } from '../support/local-operator.ts';
import { until } from '../support/until.ts';

/** Names whose keys would meet if a separator were missing anywhere. */
const TENANTS: readonly Tenant[] = [
  { service: 'shop', stage: 'dev' },
  { service: 'shop', stage: 'dev2' },
  { service: 'shop-dev', stage: 'dev' },
];
const GROUP = 'workers';
const TOPIC = 'orders';

/** A deployment with brokers of its own; cluster, group and topic have the same names in all of them. */
class Deployment {
  readonly tenant: Tenant;
  readonly #broker: EmbeddedRocketMQ;
  readonly dynamodb: DynamoDBClient;
  readonly client;
  readonly #config = source([subscription(TOPIC)], { consumerGroup: GROUP });
  readonly handled: string[] = [];
  /** Partition keys of all its requests to the table, with what was asked. */
  readonly touched = new Set<string>();
  #service: ReturnType<typeof startInProcess> | undefined;

  constructor(tenant: Tenant, broker: EmbeddedRocketMQ, dynamodb: DynamoDBClient) {
    this.tenant = tenant;
    this.#broker = broker;
    this.dynamodb = dynamodb;
    this.client = createRocketMQClient({ nameServers: broker.nameServers });
    dynamodb.middlewareStack.add(
      (next, context) => (args) => {
        const { Key, ExpressionAttributeValues: values } = args.input as {
          Key?: { pk: { S: string } };
          ExpressionAttributeValues?: { ':pk'?: { S: string } };
        };
        const pk = Key?.pk.S ?? values?.[':pk']?.S;
        this.touched.add(`${context.commandName} ${pk}`);
        return next(args);
      },
      { step: 'initialize' },
    );
  }

  start(): void {
    this.#service = startInProcess({
      client: this.client,
      dynamodb: this.dynamodb,
      nameServer: this.#broker.nameServers[0] as string,
      source: this.#config,
      tenant: this.tenant,
      handler: ({ Records }) => {
        for (const { body } of Records) this.handled.push(body);
      },
    });
  }

  async send(body: string, queueId: number): Promise<void> {
    const queue = { topic: TOPIC, brokerName: 'broker-a', queueId };
    await this.client.send({ topic: TOPIC, body: Buffer.from(body) }, { queue });
  }

  async operate<Name extends OperationName>(
    name: Name,
    args: Readonly<Record<string, unknown>> = {},
  ): Promise<OperationAnswer<Name>> {
    const deps: OperatorDeps = {
      service: {
        ...this.tenant,
        clusters: { default: { nameServers: this.#broker.nameServers } },
        sources: [this.#config],
      },
      clients: () => this.client,
      store: createAssignmentStore(this.dynamodb, TABLE, {
        keys: this.tenant,
        newToken: () => String(Math.random()),
      }),
      ...LOCAL_OPERATOR,
    };
    return (await OPERATIONS[name](deps, new Arguments(args))) as OperationAnswer<Name>;
  }

  /** Of each queue: did an operator pause it? */
  async pauses(): Promise<boolean[]> {
    const { groups } = await this.operate('status', { topic: TOPIC });
    return (groups[0]?.queues ?? []).map(({ pausedUntil }) => pausedUntil !== undefined);
  }

  async stop(): Promise<void> {
    await this.#service?.end();
    await this.client.close();
    this.dynamodb.destroy();
    await this.#broker.stop();
  }
}

describe('a table that three deployments share', () => {
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let deployments: readonly Deployment[];
  before(async () => {
    database = await startDynalite();
    deployments = await Promise.all(
      TENANTS.map(async (tenant) => {
        const broker = await startEmbeddedRocketMQ();
        broker.createTopic(TOPIC, { queues: 2 });
        return new Deployment(tenant, broker, await connect(database.endpoint));
      }),
    );
    for (const { touched } of deployments) touched.clear();
    for (const deployment of deployments) deployment.start();
  });
  after(async () => {
    await Promise.all(deployments.map((deployment) => deployment.stop()));
    await database.stop();
  });

  test('each works its own messages', async () => {
    for (const [index, deployment] of deployments.entries())
      for (let queueId = 0; queueId < 2; queueId++)
        await deployment.send(`${index}-${queueId}`, queueId);
    await until(() => deployments.every(({ handled }) => handled.length === 2), 'handled', 30_000);
    for (const [index, { handled }] of deployments.entries())
      assert.deepEqual(handled.toSorted(), [`${index}-0`, `${index}-1`]);
  });

  test('a pause of one pauses its own queues only, and the others go on', async () => {
    const [paused, ...others] = deployments as [Deployment, ...Deployment[]];
    await paused.operate('pause', { group: GROUP, for: 3_600, reason: 'maintenance' });
    for (const other of others) {
      await other.send('meanwhile', 0);
      await until(() => other.handled.includes('meanwhile'), 'handled', 30_000);
      assert.deepEqual(await other.pauses(), [false, false]);
    }
    assert.deepEqual(await paused.pauses(), [true, true]);
    await others[0]?.operate('resume', { group: GROUP });
    assert.deepEqual(await paused.pauses(), [true, true]);
    await paused.operate('resume', { group: GROUP });
    await paused.send('afterwards', 1);
    await until(() => paused.handled.includes('afterwards'), 'handled after the pause', 60_000);
  });

  test('no request names a key of another one, and writes name the own prefix only', async () => {
    for (const { tenant, touched } of deployments) {
      const foreign = [...touched].filter((request) => {
        const isOwn = request.includes(` ${tenantPrefix(tenant)}`);
        const looksForEarlier = / GROUP#default#workers(#seats)?$/.test(request);
        return !isOwn && !(looksForEarlier && !request.startsWith('UpdateItem'));
      });
      assert.deepEqual(foreign, [], tenantPrefix(tenant));
    }
    const [first] = deployments as [Deployment];
    const { Items = [] } = await first.dynamodb.send(new ScanCommand({ TableName: TABLE }));
    for (const { tenant } of deployments)
      assert.ok(Items.some(({ pk }) => pk?.S?.startsWith(tenantPrefix(tenant))));
    assert.ok(Items.every(({ pk }) => pk?.S?.startsWith('SERVICE#')));
  });
});
