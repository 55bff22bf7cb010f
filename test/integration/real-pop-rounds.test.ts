import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCoordinator } from '../../src/coordinator/run-coordinator.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import type { PoppedMessage } from '../../src/model/pop.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { collectingGauges } from '../support/counting-meter.ts';
import { TABLE, TENANT } from '../support/databases.ts';
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
/** A loaded machine's broker would refuse what waits for 200 ms to be stored. */
const PATIENT = { waitTimeMillsInSendQueue: '10000' };
const skip = missingStack('rocketmq') || (since('5.0') ? false : 'RocketMQ 5');

for (const [buffer, enablePopBufferMerge] of [
  ['with', 'true'],
  ['without', 'false'],
] as const)
  describe(`popped messages go round, ${buffer} the broker’s buffer of acknowledgements`, {
    skip,
    concurrency: true,
  }, () => {
    let world: RealWorld;
    let { rocketmq, client, dynamodb } = {} as RealWorld;
    before(async () => {
      world = await startRealWorld({ brokerConf: { ...PATIENT, enablePopBufferMerge } });
      ({ rocketmq, client, dynamodb } = world);
    });
    after(() => world?.stop());

    const resetTo = (time: number, topic: string, group: string) =>
      mqadmin(rocketmq.nameServer, [
        'resetOffsetByTime',
        ...['-g', group, '-t', topic, '-s', String(time), '-f', 'true'],
      ]);
    const popOne = async (consumerGroup: string, topic: string): Promise<PoppedMessage> => {
      for (const giveUpAt = Date.now() + REVIVAL_MS; ; ) {
        const request = {
          consumerGroup,
          topic,
          brokerName,
          subscription: buildSubscription(topic, '*'),
          maxMessages: 1,
        };
        const { messages, undecodable } = await client.pop({
          ...request,
          invisibleMs: 3_000,
          pollMs: 1_000,
          start: 'min',
        });
        assert.deepEqual(undecodable, []);
        if (messages[0] !== undefined) return messages[0];
        assert.ok(Date.now() < giveUpAt, 'nothing came');
      }
    };
    const consume = (
      t: TestContext,
      topic: string,
      consumerGroup: string,
      failures = 0,
      wait: () => unknown = () => undefined,
    ) => {
      const records: RocketMQRecord[] = [];
      const sizes = new Set<number>();
      const service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source([subscription(topic, { batchSize: 1 })], { consumerGroup, mode: 'pop' }),
        handler: async ({ Records }) => {
          records.push(...Records);
          sizes.add(Records.length);
          await wait();
          const failed = Records.filter(({ rocketmq: told }) => told.reconsumeTimes < failures);
          return {
            batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })),
            delaySeconds: 1,
          };
        },
      });
      t.after(() => service.end());
      return { ...service, records, sizes };
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
      const [sent] = jsonLines<{ ids: string[] }>(
        await runJava('ProduceKinds', [rocketmq.nameServer, prefix, 'zlib']),
      );
      const group = `${prefix}workers`;
      const first = await popOne(group, `${prefix}zlib`);
      const second = await popOne(group, `${prefix}zlib`);
      assert.match(String(first.message.body), /^zlib /);
      assert.ok(
        first.message.body.length > 1_000 && second.message.body.equals(first.message.body),
      );
      assert.deepEqual([first.message.msgId, second.message.msgId], [sent?.ids[0], sent?.ids[0]]);
      await client.ack(group, `${prefix}zlib`, second.handle);
    });

    test('each of ten messages fails twice and is done at the third time, with names so long that retries need the second record format', async (t) => {
      const topic = `topic-${buffer.padEnd(72, 'T')}`;
      const group = `group-${buffer.padEnd(72, 'G')}`;
      assert.ok(`%RETRY%${group}+${topic}`.length > 127);
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const { records, sizes, end } = consume(t, topic, group, 2);
      await until(
        () => records.filter(({ rocketmq: told }) => told.reconsumeTimes === 2).length === MESSAGES,
        'all three times',
        120_000,
      );
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
      assert.deepEqual([...sizes], [1], 'batches of batchSize, however many were popped at once');
    });

    test('the coordinator tells what is still to be popped, as mqadmin sees it', async () => {
      const [topic, consumerGroup] = [`lag-${buffer}`, `lag-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      const before = Date.now();
      for (let n = 0; n < 5; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const of = source([subscription(topic)], { consumerGroup, mode: 'pop' });
      const clusters = { default: { nameServers: [rocketmq.nameServer] } };
      /** A run of a second, in which nobody is invoked. */
      const measured = async () => {
        const { record, told } = collectingGauges();
        const store = createAssignmentStore(dynamodb, TABLE, {
          keys: TENANT,
          newToken: randomUUID,
        });
        await runCoordinator({
          service: { service: 'shop', stage: 'dev', clusters, sources: [of] },
          clients: () => client,
          store,
          invoker: { invoke: async () => {} },
          clock: systemClock,
          logger: silentLogger,
          gauges: { record },
          remainingMs: () => 6_000,
        });
        return told.get(`shop-dev/${consumerGroup}`) ?? {};
      };
      const first = await measured();
      assert.equal(first.SumOffsetLag, 5);
      const age = Number(first.OldestMessageAge);
      assert.ok(age > 0 && age <= Date.now() - before, `${age} ms`);
      const request = {
        consumerGroup,
        topic,
        brokerName,
        subscription: buildSubscription(topic, '*'),
      };
      const { messages } = await client.pop({
        ...request,
        maxMessages: 2,
        invisibleMs: 90_000,
        pollMs: 1_000,
        start: 'min',
      });
      assert.equal(messages.length, 2);
      // What is in hand is still waiting only to a broker that keeps account of it in its buffer.
      assert.equal((await measured()).SumOffsetLag, buffer === 'with' ? 5 : 3);
      for (const { handle } of messages) await client.ack(consumerGroup, topic, handle);
      await until(
        async () => (await measured()).SumOffsetLag === 3,
        'the acknowledged ones are done',
        REVIVAL_MS,
      );
      assert.match(
        await mqadmin(rocketmq.nameServer, ['consumerProgress', '-g', consumerGroup, '-t', topic]),
        /Diff Total: 3\b/,
      );
    });

    test('an operator resets the group back: everything from there comes once more', async (t) => {
      const [topic, group] = [`reset-${buffer}`, `reset-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const { records } = consume(t, topic, group);
      await until(() => records.length === MESSAGES, 'all came', 30_000);
      // Brokers note the offsets of a buffer's acknowledgements some seconds later.
      const queue = { topic, brokerName, queueId: 0 };
      await until(
        async () => (await client.queryOffset(group, queue)) === BigInt(MESSAGES),
        'the broker has the offset',
        REVIVAL_MS,
      );
      await resetTo(0, topic, group);
      await until(() => records.length === 2 * MESSAGES, 'all came again', REVIVAL_MS);
      for (const deliveries of Map.groupBy(records, ({ body }) => body).values())
        assert.equal(deliveries.length, 2);
    });

    test('a reset back while messages are in hand: they may be finished, and everything from there comes once more', async (t) => {
      const [topic, group] = [`in-hand-${buffer}`, `in-hand-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const held = Promise.withResolvers<void>();
      const { records } = consume(t, topic, group, 0, () =>
        records.length > MESSAGES / 2 ? held.promise : undefined,
      );
      await until(() => records.length > MESSAGES / 2, 'some are done, one is in hand', 30_000);
      await resetTo(0, topic, group);
      held.resolve();
      const times = (n: number) => records.filter(({ body }) => body === String(n)).length;
      const all = Array.from({ length: MESSAGES }, (_, n) => n);
      await until(
        () => all.every((n) => times(n) >= (n <= MESSAGES / 2 ? 2 : 1)),
        'all came again',
        REVIVAL_MS,
      );
    });

    test('a reset forth while the group is stopped: what lies before does not come any more', async (t) => {
      const [topic, group] = [`forth-${buffer}`, `forth-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      const queue = { topic, brokerName, queueId: 0 };
      await client.send({ topic, body: Buffer.from('first') });
      const before = consume(t, topic, group);
      await until(() => before.records.length === 1, 'the first came', 30_000);
      await before.end();
      await until(
        async () => (await client.queryOffset(group, queue)) === 1n,
        'the broker has the offset',
        REVIVAL_MS,
      );
      for (let n = 0; n < MESSAGES; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      await sleep(500);
      const now = Date.now();
      await sleep(20);
      await client.send({ topic, body: Buffer.from('last') });
      await resetTo(now, topic, group);
      const { records } = consume(t, topic, group);
      await until(() => records.length > 0, 'the last came', 60_000);
      await until(
        async () => (await client.queryOffset(group, queue)) === BigInt(MESSAGES) + 2n,
        'to the end',
        REVIVAL_MS,
      );
      assert.deepEqual(
        records.map(({ body }) => body),
        ['last'],
      );
    });

    test('no more is popped than the handlers can take: the rest stays for others', async (t) => {
      const [topic, group] = [`room-${buffer}`, `room-${buffer}-workers`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      for (let n = 0; n < 100; n++) await client.send({ topic, body: Buffer.from(String(n)) });
      const held = Promise.withResolvers<void>();
      const { records } = consume(t, topic, group, 0, () => held.promise);
      await until(() => records.length > 0, 'the handler has one', 30_000);
      await sleep(2_000);
      const others: string[] = [];
      for (let more = true; more; ) {
        const request = {
          consumerGroup: group,
          topic,
          brokerName,
          subscription: buildSubscription(topic, '*'),
          maxMessages: 32,
        };
        const { messages } = await client.pop({
          ...request,
          invisibleMs: 60_000,
          pollMs: 0,
          start: 'min',
        });
        others.push(...messages.map(({ message }) => String(message.body)));
        for (const { handle } of messages) await client.ack(group, topic, handle);
        more = messages.length > 0;
      }
      assert.ok(others.length >= 90, `${others.length} of 100 were left`);
      held.resolve();
      await until(
        () => new Set([...others, ...records.map(({ body }) => body)]).size === 100,
        'all came',
        30_000,
      );
    });
  });

describe('a broker that goes down while a group pops', { skip }, () => {
  test('pops again when it is back: nothing is lost', async (t) => {
    const world = await startRealWorld({ brokerConf: PATIENT });
    t.after(() => world.stop());
    const { rocketmq, client, dynamodb } = world;
    const topic = 'pop-restart';
    await client.createTopic(topic, { readQueueNums: 2, writeQueueNums: 2 });
    for (let n = 0; n < 100; n++) await client.send({ topic, body: Buffer.from(String(n)) });
    const seen = new Set<string>();
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source([subscription(topic, { batchSize: 1 })], {
        consumerGroup: 'restart-workers',
        mode: 'pop',
      }),
      handler: async ({ Records }) => {
        await sleep(50);
        for (const { body } of Records) seen.add(body);
      },
      options: { popInvisibleMs: 12_000 },
    });
    await until(() => seen.size >= 20, 'some came', 30_000);
    await rocketmq.restartBroker(brokerName, 'SIGKILL');
    await client.send({ topic, body: Buffer.from('after it') });
    await until(() => seen.size === 101, 'all came', 120_000);
    await service.end();
  });
});
