import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { retryTopic } from '../../src/model/message-queue.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

describe('a real broker that announces an IPv6 address', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  let client: RocketMQClient;

  before(async () => {
    rocketmq = await startRealRocketMQ({
      announcedHost: '[::1]',
      brokerConf: { bindAddress: '::' },
      messageDelayLevel: Array.from({ length: 18 }, () => '1s').join(' '),
    });
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    await client.createTopic('orders', { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup('workers');
  });
  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  test('messages with IPv6 hosts are sent, pulled, sent back and come again', async () => {
    const { brokers } = await client.topicRoute('orders');
    assert.match(brokers[0]?.brokerAddrs.get(0) ?? '', /^\[::1\]:\d+$/);
    await client.send({ topic: 'orders', body: Buffer.from('over IPv6') });
    const pulled = async (topic: string) => {
      const queue = { topic, brokerName: 'broker-a', queueId: 0 };
      await until(
        async () => (await client.maxOffset(queue).catch(() => 0n)) === 1n,
        `one message in ${topic}`,
        30_000,
      );
      const subscription = buildSubscription(topic, '*');
      const result = await client.pull({
        consumerGroup: 'workers',
        queue,
        offset: 0n,
        subscription,
        maxMessages: 32,
        suspendMs: 2000,
      });
      assert.equal(result.status, 'FOUND');
      const [message] = result.status === 'FOUND' ? result.messages : [];
      assert.ok(message !== undefined);
      assert.equal(message.body.toString(), 'over IPv6');
      assert.equal(message.bornHost.address, '0:0:0:0:0:0:0:1');
      return message;
    };
    const { commitLogOffset, offsetMsgId } = await pulled('orders');
    await client.sendBack({
      consumerGroup: 'workers',
      brokerName: 'broker-a',
      commitLogOffset,
      delayLevel: 1,
      originMsgId: offsetMsgId,
      originTopic: 'orders',
      maxReconsumeTimes: 16,
    });
    assert.equal((await pulled(retryTopic('workers'))).reconsumeTimes, 1);
  });
});
