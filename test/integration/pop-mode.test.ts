import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { listDeadLetters } from '../../src/dlq/dead-letters.ts';
import { BodyNotStoredError, BrokerError, UnsupportedRequestError } from '../../src/errors.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { BodyStore } from '../../src/ports/body-store.ts';
import type { Meter } from '../../src/ports/meter.ts';
import { InlineTurns } from '../../src/puller/inline-turns.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { countingMeter } from '../support/counting-meter.ts';
import { RECIPE_NAMES, startRecipes } from '../support/idempotent-recipes.ts';
import { type InProcessService, startInProcess } from '../support/in-process-service.ts';
import { startRealRocketMQ } from '../support/real-rocketmq.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since, TESTED_VERSION } from '../support/stack.ts';
import { until } from '../support/until.ts';

/** A broker brings what was not acknowledged back after its time and its own scans. */
const REVIVAL_MS = 60_000;

if (since('5.0'))
  describe('a group in mode pop, on a real broker', {
    skip: missingStack('rocketmq'),
    concurrency: true,
  }, () => {
    let world: RealWorld;
    let { rocketmq, client, dynamodb } = {} as RealWorld;
    before(async () => {
      world = await startRealWorld({ brokerConf: { enablePropertyFilter: 'true' } });
      ({ rocketmq, client, dynamodb } = world);
    });
    after(() => world?.stop());

    function deploy(
      t: TestContext,
      topic: string,
      handler: (event: RocketMQEvent) => unknown,
      settings: Partial<SubscriptionConfig> = {},
      deps: {
        readonly bodies?: BodyStore;
        readonly meter?: Meter;
        readonly inlineTurns?: InlineTurns;
      } = {},
    ): InProcessService {
      const subscriptions = [subscription(topic, { maximumRetryAttempts: 1, ...settings })];
      const service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source(subscriptions, { consumerGroup: `${topic}-workers`, mode: 'pop' }),
        handler,
        options: { idleTimeoutMs: 3_000, popInvisibleMs: 12_000 },
        ...deps,
      });
      t.after(() => service.end());
      return service;
    }
    const produce = async (topic: string, count: number): Promise<void> => {
      await client.createTopic(topic, { readQueueNums: 4, writeQueueNums: 4 });
      for (let n = 0; n < count; n++)
        await until(() => sent(topic, String(n)), `message ${n} is sent`, 20_000);
    };
    /** All tests of this file begin at once: a broker that is busy has not stored the message. */
    const sent = (topic: string, body: string): Promise<boolean> =>
      client.send({ topic, body: Buffer.from(body) }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof BrokerError && error.responseCode === ResponseCode.SYSTEM_BUSY)
            return false;
          throw error;
        },
      );
    const deadLetters = async (consumerGroup: string): Promise<string[]> => {
      const queue: MessageQueue = {
        topic: `%DLQ%${consumerGroup}`,
        brokerName: 'broker-a',
        queueId: 0,
      };
      const plain = {
        topic: queue.topic,
        subString: '*',
        expressionType: 'TAG',
        tagsSet: [],
        codeSet: [],
        subVersion: 0,
      } as const;
      const request = {
        consumerGroup: 'reader',
        queue,
        offset: 0n,
        subscription: plain,
        maxMessages: 32,
        suspendMs: 0,
      };
      const result = await client.pull(request).catch(() => undefined);
      return result?.status === 'FOUND'
        ? result.messages.map(({ body }) => String(body)).sort()
        : [];
    };

    test('a body that cannot be put makes its message wait here, uncounted, while the others are handled', async (t) => {
      const topic = 'pop-bodies';
      await produce(topic, 4);
      await client.send({ topic, body: Buffer.from('large body') });
      const [puts, seen]: [string[], [string, number][]] = [[], []];
      // The first puts meet a bucket that is not there.
      const bodies: BodyStore = {
        put: async ({ bucket, key }, body) => {
          puts.push(String(body));
          if (puts.length < 3)
            throw new BodyNotStoredError(bucket, key, 'NoSuchBucket', 'Create it');
        },
      };
      const handler = ({ Records }: RocketMQEvent) => {
        for (const { body, rocketmq } of Records)
          seen.push([rocketmq.s3Pointer?.bucket ?? body, rocketmq.reconsumeTimes]);
      };
      const s3PointerThreshold = { bytes: 5, bucket: 'arn:aws:s3:::large', prefix: 'bodies' };
      const { end } = deploy(t, topic, handler, { s3PointerThreshold }, { bodies });
      await until(() => seen.length === 5, 'five messages are handled', 60_000);
      await end();
      assert.deepEqual(
        seen.slice(0, 4).sort(),
        ['0', '1', '2', '3'].map((body) => [body, 0]),
      );
      assert.deepEqual(seen[4], ['large', 0]);
      assert.deepEqual(puts, ['large body', 'large body', 'large body']);
      assert.deepEqual(await deadLetters(`${topic}-workers`), []);
    });

    test('every message is handled once; failures come back counted, and end in the DLQ after their attempts', async (t) => {
      const topic = 'pop-path';
      await produce(topic, 40);
      const times = new Map<string, number[]>();
      const ids = new Map<string, Set<string>>();
      const consumerGroup = `${topic}-workers`;
      let active = 0;
      const { requests, end, assignments } = deploy(
        t,
        topic,
        async ({ Records }) => {
          assert.equal(++active, 1, 'one call at a time in a process');
          await sleep(5);
          active--;
          for (const {
            body,
            messageId,
            rocketmq: { reconsumeTimes, topic: told },
          } of Records) {
            times.set(body, [...(times.get(body) ?? []), reconsumeTimes]);
            ids.set(body, (ids.get(body) ?? new Set()).add(messageId));
            assert.equal(told, topic);
          }
          const failed = Records.filter(
            ({ body, rocketmq: { reconsumeTimes } }) =>
              body === '7' || (body === '3' && reconsumeTimes === 0),
          );
          return {
            batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })),
          };
        },
        { batchSize: 8, parallelizationFactor: 2 },
        { inlineTurns: new InlineTurns() },
      );
      await until(() => times.size === 40, 'all came', 20_000);
      assert.deepEqual(
        (await assignments())
          .filter(({ queue }) => queue.topic === topic)
          .map(({ queue }) => queueKey(queue)),
        [`${topic}/broker-a/pop-0`],
      );
      await until(
        () => times.get('3')?.length === 2 && times.get('7')?.length === 2,
        'the failed ones came again',
        REVIVAL_MS,
      );
      assert.deepEqual(
        [times.get('3'), times.get('7')],
        [
          [0, 1],
          [0, 1],
        ],
      );
      for (
        const giveUpAt = Date.now() + 10_000;
        (await deadLetters(consumerGroup)).length === 0 && Date.now() < giveUpAt;
      )
        await sleep(100);
      assert.deepEqual(await deadLetters(consumerGroup), ['7']);
      const reports = await end();
      assert.ok(
        [...times].every(([body, seen]) => seen.length === (body === '3' || body === '7' ? 2 : 1)),
      );
      assert.ok(
        [...ids.values()].every((set) => set.size === 1),
        'message ids are stable over redeliveries',
      );
      assert.ok(requests.length > 0);
      const sums = reports.flatMap(({ queues }) => queues);
      assert.equal(
        sums.reduce((sum, { handled }) => sum + handled, 0),
        39,
      );
    });

    test('in a namespace, by an SQL92 filter: names are plain to the handler, redeliveries and dead letters stay in the namespace', async (t) => {
      const [topic, consumerGroup] = ['pop-named', 'pop-named-workers'];
      const inside = createRocketMQClient({
        nameServers: [rocketmq.nameServer],
        namespace: 'MQ_INST_1',
      });
      t.after(() => inside.close());
      await inside.createTopic(topic, { readQueueNums: 2, writeQueueNums: 2 });
      for (let n = 0; n < 8; n++)
        await inside.send({
          topic,
          body: Buffer.from(String(n)),
          properties: { amount: String(n) },
        });
      const seen: string[] = [];
      const service = startInProcess({
        client: inside,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source(
          [
            subscription(topic, {
              maximumRetryAttempts: 1,
              filter: { type: 'SQL92', expression: 'amount > 3' },
            }),
          ],
          {
            consumerGroup,
            mode: 'pop',
          },
        ),
        handler: ({ Records }) => {
          seen.push(
            ...Records.map(
              ({ body, rocketmq: { topic: told, reconsumeTimes } }) =>
                `${told} ${body} ${reconsumeTimes}`,
            ),
          );
          return {
            batchItemFailures: Records.filter(({ body }) => body === '5').map(({ messageId }) => ({
              itemIdentifier: messageId,
            })),
          };
        },
        options: { idleTimeoutMs: 3_000, popInvisibleMs: 12_000 },
      });
      t.after(() => service.end());
      await until(() => seen.includes(`${topic} 5 1`), 'the failed one came again', REVIVAL_MS);
      const dead = async () =>
        (await listDeadLetters(inside, { consumerGroup })).map(({ count }) => count);
      await until(async () => (await dead())[0] === 1n, 'it is dead', REVIVAL_MS);
      assert.deepEqual(seen.toSorted(), [
        `${topic} 4 0`,
        `${topic} 5 0`,
        `${topic} 5 1`,
        `${topic} 6 0`,
        `${topic} 7 0`,
      ]);
      const wire = (await client.topics()).filter((name) => name.includes(consumerGroup)).sort();
      assert.ok(wire.length > 0 && wire.every((name) => name.includes('MQ_INST_1%')), wire.join());
    });

    test('the recipes of docs/idempotency.md: messages that come again because answers were lost are worked once', async (t) => {
      const recipes = await startRecipes();
      t.after(() => recipes.stop());
      const groups = await Promise.all(
        RECIPE_NAMES.map(async (recipe) => {
          const topic = `pop-once-${recipe}`;
          await produce(topic, 4);
          const group = recipes.group(recipe);
          const { end } = deploy(t, topic, group.handler);
          return { ...group, end };
        }),
      );
      await until(
        () => groups.every(({ deliveries }) => deliveries.length >= 8),
        'every message came again',
        REVIVAL_MS,
      );
      for (const { end, worked, deliveries, keys } of groups) {
        await end();
        assert.deepEqual(worked.toSorted(), ['0', '1', '2', '3']);
        assert.equal(deliveries.length, 8);
        assert.ok([...keys.values()].every((own) => own.size === 1));
      }
    });

    test('a handler that is slower than the invisible time keeps its messages to itself', async (t) => {
      const topic = 'pop-slow';
      await produce(topic, 1);
      let calls = 0;
      let done = false;
      deploy(
        t,
        topic,
        async () => {
          calls++;
          await sleep(20_000);
          done = true;
        },
        { handler: { invocation: 'inline', functionKey: 'f', functionName: 'f', timeout: 100 } },
      );
      await until(() => done, 'it is handled', 40_000);
      await sleep(5_000);
      assert.equal(calls, 1);
    });

    test('a puller that drains finishes what it popped; an idle one returns and is called again by the next message', async (t) => {
      const topic = 'pop-idle';
      await produce(topic, 5);
      const seen: string[] = [];
      const { counts, measured, meter } = countingMeter();
      const service = deploy(
        t,
        topic,
        ({ Records }) => void seen.push(...Records.map(({ body }) => body)),
        {},
        { meter },
      );
      await until(() => seen.length === 5, 'the first came', 20_000);
      await until(() => service.pullers.length === 1, 'one puller');
      const first = await service.pullers[0];
      assert.deepEqual(
        first?.queues.map(({ reason }) => reason),
        ['idle'],
      );
      await sleep(15_000);
      assert.equal(measured.WakeLatency, undefined);
      const sentAt = Date.now();
      await client.send({ topic, body: Buffer.from('late') });
      await until(() => seen.includes('late'), 'the late one came', 30_000);
      assert.deepEqual(seen.toSorted(), ['0', '1', '2', '3', '4', 'late']);
      const [latency = -1, ...more] = measured.WakeLatency ?? [];
      assert.ok(latency >= 0 && latency <= Date.now() - sentAt, `${latency} ms`);
      assert.deepEqual(
        [more, measured.SuccessionGap, counts.DuplicateEventCount],
        [[], undefined, undefined],
      );
      assert.ok(
        (counts.PollerThroughputInBytes ?? 0) > 6 * 91,
        'a stored record has 91 bytes and its contents',
      );
    });
  });
else
  describe(`mode pop on RocketMQ ${TESTED_VERSION}, which has no POP`, {
    skip: missingStack('rocketmq'),
  }, () => {
    test('is refused with an error that says so', async () => {
      const rocketmq = await startRealRocketMQ();
      const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
      try {
        await client.createTopic('orders');
        await assert.rejects(
          () =>
            client.hasMessages({
              consumerGroup: 'workers',
              topic: 'orders',
              brokerName: 'broker-a',
              pollMs: 0,
            }),
          (error: unknown) =>
            error instanceof UnsupportedRequestError && /needs RocketMQ 5\.0/.test(error.message),
        );
      } finally {
        await client.close();
        await rocketmq.stop();
      }
    });
  });
