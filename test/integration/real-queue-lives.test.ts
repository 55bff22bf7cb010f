import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageQueue } from '../../src/model/message-queue.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { PullerOptions } from '../../src/puller/puller-deps.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { mqadmin } from '../support/java.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const brokerName = 'broker-a';
const NOTICED_MS = 60_000;
/** Below ROCKETMQ_HOME of the test's broker. */
const OFFSET_FILE = 'store-broker-a-0/config/consumerOffset.json';
const STAYS: Partial<PullerOptions> = { commitIntervalMs: 200, idleTimeoutMs: 120_000 };
const SOON_IDLE: Partial<PullerOptions> = { commitIntervalMs: 200, idleTimeoutMs: 1_500 };

/** Apache/rocketmq#4774 (offsets after a topic was created again) and #3401 (consumerOffset.json lost). */
describe('a queue that is another one under the same name, and a broker that forgot', {
  skip: missingStack('rocketmq'),
}, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    world = await startRealWorld();
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const setUp = async (name: string, own: Partial<SubscriptionConfig> = {}) => {
    const consumerGroup = `${name}-workers`;
    const queue: MessageQueue = { topic: name, brokerName, queueId: 0 };
    const create = () => client.createTopic(name, { readQueueNums: 1, writeQueueNums: 1 });
    await create();
    await client.createGroup(consumerGroup);
    const bodies: string[] = [];
    return {
      consumerGroup,
      queue,
      bodies,
      times: (body: string) => bodies.filter((seen) => seen === body).length,
      async send(prefix: string, count: number): Promise<void> {
        for (const body of names(prefix, count))
          await client.send({ topic: name, body: Buffer.from(body) }, { queue });
      },
      async recreate(): Promise<void> {
        await mqadmin(rocketmq.nameServer, ['deleteTopic', '-c', 'TestCluster', '-t', name]);
        await create();
      },
      deploy: (options: Partial<PullerOptions>) =>
        startInProcess({
          client,
          dynamodb,
          nameServer: rocketmq.nameServer,
          source: source([subscription(name, own)], { consumerGroup }),
          handler: ({ Records }) => void bodies.push(...Records.map(({ body }) => body)),
          options,
        }),
    };
  };

  for (const [startingPosition, before, count] of [
    ['LATEST', 20, 5],
    ['LATEST', 20, 60],
    ['TRIM_HORIZON', 0, 5],
    ['TRIM_HORIZON', 0, 60],
  ] as const)
    test(`${startingPosition}: created again between two invocations with ${count} messages`, {
      timeout: 180_000,
    }, async () => {
      const name = `lives-${startingPosition}-${count}`;
      const group = await setUp(name, { startingPosition });
      await group.send('before', before);
      const first = group.deploy(SOON_IDLE);
      await until(async () => (await first.assignments()).length > 0, 'an item', NOTICED_MS);
      await group.send('old', 12);
      await until(() => group.bodies.length === 12, 'the old ones', NOTICED_MS);
      await first.end();
      await group.recreate();
      await group.send('new', count);
      const second = group.deploy(SOON_IDLE);
      await until(() => group.bodies.length >= 12 + count, 'the new ones', NOTICED_MS);
      await second.end();
      assert.deepEqual(group.bodies.slice(12).toSorted(), names('new', count).toSorted());
    });

  test('created again while a puller waits for messages, and grown beyond the old offset', {
    timeout: 180_000,
  }, async () => {
    const group = await setUp('lives-running');
    const service = group.deploy(STAYS);
    await group.send('old', 12);
    await until(() => group.bodies.length === 12, 'the old ones', NOTICED_MS);
    await sleep(1_500);
    await group.recreate();
    await group.send('new', 40);
    await until(
      () => names('new', 40).every((body) => group.times(body) > 0),
      'every new message',
      NOTICED_MS,
    );
    await service.end();
  });

  test('a broker that was restarted without its offsets: the table knows them, nothing comes again', {
    timeout: 180_000,
  }, async () => {
    const group = await setUp('lives-forgot');
    await group.send('old', 12);
    const first = group.deploy(SOON_IDLE);
    await until(() => group.bodies.length === 12, 'the old ones', NOTICED_MS);
    await first.end();
    await rocketmq.stopBroker(brokerName, 'SIGKILL');
    for (const file of [OFFSET_FILE, `${OFFSET_FILE}.bak`])
      await rocketmq.writeFile(file, '{"offsetTable":{}}');
    await rocketmq.startBroker(brokerName);
    await until(
      async () =>
        (await client.queryOffset(group.consumerGroup, group.queue).catch(() => 12n)) ===
        (since('5.0') ? undefined : 0n),
      'the broker has no offset',
      NOTICED_MS,
    );
    await group.send('new', 5);
    const second = group.deploy(SOON_IDLE);
    await until(() => group.bodies.length >= 17, 'the new ones', NOTICED_MS);
    await second.end();
    assert.deepEqual(group.bodies.slice(12), names('new', 5));
  });
});
