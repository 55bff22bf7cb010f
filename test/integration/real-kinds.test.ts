import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Message, PullConsumer } from '../../src/consumer/index.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { jsonLines, mqadmin, runJava } from '../support/java.ts';
import { QUICK_REDELIVERY, type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const KINDS = ['lz4', 'zlib', 'zstd', 'batch', 'transaction', 'delayed', 'timed', 'inner'] as const;
const PREFIX = 'kind-';
const GROUP = 'workers';
const MESSAGES = KINDS.length + 2 * 2;
const ATTEMPTS = 3;

/** 4.9 has no timers and no batch consume queues; the compressions are its own matter (test/contract). */
const skip = missingStack('rocketmq') || (since('5.0') ? false : 'RocketMQ 5');

describe('messages of every kind that Java can send, on a real broker', { skip }, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    world = await startRealWorld({ messageDelayLevel: QUICK_REDELIVERY });
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  test('come again unchanged under the same id, and end in the DLQ unchanged: compressed, batched, transactional, delayed, timed, inner batch', async () => {
    for (const kind of KINDS)
      if (kind !== 'inner')
        await client.createTopic(PREFIX + kind, { readQueueNums: 1, writeQueueNums: 1 });
    const inner = ['-t', `${PREFIX}inner`, '-r', '1', '-w', '1', '-a', '+queue.type=BatchCQ'];
    assert.match(
      await mqadmin(rocketmq.nameServer, ['updateTopic', '-c', 'TestCluster', ...inner]),
      /success/,
    );
    const sent = jsonLines<{ kind: string; ids: string[] }>(
      await runJava('ProduceKinds', [rocketmq.nameServer, PREFIX, ...KINDS]),
    );

    const records: RocketMQRecord[] = [];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source(
        KINDS.map((kind) => subscription(PREFIX + kind, { maximumRetryAttempts: ATTEMPTS - 1 })),
        { consumerGroup: GROUP },
      ),
      handler: ({ Records }) => {
        records.push(...Records);
        return {
          batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })),
        };
      },
    });
    await using consumer = new PullConsumer({
      consumerGroup: 'undertaker',
      nameServers: [rocketmq.nameServer],
    });
    await until(
      async () => {
        const [queue] = await consumer.fetchQueues(dlqTopic(GROUP)).catch(() => []);
        return queue !== undefined && (await consumer.maxOffset(queue)) >= BigInt(MESSAGES);
      },
      'everything is dead-lettered',
      90_000,
    );
    await service.end();
    const dead: Message[] = [];
    for await (const message of consumer.messages(dlqTopic(GROUP)))
      if (dead.push(message) === MESSAGES) break;

    // Brokers before 5.5 give all messages of a batch the id of the batch: there a body tells which one it is.
    const byId = Map.groupBy(records, ({ messageId, body }) => `${messageId} ${body}`);
    assert.equal(byId.size, MESSAGES, 'no id changed');
    // docs/idempotency.md: one key over all deliveries, and one for each message of a batch.
    const keys = Map.groupBy(records, ({ rocketmq }) => rocketmq.idempotencyKey);
    assert.equal(keys.size, MESSAGES, 'as many keys as messages');
    const ids = new Map(records.map(({ messageId, body }) => [`${messageId} ${body}`, messageId]));
    assert.equal(new Set(ids.values()).size, MESSAGES, 'an id for each message of a batch');
    for (const deliveries of byId.values()) {
      const [first] = deliveries as [RocketMQRecord];
      const id = first.messageId;
      const { topic } = first.rocketmq;
      const kind = topic.slice(PREFIX.length);
      assert.deepEqual(
        deliveries.map(({ rocketmq }) => rocketmq.reconsumeTimes),
        [0, 1, 2],
        `${kind}: each delivery once`,
      );
      for (const delivery of deliveries)
        assert.deepEqual(
          [
            delivery.body,
            delivery.rocketmq.topic,
            delivery.rocketmq.tags,
            delivery.rocketmq.keys,
            delivery.messageAttributes.own?.stringValue,
          ],
          [first.body, topic, 'tag', ['key'], 'ä'],
          kind,
        );
      assert.ok(first.body.startsWith(kind), first.body.slice(0, 40));
      const ids = sent.find((one) => one.kind === kind)?.ids ?? [];
      // Java's answer to an inner batch names the batch, which no consumer sees.
      const ownId = kind !== 'inner' && (kind !== 'batch' || since('5.5'));
      if (ownId) assert.ok(ids.includes(id), `${kind} ${id}`);
      const ended = dead.filter(({ msgId, body }) => msgId === id && String(body) === first.body);
      assert.deepEqual(
        ended.map(({ body, properties, reconsumeTimes }) => [
          String(body),
          properties.get('own'),
          properties.get('RETRY_TOPIC'),
          reconsumeTimes,
        ]),
        [[first.body, 'ä', topic, ATTEMPTS]],
        `${kind} in the DLQ`,
      );
    }
  });
});
