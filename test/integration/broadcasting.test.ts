import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { ensureTable } from '../../src/store/table.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { heartbeatBody } from '../contract/rocketmq/lab.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { deploy } from '../support/shared-group.ts';
import { until } from '../support/until.ts';

const PATIENCE_MS = 30_000;
const QUEUES = 3;
const queue = (queueId: number) => ({ topic: 'prices', brokerName: 'broker-a', queueId });

describe('broadcasting: every deployment gets every message', () => {
  let broker: EmbeddedRocketMQ;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let dynamodb: DynamoDBClient;
  let client: RocketMQClient;
  before(async () => {
    [broker, database] = await Promise.all([
      startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 100 }),
      startDynalite(),
    ]);
    broker.createTopic('prices', { queues: QUEUES });
    dynamodb = await connect(database.endpoint);
    client = createRocketMQClient({ nameServers: broker.nameServers });
  });
  after(async () => {
    await client.close();
    dynamodb.destroy();
    await Promise.all([database.stop(), broker.stop()]);
  });

  const send = async (from: number, count: number): Promise<void> => {
    for (let n = from; n < from + count; n++)
      await client.send(
        { topic: 'prices', body: Buffer.from(String(n)) },
        { queue: queue(n % QUEUES) },
      );
  };
  const start = async (service: string, fails: (body: string) => boolean = () => false) => {
    await ensureTable(dynamodb, `${service}-table`);
    const bodies: string[] = [];
    const codes: string[] = [];
    const deployment = deploy({
      service,
      dynamodb,
      tableName: `${service}-table`,
      nameServers: broker.nameServers,
      source: source([subscription('prices', { batchSize: 1 })], {
        consumerGroup: 'listeners',
        messageModel: 'BROADCASTING',
      }),
      handler: ({ Records }: RocketMQEvent) => {
        bodies.push(...Records.map(({ body }) => body));
        if (Records.some(({ body }) => fails(body))) throw new Error('no');
      },
      options: {
        renewIntervalMs: 200,
        maxSuspendMs: 200,
        commitIntervalMs: 50,
        idleTimeoutMs: 500,
      },
      logger: collect(codes),
    });
    return { ...deployment, bodies, codes };
  };
  const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n)).sort();

  test('two services with one group: each gets all, keeps its own offsets in its table, and shares nothing at the broker', async () => {
    await send(0, 30);
    // A Java member in broadcasting mode does not disturb anybody.
    const java = await connectRaw(broker.brokers[0]?.address ?? '');
    await java.call(
      34,
      {},
      {
        body: heartbeatBody('listeners', {
          clientID: '10.0.0.1@java',
          topic: 'prices',
          messageModel: 'BROADCASTING',
        }),
      },
    );
    const [shop, bank] = await Promise.all([start('shop', (body) => body === '7'), start('bank')]);
    await until(
      () => shop.bodies.length >= 30 && bank.bodies.length >= 30,
      'all to both',
      PATIENCE_MS,
    );
    assert.deepEqual(shop.bodies.toSorted(), numbers(30));
    assert.deepEqual(bank.bodies.toSorted(), numbers(30));

    // One of them pauses; the other goes on. When it comes back, it goes on where it was.
    await shop.end();
    assert.deepEqual(
      (await shop.assignments()).map(({ committedOffset }) => committedOffset),
      [10n, 10n, 10n],
    );
    await send(30, 9);
    await until(() => bank.bodies.length >= 39, 'the other one', PATIENCE_MS);
    const again = await start('shop');
    await until(() => again.bodies.length >= 9, 'what came meanwhile', PATIENCE_MS);
    await Promise.all([again.end(), bank.end()]);
    assert.deepEqual(
      again.bodies.toSorted(),
      numbers(39).filter((n) => Number(n) >= 30),
    );
    assert.deepEqual(bank.bodies.toSorted(), numbers(39));

    // The failed one was dropped with a name: no retry, no DLQ, no offset of the group.
    assert.deepEqual(
      shop.codes.filter((code) => code.startsWith('ROCKETMQ')),
      ['ROCKETMQ_HANDLER_FAILED', 'ROCKETMQ_BROADCAST_DROPPED'],
    );
    assert.deepEqual(broker.messages('%RETRY%listeners'), []);
    for (let id = 0; id < QUEUES; id++)
      assert.equal(broker.offset('listeners', queue(id)), undefined);
    for (const { problems } of [shop, bank, again]) assert.deepEqual([...problems], []);
    java.close();
  });
});

function collect(codes: string[]): Logger {
  const note = ({ code }: { code?: string }): void => {
    if (code !== undefined) codes.push(code);
  };
  const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
  return logger;
}
