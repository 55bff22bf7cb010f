import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { BrokerError } from '../../src/errors.ts';
import type { Message } from '../../src/model/message.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import { Property } from '../../src/records/properties.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const NO_TIMERS = since('5.0.0') ? false : 'brokers before 5.0 have neither timers nor POP';

/** What a puller relies on when a handler asks for seconds that no delay level has: the timer wheel, with its traps. */
describe('redelivery on a real broker, also by its timer wheel', {
  skip: missingStack('rocketmq'),
}, () => {
  let rocketmq: RealRocketMQ;
  let client: ReturnType<typeof createRocketMQClient>;

  before(async () => {
    rocketmq = await startRealRocketMQ();
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  });

  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  async function failed(
    properties: Record<string, string> = {},
  ): Promise<{ group: string; message: Message }> {
    const [group, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
    await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup(group);
    await client.send({
      topic,
      body: Buffer.from('body'),
      properties: { own: 'x', ...properties },
    });
    return { group, message: await first({ topic, brokerName: 'broker-a', queueId: 0 }) };
  }

  async function first(queue: MessageQueue, withinMs = 20_000): Promise<Message> {
    for (const giveUpAt = Date.now() + withinMs; Date.now() < giveUpAt; ) {
      const request = {
        consumerGroup: 'reader',
        queue,
        offset: 0n,
        subscription: buildSubscription(queue.topic, '*'),
      };
      const result = await client
        .pull({ ...request, maxMessages: 32, suspendMs: 1_000 })
        .catch((error: unknown) => {
          // The topic is made with its first message.
          if (error instanceof BrokerError || (error as Error).name === 'TopicNotFoundError')
            return undefined;
          throw error;
        });
      if (result?.status === 'FOUND' && result.messages[0] !== undefined) return result.messages[0];
    }
    throw new Error(`no message in ${queue.topic}`);
  }

  const retryQueue = (group: string): MessageQueue => ({
    topic: retryTopic(group),
    brokerName: 'broker-a',
    queueId: 0,
  });

  test('comes to the retry topic to the second, as the redelivery that request 36 makes', {
    skip: NO_TIMERS,
  }, async () => {
    const { group, message } = await failed();
    const sentAt = Date.now();
    assert.equal(await client.sendBackTimed(group, message, 4_000, 16), true);
    const again = await first(retryQueue(group));
    const waited = again.storeTimestamp - sentAt;
    assert.ok(waited >= 3_000 && waited < 6_000, `${waited} ms`);
    assert.deepEqual(
      [again.reconsumeTimes, again.msgId, String(again.body)],
      [1, message.msgId, 'body'],
    );
    const { properties } = again;
    assert.deepEqual(
      [properties.get('own'), properties.get(Property.RETRY_TOPIC)],
      ['x', message.topic],
    );
    // A second round: what the first one left on it must not make it come at once.
    const sentAgainAt = Date.now();
    assert.equal(await client.sendBackTimed(group, again, 4_000, 16), true);
    const queue = { ...retryQueue(group) };
    let third: Message | undefined;
    for (const giveUpAt = Date.now() + 20_000; third === undefined && Date.now() < giveUpAt; ) {
      const request = {
        consumerGroup: 'reader',
        queue,
        offset: 1n,
        subscription: buildSubscription(queue.topic, '*'),
      };
      const result = await client.pull({ ...request, maxMessages: 32, suspendMs: 1_000 });
      if (result.status === 'FOUND') third = result.messages[0];
    }
    assert.ok(third);
    assert.ok(
      third.storeTimestamp - sentAgainAt >= 3_000,
      `${third.storeTimestamp - sentAgainAt} ms`,
    );
    assert.deepEqual([third.reconsumeTimes, third.msgId], [2, message.msgId]);
    // And request 36 after it.
    await client.sendBack({
      consumerGroup: group,
      brokerName: 'broker-a',
      commitLogOffset: third.commitLogOffset,
      delayLevel: -1,
      originMsgId: third.offsetMsgId,
      originTopic: third.topic,
      maxReconsumeTimes: 16,
    });
    const dead = await first({ topic: dlqTopic(group), brokerName: 'broker-a', queueId: 0 });
    assert.equal(dead.msgId, message.msgId);
  });

  test('a message that was itself sent with a delay waits all the same', {
    skip: NO_TIMERS,
  }, async () => {
    const { group, message } = await failed({ [Property.TIMER_DELAY_SEC]: '2' });
    assert.ok(message.properties.has(Property.TIMER_OUT_MS));
    const sentAt = Date.now();
    assert.equal(await client.sendBackTimed(group, message, 4_000, 16), true);
    const waited = (await first(retryQueue(group))).storeTimestamp - sentAt;
    assert.ok(waited >= 3_000, `${waited} ms`);
  });

  test('0 comes at once; more than three days is refused', { skip: NO_TIMERS }, async () => {
    const { group, message } = await failed();
    const sentAt = Date.now();
    await client.sendBackTimed(group, message, 0, 16);
    assert.ok((await first(retryQueue(group))).storeTimestamp - sentAt < 1_500);
    await assert.rejects(
      client.sendBackTimed(group, message, (3 * 24 * 3600 + 60) * 1000, 16),
      BrokerError,
    );
  });

  test('over the limit it is dead-lettered', { skip: NO_TIMERS }, async () => {
    const { group, message } = await failed();
    await client.sendBackTimed(group, message, 4_000, 0);
    assert.equal(
      (await first({ topic: dlqTopic(group), brokerName: 'broker-a', queueId: 0 })).msgId,
      message.msgId,
    );
  });

  test('brokers before 5.0 have no timers: they are told apart before anything is sent', {
    skip: since('5.0.0'),
  }, async () => {
    const { group, message } = await failed();
    assert.equal(await client.sendBackTimed(group, message, 4_000, 16), false);
  });

  test('a handler’s delays and actions, end to end, with a limit over all queues', async () => {
    const database = await startDynalite();
    const dynamodb = await connect(database.endpoint);
    const [consumerGroup, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
    await client.createTopic(topic, { readQueueNums: 4, writeQueueNums: 4 });
    await client.createGroup(consumerGroup);
    const kinds = ['fine', 'level', 'seconds', 'dead', 'dropped'];
    const answers: Record<string, object> = {
      level: { delayLevel: 1 },
      seconds: { delaySeconds: 4 },
      dead: { action: 'dlq' },
      dropped: { action: 'drop' },
    };
    const seen: { body: string; at: number; times: number; id: string; born: number }[] = [];
    let [inFlight, most] = [0, 0];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source(
        [subscription(topic, { maximumConcurrency: 2, parallelizationFactor: 4, batchSize: 1 })],
        {
          consumerGroup,
          pullers: 1,
        },
      ),
      options: { commitIntervalMs: 200, renewIntervalMs: 1_000 },
      handler: async ({ Records }) => {
        most = Math.max(most, ++inFlight);
        await sleep(50);
        inFlight--;
        for (const { body, messageId: id, rocketmq } of Records)
          seen.push({
            body,
            at: Date.now(),
            times: rocketmq.reconsumeTimes,
            id,
            born: rocketmq.bornTimestamp,
          });
        const failures = Records.filter(
          ({ body, rocketmq }) => body !== 'fine' && rocketmq.reconsumeTimes === 0,
        );
        return {
          batchItemFailures: failures.map(({ body, messageId }) => ({
            itemIdentifier: messageId,
            ...answers[body],
          })),
        };
      },
    });
    try {
      for (const queueId of [0, 1, 2, 3])
        for (const body of kinds)
          await client.send(
            { topic, body: Buffer.from(body) },
            { queue: { topic, brokerName: 'broker-a', queueId } },
          );
      await until(
        () => seen.filter(({ times }) => times === 1).length === 8,
        'the delayed ones come again',
        90_000,
      );
      const waits = (kind: string) =>
        seen
          .filter(({ body, times }) => body === kind && times === 1)
          .map(({ id, at, born }) => {
            const first = seen.find((other) => other.id === id && other.times === 0);
            assert.equal(first?.born, born, 'its birth is kept');
            return at - (first?.at ?? 0);
          });
      assert.ok(
        waits('level').every((ms) => ms >= 900 && ms < 20_000),
        String(waits('level')),
      );
      assert.ok(
        waits('seconds').every((ms) => ms >= 4_000 && ms < 25_000),
        String(waits('seconds')),
      );
      assert.equal(seen.length, 28, 'dead and dropped ones do not come again');
      assert.ok(most <= 2, `${most} at once`);
      const dead = { topic: dlqTopic(consumerGroup), brokerName: 'broker-a', queueId: 0 };
      await first(dead);
      assert.equal(await client.maxOffset(dead), 4n);
      const reports = await service.end();
      const sum = (name: 'dropped' | 'sentBack') =>
        reports.flatMap(({ queues }) => queues).reduce((all, queue) => all + queue[name], 0);
      assert.deepEqual([sum('dropped'), sum('sentBack')], [4, 12]);
    } finally {
      await service.end();
      dynamodb.destroy();
      await database.stop();
    }
  });

  test('in mode pop, seconds are the time that the message stays invisible', {
    skip: NO_TIMERS,
  }, async () => {
    const database = await startDynalite();
    const dynamodb = await connect(database.endpoint);
    const [consumerGroup, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
    await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup(consumerGroup);
    await client.send({ topic, body: Buffer.from('x') });
    const seen: { at: number; times: number }[] = [];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source([subscription(topic)], { consumerGroup, mode: 'pop' }),
      handler: ({ Records }) => {
        for (const { rocketmq } of Records)
          seen.push({ at: Date.now(), times: rocketmq.reconsumeTimes });
        const failed = Records.filter(({ rocketmq }) => rocketmq.reconsumeTimes === 0);
        return {
          batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })),
          delaySeconds: 6,
        };
      },
    });
    try {
      await until(() => seen.length === 2, 'it comes again', 60_000);
      const [one, two] = seen as [(typeof seen)[0], (typeof seen)[0]];
      assert.deepEqual([one.times, two.times], [0, 1]);
      assert.ok(two.at - one.at >= 5_500 && two.at - one.at < 25_000, `${two.at - one.at} ms`);
    } finally {
      await service.end();
      dynamodb.destroy();
      await database.stop();
    }
  });
});
