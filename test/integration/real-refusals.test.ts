import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import { TopicNotFoundError } from '../../src/errors.ts';
import type { Message } from '../../src/model/message.ts';
import { dlqTopic, retryTopic } from '../../src/model/message-queue.ts';
import { encodeBatchItem } from '../../src/records/batch-items.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { mqadmin } from '../support/java.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { QUICK_REDELIVERY, type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

/** What a broker stores as an item of a batch, and may not take back as a message of its own. */
const REFUSED = {
  'an empty body': { body: Buffer.alloc(0), properties: { UNIQ_KEY: 'BAD', own: 'x' } },
  'properties that nothing can be added to': {
    body: Buffer.from('poison'),
    properties: { UNIQ_KEY: 'BAD', large: 'l'.repeat(32_600) },
  },
};

describe('messages that a real broker does not take back', {
  skip: missingStack('rocketmq'),
}, () => {
  let world: RealWorld;
  before(async () => {
    world = await startRealWorld({ messageDelayLevel: QUICK_REDELIVERY });
  });
  after(() => world?.stop());

  for (const [name, bad] of Object.entries(REFUSED))
    test(`${name}: delivered as often as allowed, then once in the DLQ, and the queue goes on`, async () => {
      const { client, dynamodb, rocketmq } = world;
      const [consumerGroup, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
      const queue = { topic, brokerName: 'broker-a', queueId: 0 };
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      await client.createGroup(consumerGroup);
      const items = [
        { body: Buffer.from('first'), properties: { UNIQ_KEY: 'FIRST' } },
        bad,
        { body: Buffer.from('last'), properties: { UNIQ_KEY: 'LAST' } },
      ].map((item) => encodeBatchItem({ flag: 0, ...item }));
      const connection = await connectRaw(rocketmq.brokers[0]?.address ?? '');
      const fields = { a: 'p', b: topic, c: 'TBW102', d: 4, e: 0, f: 0, g: Date.now(), h: 0 };
      const stored = await connection.call(
        320,
        { ...fields, i: '', j: 0, k: false, m: true },
        { body: Buffer.concat(items) },
      );
      connection.close();
      assert.equal(stored.code, 0, stored.remark);
      const told: number[] = [];
      const service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source(
          [subscription(topic, { maximumRetryAttempts: 2, retryDelay: { level: 1 } })],
          { consumerGroup },
        ),
        handler: ({ Records }) => {
          const failed = Records.filter(
            ({ body, rocketmq: { properties } }) =>
              body === '' || body === 'poison' || 'large' in properties,
          );
          told.push(...failed.map(({ rocketmq }) => rocketmq.reconsumeTimes));
          return {
            batchItemFailures: failed.map(({ receiptHandle }) => ({
              itemIdentifier: receiptHandle,
            })),
          };
        },
      });
      try {
        const dead: Message[] = [];
        await until(
          async () => {
            if ((await client.queryOffset(consumerGroup, queue)) !== 3n) return false;
            dead.length = 0;
            try {
              for await (const { message } of peekDeadLetters(client, consumerGroup))
                if (message !== undefined) dead.push(message);
            } catch {
              // 4.9 makes the dead-letter topic without the right to read it.
              await client.createTopic(`%DLQ%${consumerGroup}`, {
                readQueueNums: 1,
                writeQueueNums: 1,
              });
            }
            return dead.length > 0;
          },
          'it is in the DLQ',
          90_000,
        );
        assert.deepEqual(told, [0, 1, 2]);
        assert.equal(dead.length, 1);
        assert.ok(dead[0]?.properties.get('RETRY_TOPIC') === topic);
        assert.ok(
          bad.body.length > 0
            ? dead[0]?.body.equals(bad.body)
            : // 4.9 takes empty bodies back.
              ['', '(empty body)'].includes(String(dead[0]?.body)),
        );
      } finally {
        await service.end();
      }
    });

  test('a group without retry queues: the broker says that it stored a send-back, and stores nothing, until mqadmin gives it one', async () => {
    const { client } = world;
    const [consumerGroup, topic] = [`g-${randomUUID()}`, `t-${randomUUID()}`];
    await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup(consumerGroup, { retryQueueNums: 0 });
    const { queue } = await client.send({ topic, body: Buffer.from('lost') });
    const pulled = await client.pull({
      consumerGroup,
      queue,
      offset: 0n,
      subscription: buildSubscription(topic, '*'),
      maxMessages: 1,
      suspendMs: 0,
    });
    const [message] = pulled.status === 'FOUND' ? pulled.messages : [];
    assert.ok(message);
    const sendBack = async (): Promise<void> => {
      for (const delayLevel of [1, -1])
        await client.sendBack({
          consumerGroup,
          brokerName: message.brokerName,
          commitLogOffset: message.commitLogOffset,
          delayLevel,
          maxReconsumeTimes: 16,
          originMsgId: message.offsetMsgId,
          originTopic: topic,
        });
    };
    const made = [retryTopic(consumerGroup), dlqTopic(consumerGroup)];
    await sendBack();
    for (const name of made)
      await assert.rejects(client.topicRoute(name, { fresh: true }), TopicNotFoundError);
    const options = ['-c', 'TestCluster', '-g', consumerGroup, '-r', '1'];
    const output = await mqadmin(world.rocketmq.nameServer, ['updateSubGroup', ...options]);
    assert.match(output, /success/);
    await sendBack();
    for (const name of made)
      await until(
        () =>
          client.topicRoute(name, { fresh: true }).then(
            () => true,
            () => false,
          ),
        `a route of ${name}`,
      );
  });
});
