import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { RocketMQError } from '../../src/errors.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { ensureTable } from '../../src/store/table.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { mqadmin } from '../support/java.ts';
import { freePort } from '../support/ports.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { deploy } from '../support/shared-group.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const PATIENCE_MS = 60_000;
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => String(from + n)).sort();

describe('topologies on a real broker', { skip: missingStack('rocketmq') }, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    world = await startRealWorld();
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  /** A deployed service with a table of its own; what its handler gets is kept. */
  const start = async (
    service: string,
    topic: string,
    settings: Parameters<typeof source>[1],
    nameServers = [rocketmq.nameServer],
  ) => {
    const tableName = `${service}-table`;
    await ensureTable(dynamodb, tableName);
    const bodies: string[] = [];
    const deployment = deploy({
      service,
      dynamodb,
      tableName,
      nameServers,
      source: source([subscription(topic)], settings),
      handler: ({ Records }: RocketMQEvent) => void bodies.push(...Records.map(({ body }) => body)),
      logger: silentLogger,
    });
    return { ...deployment, bodies };
  };
  const send = async (topic: string, from: number, to: number, queueId?: number): Promise<void> => {
    for (let n = from; n < to; n++) {
      const queue =
        queueId === undefined ? {} : { queue: { topic, brokerName: 'broker-a', queueId } };
      await client.send({ topic, body: Buffer.from(String(n)) }, queue);
    }
  };

  test('BROADCASTING: two deployments with one group each get every message once, also the one that is deployed again', async () => {
    await client.createTopic('prices', { readQueueNums: 3, writeQueueNums: 3 });
    await send('prices', 0, 30);
    const settings = { consumerGroup: 'listeners', messageModel: 'BROADCASTING' } as const;
    const [shop, bank] = await Promise.all([
      start('shop', 'prices', settings),
      start('bank', 'prices', settings),
    ]);
    await until(
      () => shop.bodies.length >= 30 && bank.bodies.length >= 30,
      'all came to both',
      PATIENCE_MS,
    );
    await shop.end();
    await send('prices', 30, 40);
    const again = await start('shop', 'prices', settings);
    await until(
      () => again.bodies.length >= 10 && bank.bodies.length >= 40,
      'what is new came to both',
      PATIENCE_MS,
    );
    await Promise.all([again.end(), bank.end()]);
    assert.deepEqual(shop.bodies.toSorted(), numbers(0, 30));
    assert.deepEqual(again.bodies.toSorted(), numbers(30, 40), 'its own offsets lead on');
    assert.deepEqual(bank.bodies.toSorted(), numbers(0, 40));
  });

  test('queues that are added while messages flow are consumed from their first message, LATEST or not', async () => {
    await client.createTopic('growing', { readQueueNums: 2, writeQueueNums: 2 });
    const service = await start('grower', 'growing', {
      consumerGroup: 'growers',
      subscriptions: [subscription('growing', { startingPosition: 'LATEST' })],
    });
    await until(
      async () => (await service.assignments()).length >= 2,
      'the queues are assigned',
      PATIENCE_MS,
    );
    await send('growing', 0, 10);
    await until(() => service.bodies.length >= 10, 'the old queues', PATIENCE_MS);
    await client.createTopic('growing', { readQueueNums: 4, writeQueueNums: 4 });
    await send('growing', 10, 20, 3);
    await until(() => service.bodies.length >= 20, 'the new queue', PATIENCE_MS);
    await service.end();
    assert.deepEqual(service.bodies.toSorted(), numbers(0, 20));
  });

  test('a name server that is down is passed over', async () => {
    await client.createTopic('steady', { readQueueNums: 2, writeQueueNums: 2 });
    await send('steady', 0, 10);
    const dead = `127.0.0.1:${await freePort()}`;
    const service = await start('steady', 'steady', { consumerGroup: 'steadies' }, [
      dead,
      rocketmq.nameServer,
    ]);
    await until(() => service.bodies.length >= 10, 'all came', PATIENCE_MS);
    await service.end();
    assert.deepEqual(service.bodies.toSorted(), numbers(0, 10));
  });

  if (since('5.0'))
    test('a static topic is refused by name, and nothing of it is delivered', async () => {
      await mqadmin(rocketmq.nameServer, [
        'updateStaticTopic',
        '-t',
        'static',
        '-qn',
        '2',
        '-c',
        'TestCluster',
      ]);
      const own = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
      // Name servers learn of the mapping after the topic.
      const refusal = () =>
        own.topicRoute('static', { fresh: true }).then(
          () => undefined,
          (error: unknown) => error instanceof RocketMQError && error.code,
        );
      await until(
        async () => (await refusal()) === 'ROCKETMQ_STATIC_TOPIC',
        'it is refused',
        PATIENCE_MS,
      );
      await own.close();
      const service = await start('mapper', 'static', { consumerGroup: 'mappers' });
      // A coordinator looks at once, and tells its problems when its run ends.
      await until(() => service.invocations.length > 0, 'nothing is invoked', 5_000).catch(
        () => {},
      );
      await service.end();
      assert.deepEqual([service.bodies, service.invocations.length], [[], 0]);
      assert.ok(service.problems.has('ROCKETMQ_STATIC_TOPIC'), [...service.problems].join());
    });
});
