import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { BrokerError } from '../../src/errors.ts';
import type { Message } from '../../src/model/message.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import { Property } from '../../src/records/properties.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';

/** What a puller relies on when a handler asks for seconds that no delay level has: the timer wheel, with its traps. */
describe('redelivery by the timer wheel of a real broker', () => {
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

  async function failed(properties: Record<string, string> = {}): Promise<{ group: string; message: Message }> {
    const [group, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
    await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup(group);
    await client.send({ topic, body: Buffer.from('body'), properties: { own: 'x', ...properties } });
    return { group, message: await first({ topic, brokerName: 'broker-a', queueId: 0 }) };
  }

  async function first(queue: MessageQueue, withinMs = 20_000): Promise<Message> {
    for (const giveUpAt = Date.now() + withinMs; Date.now() < giveUpAt; ) {
      const request = { consumerGroup: 'reader', queue, offset: 0n, subscription: buildSubscription(queue.topic, '*') };
      const result = await client.pull({ ...request, maxMessages: 32, suspendMs: 1_000 }).catch((error: unknown) => {
        // The topic is made with its first message.
        if (error instanceof BrokerError || (error as Error).name === 'TopicNotFoundError') return undefined;
        throw error;
      });
      if (result?.status === 'FOUND' && result.messages[0] !== undefined) return result.messages[0];
    }
    throw new Error(`no message in ${queue.topic}`);
  }

  const retryQueue = (group: string): MessageQueue => ({ topic: retryTopic(group), brokerName: 'broker-a', queueId: 0 });

  test('comes to the retry topic to the second, as the redelivery that request 36 makes', async () => {
    const { group, message } = await failed();
    const sentAt = Date.now();
    assert.equal(await client.sendBackTimed(group, message, 4_000, 16), true);
    const again = await first(retryQueue(group));
    const waited = again.storeTimestamp - sentAt;
    assert.ok(waited >= 3_000 && waited < 6_000, `${waited} ms`);
    assert.deepEqual([again.reconsumeTimes, again.msgId, String(again.body)], [1, message.msgId, 'body']);
    const { properties } = again;
    assert.deepEqual([properties.get('own'), properties.get(Property.RETRY_TOPIC)], ['x', message.topic]);
    // A second round: what the first one left on it must not make it come at once.
    const sentAgainAt = Date.now();
    assert.equal(await client.sendBackTimed(group, again, 4_000, 16), true);
    const queue = { ...retryQueue(group) };
    let third: Message | undefined;
    for (const giveUpAt = Date.now() + 20_000; third === undefined && Date.now() < giveUpAt; ) {
      const request = { consumerGroup: 'reader', queue, offset: 1n, subscription: buildSubscription(queue.topic, '*') };
      const result = await client.pull({ ...request, maxMessages: 32, suspendMs: 1_000 });
      if (result.status === 'FOUND') third = result.messages[0];
    }
    assert.ok(third);
    assert.ok(third.storeTimestamp - sentAgainAt >= 3_000, `${third.storeTimestamp - sentAgainAt} ms`);
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

  test('a message that was itself sent with a delay waits all the same', async () => {
    const { group, message } = await failed({ [Property.TIMER_DELAY_SEC]: '2' });
    assert.ok(message.properties.has(Property.TIMER_OUT_MS));
    const sentAt = Date.now();
    assert.equal(await client.sendBackTimed(group, message, 4_000, 16), true);
    const waited = (await first(retryQueue(group))).storeTimestamp - sentAt;
    assert.ok(waited >= 3_000, `${waited} ms`);
  });

  test('0 comes at once; more than three days is refused', async () => {
    const { group, message } = await failed();
    const sentAt = Date.now();
    await client.sendBackTimed(group, message, 0, 16);
    assert.ok((await first(retryQueue(group))).storeTimestamp - sentAt < 1_500);
    await assert.rejects(client.sendBackTimed(group, message, (3 * 24 * 3600 + 60) * 1000, 16), BrokerError);
  });

  test('over the limit it is dead-lettered', async () => {
    const { group, message } = await failed();
    await client.sendBackTimed(group, message, 4_000, 0);
    assert.equal((await first({ topic: dlqTopic(group), brokerName: 'broker-a', queueId: 0 })).msgId, message.msgId);
  });
});
