import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { TopicNotFoundError } from '../../src/errors.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { type InProcessService, startInProcess } from '../support/in-process-service.ts';
import {
  type RealRocketMQ,
  type RealRocketMQOptions,
  startRealRocketMQ,
} from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const TOPIC = 'orders';
const GROUP = 'workers';
const COUNT = 200;

/** A cluster, a topic with four queues a broker, and a service whose deliveries are noted. */
function useCluster(
  options: RealRocketMQOptions,
  addressMap?: (rocketmq: RealRocketMQ) => Record<string, string>,
) {
  const open: { rocketmq?: RealRocketMQ; client?: RocketMQClient; stop?: () => Promise<void> } = {};
  const seen = new Map<number, number>();
  let service: InProcessService | undefined;
  let dynamodb: Awaited<ReturnType<typeof connect>>;
  const world = {
    get rocketmq(): RealRocketMQ {
      assert.ok(open.rocketmq);
      return open.rocketmq;
    },
    get client(): RocketMQClient {
      assert.ok(open.client);
      return open.client;
    },
    seen,
    deploy(
      settings: Partial<SubscriptionConfig> = {},
      answer: (event: RocketMQEvent) => unknown = () => undefined,
    ): void {
      const handler = (event: RocketMQEvent) => {
        for (const { body } of event.Records)
          seen.set(Number(body), (seen.get(Number(body)) ?? 0) + 1);
        return answer(event);
      };
      const { client, rocketmq } = world;
      const subscriptions = [subscription(TOPIC, settings)];
      service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source(subscriptions, { consumerGroup: GROUP }),
        handler,
      });
    },
    async produce(from: number, count: number): Promise<void> {
      for (let n = from; n < from + count; n++)
        await world.client.send({ topic: TOPIC, body: Buffer.from(String(n)) });
    },
    async lags(): Promise<bigint[]> {
      const retry = world.client
        .topicRoute(retryTopic(GROUP), { fresh: true })
        .catch((error: unknown) => {
          // Nothing was sent back.
          if (error instanceof TopicNotFoundError) return [];
          throw error;
        });
      const routes = (
        await Promise.all([world.client.topicRoute(TOPIC, { fresh: true }), retry])
      ).flat();
      return Promise.all(
        routes
          .flatMap(readableQueues)
          .map(
            async (queue) =>
              (await world.client.maxOffset(queue)) -
              ((await world.client.queryOffset(GROUP, queue)) ?? -1n),
          ),
      );
    },
    /** Every queue, the retry topic's too, is committed to its end. */
    async allCommitted(withinMs: number): Promise<void> {
      let lags: bigint[] = [];
      for (const giveUpAt = Date.now() + withinMs; Date.now() < giveUpAt; ) {
        lags = await world.lags().catch(() => [-1n]);
        if (lags.every((lag) => lag === 0n)) return;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.fail(`not committed to the end: ${lags.join(', ')}`);
    },
  };
  before(async () => {
    open.rocketmq = await startRealRocketMQ({
      messageDelayLevel: Array.from({ length: 18 }, () => '1s').join(' '),
      ...options,
    });
    const map = addressMap?.(open.rocketmq);
    open.client = createRocketMQClient({
      nameServers: [open.rocketmq.nameServer],
      ...(map === undefined ? {} : { addressMap: map }),
    });
    await open.client.createTopic(TOPIC, { readQueueNums: 4, writeQueueNums: 4 });
    await open.client.createGroup(GROUP);
    const database = await startDynalite();
    dynamodb = await connect(database.endpoint);
    open.stop = database.stop;
  });
  after(async () => {
    await service?.end();
    await open.client?.close();
    dynamodb?.destroy();
    await open.stop?.();
    await open.rocketmq?.stop();
  });
  return world;
}

const missing = missingStack('rocketmq');

describe('two masters', { skip: missing }, () => {
  const world = useCluster({ brokers: ['broker-a', 'broker-b'] });

  test('queues and redeliveries of both are consumed; one goes down and comes back, the other goes on, nothing is lost', async () => {
    const failedOnce = new Set<number>();
    // Slow enough that the broker goes down in the middle.
    world.deploy({ batchSize: 1 }, async ({ Records: [record] }) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      const n = Number(record?.body);
      if (n % 10 !== 3 || record?.rocketmq.reconsumeTimes !== 0) return undefined;
      failedOnce.add(n);
      return { batchItemFailures: [{ itemIdentifier: record.messageId }] };
    });
    await world.produce(0, COUNT);
    await until(() => world.seen.size >= COUNT / 8, 'some came', 60_000);
    await world.rocketmq.stopBroker('broker-b', 'SIGKILL');
    const before = world.seen.size;
    await until(() => world.seen.size > before, 'the other broker goes on', 30_000);
    await world.rocketmq.startBroker('broker-b');
    await until(() => world.seen.size === COUNT, 'all came', 90_000);
    await world.allCommitted(90_000);
    assert.deepEqual(
      [...failedOnce].filter((n) => (world.seen.get(n) ?? 0) < 2),
      [],
      'what failed was redelivered',
    );
    const route = await world.client.topicRoute(retryTopic(GROUP), { fresh: true });
    assert.deepEqual(route.queues.map(({ brokerName }) => brokerName).sort(), [
      'broker-a',
      'broker-b',
    ]);
  });
});

describe('brokers behind NAT', { skip: missing }, () => {
  /** Nothing listens there. */
  const announcedHost = '127.0.0.99';
  const world = useCluster({ announcedHost }, ({ brokers }) =>
    Object.fromEntries(
      brokers.map(({ address }) => [address.replace('127.0.0.1', announcedHost), address]),
    ),
  );

  test('are reached through addressMap; without it the error names the announced address and the option', async () => {
    await world.produce(0, 20);
    world.deploy();
    await until(() => world.seen.size === 20, 'all came', 30_000);
    const lost = createRocketMQClient({ nameServers: [world.rocketmq.nameServer] });
    const queue: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 };
    await assert.rejects(
      lost.maxOffset(queue),
      /announces itself as 127\.0\.0\.99:\d+: .*addressMap/,
    );
    await lost.close();
  });
});

describe('a master with a slave', { skip: missing }, () => {
  const world = useCluster({ slaves: ['broker-a'] });
  const queue: MessageQueue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 };
  const pull = (offset: bigint, brokerId?: number) =>
    world.client.pull({
      consumerGroup: GROUP,
      queue,
      offset,
      subscription: buildSubscription(TOPIC, '*'),
      maxMessages: 32,
      suspendMs: 0,
      ...(brokerId === undefined ? {} : { brokerId }),
    });

  test('the master goes down: what the slave has is pulled from it; offsets and send-backs reach the master when it is back', async () => {
    const { rocketmq, client } = world;
    await world.produce(0, COUNT);
    // A slave learns of topics when it starts, later only about once a minute: one that a loaded machine kept from it needs the next round.
    await rocketmq.restartBroker('broker-a/1', 'SIGTERM');
    const ends = await Promise.all(
      [0, 1, 2, 3].map((queueId) => client.maxOffset({ ...queue, queueId })),
    );
    for (const [queueId, end] of ends.entries())
      for (const giveUpAt = Date.now() + 150_000; ; ) {
        const copied = await client
          .pull({ ...(await request(queueId, end)), brokerId: 1 })
          .then(({ maxOffset }) => maxOffset)
          .catch(() => -1n);
        if (copied === end) break;
        assert.ok(
          Date.now() < giveUpAt,
          `the slave has ${copied} of ${end} messages of queue ${queueId}`,
        );
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    world.deploy({ batchSize: 1 }, async ({ Records: [record] }) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const fails = Number(record?.body) === COUNT - 1 && record?.rocketmq.reconsumeTimes === 0;
      return fails ? { batchItemFailures: [{ itemIdentifier: record?.messageId }] } : undefined;
    });
    await until(() => world.seen.size >= 20, 'some came from the master', 30_000);
    await rocketmq.stopBroker('broker-a', 'SIGKILL');
    await until(
      () => world.seen.size === COUNT,
      'the rest came from the slave, and from memory',
      60_000,
    );
    assert.equal((await pull(0n)).status, 'FOUND', 'the slave answers');
    await rocketmq.startBroker('broker-a');
    await until(
      () => (world.seen.get(COUNT - 1) ?? 0) >= 2,
      'what failed meanwhile is redelivered',
      90_000,
    );
    await world.allCommitted(90_000);
    assert.equal(world.seen.size, COUNT);
  });

  async function request(queueId: number, offset: bigint) {
    const none = buildSubscription(TOPIC, '*');
    return {
      consumerGroup: GROUP,
      queue: { ...queue, queueId },
      offset,
      subscription: none,
      maxMessages: 1,
      suspendMs: 0,
    };
  }
});
