import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RocketMQRecord } from '../../src/model/event.ts';
import type { PoppedMessage } from '../../src/model/pop.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { jsonLines, mqadmin, runJava } from '../support/java.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const brokerName = 'broker-a';
const BIG = 3 * 1024 * 1024;
const MESSAGES = 10;
/** A broker brings what was not acknowledged back after its time and its own scans. */
const REVIVAL_MS = 90_000;
const skip = missingStack('rocketmq') || (since('5.0') ? false : 'RocketMQ 5');

for (const [buffer, enablePopBufferMerge] of [
  ['with', 'true'],
  ['without', 'false'],
] as const)
  describe(`popped messages go round, ${buffer} the broker’s buffer of acknowledgements`, { skip, concurrency: true }, () => {
    let world: RealWorld;
    let { rocketmq, client, dynamodb } = {} as RealWorld;
    before(async () => {
      world = await startRealWorld({ brokerConf: { enablePopBufferMerge } });
      ({ rocketmq, client, dynamodb } = world);
    });
    after(() => world?.stop());

    const popOne = async (consumerGroup: string, topic: string): Promise<PoppedMessage> => {
      for (const giveUpAt = Date.now() + REVIVAL_MS; ; ) {
        const request = { consumerGroup, topic, brokerName, subscription: buildSubscription(topic, '*'), maxMessages: 1 };
        const { messages, undecodable } = await client.pop({ ...request, invisibleMs: 3_000, pollMs: 1_000, start: 'min' });
        assert.deepEqual(undecodable, []);
        if (messages[0] !== undefined) return messages[0];
        assert.ok(Date.now() < giveUpAt, 'nothing came');
      }
    };
    const consume = (t: TestContext, topic: string, consumerGroup: string, failures: number) => {
      const records: RocketMQRecord[] = [];
      const service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source([subscription(topic, { batchSize: 1 })], { consumerGroup, mode: 'pop' }),
        handler: ({ Records }) => {
          records.push(...Records);
          const failed = Records.filter(({ rocketmq: told }) => told.reconsumeTimes < failures);
          return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })), delaySeconds: 1 };
        },
      });
      t.after(() => service.end());
      return { ...service, records };
    };

    test('a big message comes whole, and whole again when nobody acknowledged it', async () => {
      const [topic, group] = [`big-${buffer}`, `big-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      const body = Buffer.from(Array.from({ length: BIG }, (_, index) => (index * 31) % 251));
      await client.send({ topic, body });
      const first = await popOne(group, topic);
      const second = await popOne(group, topic);
      assert.deepEqual([first.message.reconsumeTimes, second.message.reconsumeTimes], [0, 1]);
      assert.ok(first.message.body.equals(body) && second.message.body.equals(body));
      assert.equal(second.message.msgId, first.message.msgId);
      await client.ack(group, topic, second.handle);
    });

    test('what Java compressed is opened at both deliveries', async () => {
      const prefix = `packed-${buffer}-`;
      await client.createTopic(`${prefix}zlib`, { readQueueNums: 1, writeQueueNums: 1 });
      const [sent] = jsonLines<{ ids: string[] }>(await runJava('ProduceKinds', [rocketmq.nameServer, prefix, 'zlib']));
      const group = `${prefix}workers`;
      const first = await popOne(group, `${prefix}zlib`);
      const second = await popOne(group, `${prefix}zlib`);
      assert.match(String(first.message.body), /^zlib /);
      assert.ok(first.message.body.length > 1_000 && second.message.body.equals(first.message.body));
      assert.deepEqual([first.message.msgId, second.message.msgId], [sent?.ids[0], sent?.ids[0]]);
      await client.ack(group, `${prefix}zlib`, second.handle);
    });

    test('each of ten messages fails twice and is done at the third time, with names so long that retries need the second record format', async (t) => {
      const topic = `topic-${buffer.padEnd(72, 'T')}`;
      const group = `group-${buffer.padEnd(72, 'G')}`;
      assert.ok(`%RETRY%${group}+${topic}`.length > 127);
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const { records, end } = consume(t, topic, group, 2);
      await until(() => records.filter(({ rocketmq: told }) => told.reconsumeTimes === 2).length === MESSAGES, 'all three times', 120_000);
      await end();
      for (const [body, deliveries] of Map.groupBy(records, (record) => record.body)) {
        assert.deepEqual(
          deliveries.map(({ rocketmq: told }) => [told.reconsumeTimes, told.topic]),
          [0, 1, 2].map((times) => [times, topic]),
          body,
        );
        assert.equal(new Set(deliveries.map(({ messageId }) => messageId)).size, 1);
      }
      assert.equal(records.length, 3 * MESSAGES);
    });

    test('an operator resets the group back: everything from there comes once more', async (t) => {
      const [topic, group] = [`reset-${buffer}`, `reset-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const { records } = consume(t, topic, group, 0);
      await until(() => records.length === MESSAGES, 'all came', 30_000);
      // Brokers note the offsets of a buffer's acknowledgements some seconds later.
      const queue = { topic, brokerName, queueId: 0 };
      await until(async () => (await client.queryOffset(group, queue)) === BigInt(MESSAGES), 'the broker has the offset', REVIVAL_MS);
      await mqadmin(rocketmq.nameServer, ['resetOffsetByTime', '-g', group, '-t', topic, '-s', '0', '-f', 'true']);
      await until(() => records.length === 2 * MESSAGES, 'all came again', REVIVAL_MS);
      for (const deliveries of Map.groupBy(records, ({ body }) => body).values()) assert.equal(deliveries.length, 2);
    });
  });
