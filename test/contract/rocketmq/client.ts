import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../../src/client/rocketmq-client.ts';
import { BrokerError, GroupNotFoundError, TopicNotFoundError } from '../../../src/errors.ts';
import type { Message } from '../../../src/model/message.ts';
import type { MessageQueue } from '../../../src/model/message-queue.ts';
import { dlqTopic, retryTopic } from '../../../src/model/message-queue.ts';
import { readableQueues } from '../../../src/model/route.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import { setAsideBefore } from '../../../src/records/own-retry.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';

const unique = (prefix: string) => `${prefix}-${randomBytes(5).toString('hex')}`;

/** The same broker through the port that the flows use. */
export function clientChecks(target: () => ContractTarget): void {
  describe('through the client', { concurrency: true }, () => {
    let client: RocketMQ;
    before(() => {
      client = createRocketMQClient({ nameServers: [target().nameServer] });
    });
    after(() => client.close());

    async function newQueue(queues = 1): Promise<MessageQueue> {
      const topic = unique('client');
      await client.createTopic(topic, { readQueueNums: queues, writeQueueNums: queues });
      const [queue] = readableQueues(await client.topicRoute(topic, { fresh: true }));
      assert(queue);
      return queue;
    }

    /** Pulls from 0 until there are so many messages. */
    async function read(
      queue: MessageQueue,
      count: number,
      filter = '*',
      consumerGroup = unique('reader'),
    ): Promise<readonly Message[]> {
      for (const until = Date.now() + 10_000; ; await sleep(50)) {
        const subscription = buildSubscription(queue.topic, filter);
        const result = await client.pull({
          consumerGroup,
          queue,
          offset: 0n,
          subscription,
          maxMessages: 32,
          suspendMs: 0,
        });
        if (result.status === 'FOUND' && result.messages.length >= count) return result.messages;
        assert(Date.now() < until, `${queue.topic} has no ${count} messages: ${result.status}`);
      }
    }

    /** A broker tells the name server of a topic that it made by itself, a moment later. */
    async function queuesOf(topic: string): Promise<MessageQueue[]> {
      for (const giveUpAt = Date.now() + 5_000; ; await sleep(50)) {
        const route = await client.topicRoute(topic, { fresh: true }).catch((error: unknown) => {
          if (Date.now() > giveUpAt) throw error;
        });
        if (route !== undefined) return readableQueues(route);
      }
    }

    async function sent(
      queue: MessageQueue,
      body = 'hello',
      properties: Record<string, string> = {},
    ): Promise<Message> {
      await client.send(
        { topic: queue.topic, body: Buffer.from(body), properties, tags: 'A', keys: ['k1', 'k2'] },
        { queue },
      );
      const message = (await read(queue, 1)).at(-1);
      assert(message);
      return message;
    }

    it('reads routes and names brokers', async () => {
      const queue = await newQueue(3);
      const route = await client.topicRoute(queue.topic, { fresh: true });
      assert.deepEqual(
        [readableQueues(route).length, queue.brokerName, await client.brokerNames()],
        [3, target().broker.name, [queue.brokerName]],
      );
      await assert.rejects(client.topicRoute(unique('nobody')), TopicNotFoundError);
    });

    it('sends, and gets back what it sent', async () => {
      const queue = await newQueue();
      const result = await client.send({
        topic: queue.topic,
        body: Buffer.from('text'),
        tags: 'A',
        keys: ['a', 'b'],
        flag: 3,
        properties: { own: 'x' },
      });
      const [message] = await read(queue, 1);
      assert(message);
      assert.deepEqual([result.status, result.queue, result.queueOffset], ['SEND_OK', queue, 0n]);
      assert.deepEqual([message.msgId, message.offsetMsgId], [result.msgId, result.offsetMsgId]);
      const { properties } = message;
      assert.deepEqual(
        [properties.get('TAGS'), properties.get('KEYS'), properties.get('own'), message.flag],
        ['A', 'a b', 'x', 3],
      );
      assert.deepEqual(
        [String(message.body), message.reconsumeTimes, message.queueOffset],
        ['text', 0, 0n],
      );
    });

    it('sends a batch into one queue', async () => {
      const queue = await newQueue();
      const messages = ['one', 'two', 'three'].map((body) => ({
        topic: queue.topic,
        body: Buffer.from(body),
        tags: body,
      }));
      await client.sendBatch(messages, { queue });
      assert.deepEqual(
        (await read(queue, 3)).map((message) => String(message.body)),
        ['one', 'two', 'three'],
      );
      assert.deepEqual(
        (await read(queue, 1, 'two')).map((message) => String(message.body)),
        ['two'],
      );
    });

    it('drops a message whose tag only hashes alike', async () => {
      const queue = await newQueue();
      await client.send({ topic: queue.topic, body: Buffer.from('x'), tags: 'BB' }, { queue });
      await read(queue, 1);
      const subscription = buildSubscription(queue.topic, 'Aa');
      const result = await client.pull({
        consumerGroup: unique('g'),
        queue,
        offset: 0n,
        subscription,
        maxMessages: 32,
        suspendMs: 0,
      });
      assert.deepEqual(
        [result.status, result.nextBeginOffset, result.status === 'FOUND' && result.messages],
        ['FOUND', 1n, []],
      );
    });

    it('tells the four ends of a pull apart', async () => {
      const queue = await newQueue();
      const pull = async (offset: bigint, filter = '*') => {
        const subscription = buildSubscription(queue.topic, filter);
        return (
          await client.pull({
            consumerGroup: unique('g'),
            queue,
            offset,
            subscription,
            maxMessages: 32,
            suspendMs: 0,
          })
        ).status;
      };
      await sent(queue);
      assert.deepEqual(
        [await pull(0n), await pull(1n), await pull(0n, 'B'), await pull(7n)],
        ['FOUND', 'NO_NEW_MSG', 'NO_MATCHED_MSG', 'OFFSET_MOVED'],
      );
    });

    it('wakes up from a long poll', async () => {
      const queue = await newQueue();
      const subscription = buildSubscription(queue.topic, '*');
      const held = client.pull({
        consumerGroup: unique('g'),
        queue,
        offset: 0n,
        subscription,
        maxMessages: 32,
        suspendMs: 15_000,
      });
      await sleep(200);
      await client.send({ topic: queue.topic, body: Buffer.from('x') }, { queue });
      assert.equal((await held).status, 'FOUND');
    });

    it('commits and reads offsets, and knows an unknown group', async () => {
      const [queue, group] = [await newQueue(), unique('group')];
      assert.equal(await client.queryOffset(group, queue), undefined);
      await assert.rejects(client.commitOffset(group, queue, 1n), GroupNotFoundError);
      await client.createGroup(group);
      assert.deepEqual(await client.commitOffset(group, queue, 5n), { resetPending: false });
      assert.equal(await client.queryOffset(group, queue), 5n);
    });

    it('tells a queue’s ends and finds by time', async () => {
      const queue = await newQueue();
      const { storeTimestamp } = await sent(queue);
      assert.deepEqual(
        [
          await client.minOffset(queue),
          await client.maxOffset(queue),
          await client.searchOffset(queue, storeTimestamp),
          await client.searchOffset(queue, storeTimestamp + 1),
        ],
        [0n, 1n, 0n, 1n],
      );
    });

    it('sends back: retry topic first, DLQ at the limit', async () => {
      const [queue, consumerGroup] = [await newQueue(), unique('group')];
      const settings = {
        consumerGroup,
        brokerName: queue.brokerName,
        originTopic: queue.topic,
        delayLevel: 1,
        maxReconsumeTimes: 1,
      };
      const original = await sent(queue);
      await client.sendBack({
        ...settings,
        commitLogOffset: original.commitLogOffset,
        originMsgId: original.offsetMsgId,
      });
      const [again] = await read({ ...queue, topic: retryTopic(consumerGroup), queueId: 0 }, 1);
      assert(again);
      assert.deepEqual(
        [again.reconsumeTimes, again.msgId, again.properties.get('RETRY_TOPIC')],
        [1, original.msgId, queue.topic],
      );
      await client.sendBack({
        ...settings,
        commitLogOffset: again.commitLogOffset,
        originMsgId: again.offsetMsgId,
      });
      const [dead] = await read({ ...queue, topic: dlqTopic(consumerGroup), queueId: 0 }, 1);
      assert.deepEqual([dead?.reconsumeTimes, dead?.msgId], [2, original.msgId]);
    });

    it('sends back at the DLQ’s own level, and says when the message is gone', async () => {
      const [queue, consumerGroup] = [await newQueue(), unique('group')];
      const { commitLogOffset, offsetMsgId: originMsgId } = await sent(queue);
      const request = {
        consumerGroup,
        brokerName: queue.brokerName,
        originTopic: queue.topic,
        originMsgId,
        maxReconsumeTimes: 16,
        delayLevel: -1,
      };
      await client.sendBack({ ...request, commitLogOffset });
      assert.equal(
        (await read({ ...queue, topic: dlqTopic(consumerGroup), queueId: 0 }, 1)).length,
        1,
      );
      await assert.rejects(
        client.sendBack({ ...request, commitLogOffset: 1n << 50n }),
        (error) => error instanceof BrokerError && error.responseCode === 1,
      );
    });

    it('sends back as an ordinary message', async () => {
      const [queue, consumerGroup] = [await newQueue(), unique('group')];
      await client.createGroup(consumerGroup);
      const original = await sent(queue, 'body', { own: 'x' });
      await client.sendBackAsNormalMessage(consumerGroup, original, 1, 16);
      // The topic is made from the template, so it may have more than the group's one queue.
      const queues = await queuesOf(retryTopic(consumerGroup));
      const [again] = await Promise.any(queues.map((retryQueue) => read(retryQueue, 1)));
      assert(again);
      const { properties } = again;
      assert.deepEqual(
        [again.reconsumeTimes, again.msgId, String(again.body)],
        [1, original.msgId, 'body'],
      );
      assert.deepEqual([properties.get('RETRY_TOPIC'), properties.get('own')], [queue.topic, 'x']);
      await client.sendBackAsNormalMessage(consumerGroup, original, -1, 16);
      assert.equal(
        (await read({ ...queue, topic: dlqTopic(consumerGroup), queueId: 0 }, 1)).length,
        1,
      );
    });

    it('stores a redelivery again with the count that it has, beyond the limit of its group too', async () => {
      const [queue, consumerGroup] = [await newQueue(), unique('group')];
      await client.createGroup(consumerGroup);
      await client.createTopic(retryTopic(consumerGroup), { readQueueNums: 1, writeQueueNums: 1 });
      const original = await sent(queue, 'body', { own: 'x' });
      await client.sendBackAsNormalMessage(consumerGroup, original, 1, 16);
      const [retryQueue] = await queuesOf(retryTopic(consumerGroup));
      assert(retryQueue);
      const [first] = await read(retryQueue, 1);
      assert(first);
      // More failures than any group allows by itself.
      const [failed, localRetries] = [first.reconsumeTimes, 40];
      const aside = { level: 1, times: 2, at: Date.now() };
      await client.setAside(consumerGroup, first, aside, { localRetries });
      const [, again] = await read(retryQueue, 2);
      assert(again);
      assert.deepEqual(
        [again.reconsumeTimes, again.msgId, again.bornTimestamp, String(again.body)],
        [failed + localRetries, original.msgId, first.bornTimestamp, 'body'],
      );
      const kept = ['RETRY_TOPIC', 'ORIGIN_MESSAGE_ID', 'own', 'SERVERLESS_FIRST_STORED_MS'];
      for (const name of kept) assert.equal(again.properties.get(name), first.properties.get(name));
      assert.deepEqual(setAsideBefore(again, consumerGroup)?.times, 2);
    });

    it('locks and unlocks', async () => {
      const queue = await newQueue();
      const group = unique('group');
      assert.deepEqual(await client.lockQueues(group, 'one', [queue]), [queue]);
      assert.deepEqual(await client.lockQueues(group, 'two', [queue]), []);
      await client.unlockQueues(group, 'one', [queue]);
      assert.deepEqual(await client.lockQueues(group, 'two', [queue]), [queue]);
    });

    it('sees nobody in a group that has nobody', async () => {
      const { brokerName } = await newQueue();
      assert.deepEqual(
        [
          await client.consumerIds(unique('g'), brokerName),
          await client.consumerConnections(unique('g'), brokerName),
        ],
        [[], []],
      );
    });
  });
}
