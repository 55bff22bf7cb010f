import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Context } from 'aws-lambda';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { PullerOptions } from '../../src/puller/puller-deps.ts';
import { runPuller } from '../../src/puller/run-puller.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { TABLE, TENANT } from '../support/databases.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { startJava } from '../support/java.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { strictHandler } from '../support/strict-handler.ts';
import { until } from '../support/until.ts';

const brokerName = 'broker-a';
const JAVA_MS = 60_000;
const BY_QUEUE: Partial<SubscriptionConfig> = {
  order: { by: 'queue', suspendCurrentQueueTimeMillis: 50 },
  maximumRetryAttempts: -1,
};
const BY_KEY: Partial<SubscriptionConfig> = {
  order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 50 },
  maximumRetryAttempts: -1,
  parallelizationFactor: 4,
};
const OFTEN: Partial<PullerOptions> = { commitIntervalMs: 200, renewIntervalMs: 500 };
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

describe('ordered consumption on a real broker', { skip: missingStack('rocketmq') }, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    world = await startRealWorld();
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  const topicWith = async (topic: string, queues: number): Promise<void> => {
    await client.createTopic(topic, { readQueueNums: queues, writeQueueNums: queues });
  };
  const sendAll = async (
    queue: MessageQueue,
    bodies: readonly string[],
    properties: (body: string) => Record<string, string> = () => ({}),
  ) => {
    for (const body of bodies)
      await client.send(
        { topic: queue.topic, body: Buffer.from(body), properties: properties(body) },
        { queue },
      );
  };
  /** All that is in the only queue of a topic; nothing when there is no such topic. */
  const bodiesIn = async (topic: string): Promise<string[]> => {
    const queue = { topic, brokerName, queueId: 0 };
    const bodies: string[] = [];
    for (let offset = 0n; ; ) {
      const request = {
        consumerGroup: 'readers',
        queue,
        offset,
        subscription: buildSubscription(topic, '*'),
        maxMessages: 32,
        suspendMs: 0,
      };
      const result = await client.pull(request).catch(() => undefined);
      if (result?.status !== 'FOUND') return bodies;
      bodies.push(...result.messages.map(({ body }) => String(body)));
      offset = result.nextBeginOffset;
    }
  };
  /** A puller for one queue, without a coordinator: it does not mind other members. */
  const startPuller = (
    queue: MessageQueue,
    consumerGroup: string,
    own: Partial<SubscriptionConfig>,
    handler: (event: RocketMQEvent) => unknown,
    options: Partial<PullerOptions> = {},
  ) => {
    const stop = new AbortController();
    const logs: string[] = [];
    const note = (fields: object): void => void logs.push((fields as { code?: string }).code ?? '');
    const logger = { ...silentLogger, warn: note, error: note, child: () => logger };
    const config = source([subscription(queue.topic, own)], { consumerGroup });
    const endsAt = Date.now() + 120_000;
    const report = runPuller(
      { cluster: 'default', consumerGroup, slot: 0, queues: [queue], notAfter: endsAt },
      {
        service: { service: 'shop', stage: 'dev', clusters: {}, sources: [config] },
        client,
        store: createAssignmentStore(dynamodb, TABLE, { keys: TENANT, newToken: randomUUID }),
        handlers: () => createInlineHandler(handler, () => ({}) as Context),
        clock: systemClock,
        logger,
        random: Math.random,
        holder: randomUUID(),
        remainingMs: () => endsAt - Date.now(),
        signal: stop.signal,
        options: { ...OFTEN, ...options },
      },
    );
    const end = () => {
      stop.abort();
      return report;
    };
    return { report, logs, stop: end };
  };
  const assign = async (queue: MessageQueue, consumerGroup: string): Promise<void> => {
    const store = createAssignmentStore(dynamodb, TABLE, { keys: TENANT, newToken: randomUUID });
    await store.create({ cluster: 'default', consumerGroup }, queue, 0, 0n);
  };

  test('a Java consumer that holds the lock is waited for; we begin where it ended, and it where we ended', {
    timeout: 240_000,
  }, async () => {
    const [topic, group] = ['ordered-java', 'ordered-java-workers'];
    const queue = { topic, brokerName, queueId: 0 };
    await topicWith(topic, 1);
    await client.createGroup(group);
    await assign(queue, group);
    await sendAll(queue, numbers(0, 20));
    const java: string[] = [];
    const onLine = (line: string): void => {
      const { body } = JSON.parse(line) as { body?: string };
      if (body !== undefined) java.push(body);
    };
    const member = () =>
      startJava('OrderlyMember', [rocketmq.nameServer, topic, group, '5'], onLine);
    const first = await member();
    await until(() => java.length === 20, 'Java consumed', JAVA_MS);
    const ours: string[] = [];
    const puller = startPuller(
      queue,
      group,
      { ...BY_QUEUE, batchSize: 4 },
      ({ Records }) => void ours.push(...Records.map(({ body }) => body)),
      { idleTimeoutMs: 3_000 },
    );
    await until(() => puller.logs.includes('ROCKETMQ_LOCKED_ELSEWHERE'), 'we wait', JAVA_MS);
    await sendAll(queue, numbers(20, 30));
    await until(() => java.length === 30, 'Java consumed', JAVA_MS);
    assert.deepEqual(ours, []);
    // It unlocks when it shuts down.
    await first.stop('SIGTERM');
    await sendAll(queue, numbers(30, 45));
    await until(() => ours.length === 15, 'we consumed', 30_000);
    assert.deepEqual([java, ours], [numbers(0, 30), numbers(30, 45)]);
    // We unlock when the queue is idle.
    assert.equal((await puller.report).queues[0]?.reason, 'idle');
    const startedAt = Date.now();
    const second = await member();
    await sendAll(queue, numbers(45, 50));
    await until(() => java.length === 35, 'Java took over', JAVA_MS);
    const waitedMs = Date.now() - startedAt;
    await second.stop('SIGTERM');
    assert.deepEqual(java.slice(30), numbers(45, 50));
    assert.ok(waitedMs < 45_000, `after ${waitedMs} ms: without our unlocking it would be 60 s`);
  });

  test('at its limit a message is dead-lettered once while the group holds its lock, and the queue goes on', {
    timeout: 120_000,
  }, async () => {
    const [topic, group] = ['ordered-dlq', 'ordered-dlq-workers'];
    const queue = { topic, brokerName, queueId: 0 };
    await topicWith(topic, 1);
    await client.createGroup(group);
    await assign(queue, group);
    await sendAll(queue, numbers(0, 6));
    const seen: [string, number][] = [];
    const puller = startPuller(
      queue,
      group,
      { ...BY_QUEUE, batchSize: 3, maximumRetryAttempts: 2 },
      ({ Records }) => {
        seen.push(
          ...Records.map(({ body, rocketmq: own }): [string, number] => [body, own.reconsumeTimes]),
        );
        const bad = Records.find(({ body }) => body === '1');
        return bad && { batchItemFailures: [{ itemIdentifier: bad.receiptHandle }] };
      },
    );
    await until(() => seen.some(([body]) => body === '5'), 'the queue goes on', 30_000);
    const report = await puller.stop();
    assert.deepEqual([report.queues[0]?.committedOffset, report.queues[0]?.sentBack], ['6', 1]);
    assert.deepEqual(
      seen.filter(([body]) => body === '1').map(([, times]) => times),
      [0, 1, 2],
    );
    assert.equal(await client.queryOffset(group, queue), 6n);
    assert.deepEqual(
      [await bodiesIn(dlqTopic(group)), await bodiesIn(retryTopic(group))],
      [['1'], []],
    );
  });

  for (const [what, own, queues, keysPerQueue] of [
    ['queue', { ...BY_QUEUE, batchSize: 5 }, 3, 1],
    ['key', { ...BY_KEY, batchSize: 5 }, 3, 4],
  ] as const)
    test(`by ${what}: several pullers, failures, and two deployments one after the other keep the order`, {
      timeout: 180_000,
    }, async () => {
      const [topic, consumerGroup] = [`ordered-${what}`, `ordered-${what}-workers`];
      await topicWith(topic, queues);
      const step = queues * keysPerQueue;
      const count = step * 25;
      for (const body of numbers(0, count))
        await sendAll({ topic, brokerName, queueId: Number(body) % queues }, [body], () => ({
          __SHARDINGKEY: `k${Number(body) % step}`,
        }));
      const strict = strictHandler({ step, laneOf: ({ body }) => Number(body) % step }, 5);
      const config = source([subscription(topic, own)], { consumerGroup });
      const deploy = (options: Partial<SourceConfig> = {}) =>
        startInProcess({
          client,
          dynamodb,
          nameServer: rocketmq.nameServer,
          source: { ...config, ...options },
          handler: strict.handler,
          options: OFTEN,
        });
      const before = deploy();
      await until(() => strict.finished.size > count / 4, 'the first deployment works', 60_000);
      // The second one waits as successor of each queue: its pullers take over in mid-failure.
      const next = deploy({ idleTimeout: 100 });
      const ended = before.end();
      await until(() => strict.finished.size === count, 'all is done', 120_000);
      await ended;
      await next.end();
      assert.deepEqual(strict.overtaken, []);
      for (let queueId = 0; queueId < queues; queueId++)
        assert.equal(
          await client.queryOffset(consumerGroup, { topic, brokerName, queueId }),
          BigInt(count / queues),
        );
      assert.deepEqual(await bodiesIn(dlqTopic(consumerGroup)), []);
    });

  test('a broker that is killed in the middle, and with it all locks: nothing is overtaken or lost', {
    timeout: 180_000,
  }, async () => {
    const [topic, consumerGroup, count] = ['ordered-kill', 'ordered-kill-workers', 80];
    const queue = { topic, brokerName, queueId: 0 };
    await topicWith(topic, 1);
    await client.createGroup(consumerGroup);
    await assign(queue, consumerGroup);
    await sendAll(queue, numbers(0, count));
    const strict = strictHandler({ step: 1, laneOf: () => 0 }, 20);
    const puller = startPuller(
      queue,
      consumerGroup,
      { ...BY_QUEUE, batchSize: 3 },
      strict.handler,
      { idleTimeoutMs: 100_000 },
    );
    await until(() => strict.finished.size > 20, 'it works', 30_000);
    await rocketmq.restartBroker(brokerName, 'SIGKILL');
    await sendAll(queue, numbers(count, count + 20));
    await until(() => strict.finished.size === count + 20, 'all is done', 90_000);
    const report = await puller.stop();
    assert.deepEqual(strict.overtaken, []);
    assert.equal(report.queues[0]?.committedOffset, String(count + 20));
    assert.equal(await client.queryOffset(consumerGroup, queue), BigInt(count + 20));
  });
});
