import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { maxRunMs } from '../../src/decide/budget/handler-run-time.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { OrderConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { MessageHandler } from '../../src/ports/invoke.ts';
import type { PullerReport } from '../../src/puller/puller-deps.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { fastClock } from '../support/coordinator-world.ts';
import { handlerConfig } from '../support/handler-config.ts';
import {
  type Answering,
  at,
  createPullerWorld,
  deployment,
  GROUP,
  gate,
  type PullerSettings,
  type PullerWorld,
  RETRY,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { strictHandler } from '../support/strict-handler.ts';
import { until } from '../support/until.ts';

const SUSPEND_MS = 30;
const BY_QUEUE: Partial<SubscriptionConfig> = {
  order: { by: 'queue', suspendCurrentQueueTimeMillis: SUSPEND_MS },
  maximumRetryAttempts: -1,
};
const BY_KEY: Partial<SubscriptionConfig> = {
  order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: SUSPEND_MS },
  maximumRetryAttempts: -1,
  parallelizationFactor: 4,
};
const numbers = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => String(from + index));
const reasons = ({ queues }: PullerReport) => queues.map(({ reason }) => reason);
const failing = (receiptHandle: string) => ({
  batchItemFailures: [{ itemIdentifier: receiptHandle }],
});
/** Each body once, where it came first: repeats are allowed, overtaking is not. */
const firsts = (bodies: readonly string[]) => [...new Set(bodies)];
const keyed = (keys: number) => (index: number) => ({
  properties: { __SHARDINGKEY: `k${index % keys}` },
});
const ownerOf = (slot: number) => `shop-dev@${GROUP}@${slot}`;

describe('an ordered puller', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());
  const dlq = () => world.broker.messages(dlqTopic(GROUP)).map(({ body }) => body.toString());
  const start = (
    answer: Answering,
    subscription: Partial<SubscriptionConfig>,
    settings: PullerSettings = {},
  ) => world.start(answer, { subscriptions: [subscription], ...settings });
  /** How a lane's messages came, by key. */
  const perKey = (records: readonly { body: string; rocketmq: { shardingKey?: string } }[]) =>
    Map.groupBy(records, ({ rocketmq }) => rocketmq.shardingKey ?? '');
  const assertNoOvertaking = (
    records: readonly { body: string; rocketmq: { shardingKey?: string } }[],
  ) => {
    for (const [key, own] of perKey(records)) {
      const order = firsts(own.map(({ body }) => body)).map(Number);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
        `key ${key}`,
      );
    }
  };

  describe('by queue', () => {
    test('delivers in offset order, one batch at a time, and commits', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare(2);
      await world.produce(200, 0);
      await world.produce(200, 1);
      let [inFlight, most] = [0, 0];
      const seen = recorder(async () => {
        most = Math.max(most, ++inFlight);
        await sleep(1);
        inFlight--;
      });
      start(seen.handler, { ...BY_QUEUE, batchSize: 7 }, { queues });
      await until(
        () => world.committed(at(0)) === 200n && world.committed(at(1)) === 200n,
        'all is committed',
      );
      for (const queueId of [0, 1])
        assert.deepEqual(
          seen.records
            .filter(({ rocketmq }) => rocketmq.queueId === queueId)
            .map(({ body }) => body),
          numbers(200),
        );
      assert.ok(most <= 2, `${most} batches at once for two queues`);
    });

    test('a failing message stops its queue: from it on everything comes again, counted, until it is done', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const seen = recorder(({ Records }) => {
        const failed = Records.find(
          ({ body, rocketmq }) => body === '4' && rocketmq.reconsumeTimes < 2,
        );
        // The handler claims that what is behind it is done.
        return failed === undefined ? undefined : failing(failed.receiptHandle);
      });
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      start(seen.handler, { ...BY_QUEUE, batchSize: 10 });
      await until(() => world.committed() === 10n, 'all is committed');
      assert.deepEqual(seen.bodies, [...numbers(10), ...numbers(6, 4), ...numbers(6, 4)]);
      assert.deepEqual(
        seen.records
          .filter(({ body }) => body === '4')
          .map(({ rocketmq, attributes }) => [
            rocketmq.reconsumeTimes,
            attributes.ApproximateReceiveCount,
          ]),
        [
          [0, '1'],
          [1, '2'],
          [2, '3'],
        ],
      );
      assert.deepEqual(
        seen.records
          .filter(({ body }) => body === '5')
          .map(({ rocketmq }) => rocketmq.reconsumeTimes),
        [0, 0, 0],
      );
      assert.equal(sendBacks.calls, 0);
    });

    test('waits as long as the answer says before it tries again', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      const times: number[] = [];
      const seen = recorder(({ Records }) => {
        times.push(Date.now());
        return times.length === 1
          ? { ...failing(Records[0]?.receiptHandle ?? ''), suspendCurrentQueueTimeMillis: 700 }
          : undefined;
      });
      start(seen.handler, BY_QUEUE);
      await until(() => world.committed() === 2n, 'all is committed');
      const [first = 0, second = 0] = times;
      assert.ok(second - first >= 699 && second - first < 1_500, `${second - first} ms`);
      assert.deepEqual(seen.bodies, ['0', '1', '0', '1']);
    });

    test('a batch that fails as a whole comes again in halves: only the culprit is counted, nothing is overtaken', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(16);
      let thrown = 0;
      const done: string[] = [];
      const seen = recorder(({ Records }) => {
        if (Records.some(({ body, rocketmq }) => body === '5' && rocketmq.reconsumeTimes < 1)) {
          thrown++;
          throw new Error('one of them is bad');
        }
        done.push(...Records.map(({ body }) => body));
      });
      start(seen.handler, { ...BY_QUEUE, batchSize: 16 });
      await until(() => world.committed() === 16n, 'all is committed');
      assert.deepEqual(done, numbers(16));
      assert.deepEqual(
        seen.records.filter(({ rocketmq }) => rocketmq.reconsumeTimes > 0).map(({ body }) => body),
        ['5'],
      );
      assert.equal(thrown, 5, '16, 8, 4, 2, 1');
    });

    test('without bisection the first of a batch that failed as a whole is counted', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4);
      const seen = recorder(({ rocketmqBatch }) => {
        if (rocketmqBatch.minOffset === '0' && seen.events.length < 3) throw new Error('no');
      });
      start(seen.handler, { ...BY_QUEUE, batchSize: 4, bisectBatchOnFunctionError: false });
      await until(() => world.committed() === 4n, 'all is committed');
      assert.deepEqual(
        seen.events.map(({ Records }) => Records.map(({ rocketmq }) => rocketmq.reconsumeTimes)),
        [
          [0, 0, 0, 0],
          [1, 0, 0, 0],
          [2, 0, 0, 0],
        ],
      );
    });

    test('a handler may dead-letter or drop a message: its queue goes on with the next', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(6);
      const seen = recorder(({ Records }) => {
        const said = Records.find(({ body }) => body === '1' || body === '3');
        return (
          said && {
            batchItemFailures: [
              { itemIdentifier: said.receiptHandle, action: said.body === '1' ? 'dlq' : 'drop' },
            ],
          }
        );
      });
      start(seen.handler, { ...BY_QUEUE, batchSize: 6 });
      await until(() => world.committed() === 6n, 'all is committed');
      assert.deepEqual(
        [seen.bodies, dlq()],
        [[...numbers(6), ...numbers(4, 2), ...numbers(2, 4)], ['1']],
      );
      assert.equal(world.logs.filter(({ code }) => code === 'ROCKETMQ_DROPPED').length, 1);
    });

    test('at the limit the message goes to the DLQ by 36, though the group holds locks, and its queue goes on', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(5);
      const levels: (string | undefined)[] = [];
      world.broker.control(
        'CONSUMER_SEND_MSG_BACK',
        ({ command }) => void levels.push(command.extFields.delayLevel),
        { times: Infinity },
      );
      const sends = world.broker.control('SEND_MESSAGE_V2', () => undefined, { times: Infinity });
      const seen = recorder(({ Records }) =>
        Records[0]?.body === '2' ? failing(Records[0].receiptHandle) : undefined,
      );
      start(seen.handler, { ...BY_QUEUE, batchSize: 1, maximumRetryAttempts: 2 });
      await until(() => world.committed() === 5n, 'all is committed');
      assert.deepEqual(seen.bodies, ['0', '1', '2', '2', '2', '3', '4']);
      assert.deepEqual([dlq(), levels, sends.calls], [['2'], ['-1'], 0]);
      assert.deepEqual(world.broker.messages(RETRY.topic), []);
    });

    test('the group’s retry queue is consumed in order, too, under a lock of its own', async () => {
      world = await createPullerWorld();
      await world.prepare();
      for (const body of numbers(9))
        await world.client.send(
          { topic: RETRY.topic, body: Buffer.from(body), properties: { RETRY_TOPIC: TOPIC } },
          { queue: RETRY },
        );
      const seen = recorder(({ Records }) => {
        const failed = Records.find(
          ({ body, rocketmq }) => body === '4' && rocketmq.reconsumeTimes < 2,
        );
        return failed === undefined ? undefined : failing(failed.receiptHandle);
      });
      const puller = start(seen.handler, { ...BY_QUEUE, batchSize: 3 }, { queues: [RETRY] });
      await until(() => world.committed(RETRY) === 9n, 'all is committed');
      assert.deepEqual(seen.bodies, [...numbers(6), '4', '5', '6', '4', '5', '6', '7', '8']);
      assert.ok(seen.records.every(({ rocketmq }) => rocketmq.topic === TOPIC));
      await puller.stop();
      assert.deepEqual(await world.client.lockQueues(GROUP, 'java@1', [RETRY]), []);
    });

    test('a DLQ that stores nothing for now: the queue waits at the message, nothing overtakes it, and no handler gets it again', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const no = { times: Infinity };
      const controls = [
        world.broker.control('CONSUMER_SEND_MSG_BACK', () => ({ code: 1, remark: 'no' }), no),
        world.broker.control('SEND_MESSAGE_V2', () => ({ code: 14, remark: 'disk full' }), no),
      ];
      const seen = recorder(({ Records }) =>
        Records[0]?.body === '1' ? failing(Records[0].receiptHandle) : undefined,
      );
      start(seen.handler, { ...BY_QUEUE, batchSize: 1, maximumRetryAttempts: 0 });
      await until(
        () => world.logs.some(({ code }) => code === 'ROCKETMQ_END_NOT_STORED'),
        'no way takes it',
        20_000,
      );
      for (const control of controls) control.remove();
      await until(() => world.committed() === 3n, 'all is committed', 10_000);
      assert.deepEqual([seen.bodies, dlq()], [['0', '1', '2'], ['1']]);
    });
  });

  describe('by key', () => {
    test('different keys run side by side, equal keys in order', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(400, 0, keyed(7));
      const inFlight = new Map<string, number>();
      let most = 0;
      const seen = recorder(async ({ Records }) => {
        const keys = new Set(Records.map(({ rocketmq }) => rocketmq.shardingKey ?? ''));
        for (const key of keys) {
          assert.equal(inFlight.get(key) ?? 0, 0, `${key} is with two batches`);
          inFlight.set(key, 1);
        }
        most = Math.max(most, [...inFlight.values()].filter((count) => count > 0).length);
        await sleep(2);
        for (const key of keys) inFlight.set(key, 0);
      });
      start(seen.handler, { ...BY_KEY, batchSize: 3 });
      await until(() => world.committed() === 400n, 'all is committed');
      assert.equal(seen.records.length, 400);
      assertNoOvertaking(seen.records);
      assert.ok(most > 3, `${most} keys at once`);
    });

    test('a failing key is parked and replayed in order while the others go on; the commit waits for it', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(100, 0, keyed(5));
      const hold = { bad: true };
      const seen = recorder(({ Records }) => ({
        batchItemFailures: Records.filter(
          ({ rocketmq, body }) => hold.bad && rocketmq.shardingKey === 'k2' && Number(body) >= 12,
        ).map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
      }));
      start(seen.handler, { ...BY_KEY, batchSize: 4 });
      const others = () =>
        new Set(
          seen.records
            .filter(({ rocketmq }) => rocketmq.shardingKey !== 'k2')
            .map(({ body }) => body),
        );
      await until(
        () => others().size === 80 && seen.bodies.filter((body) => body === '12').length > 3,
        'the others go on',
      );
      await until(() => world.committed() === 12n, 'the commit waits');
      assert.ok(
        !seen.bodies.includes('22') || seen.bodies.indexOf('22') > seen.bodies.indexOf('12'),
      );
      hold.bad = false;
      await until(() => world.committed() === 100n, 'all is committed');
      assertNoOvertaking(seen.records);
      const replay = seen.records
        .filter(({ rocketmq }) => rocketmq.shardingKey === 'k2')
        .map(({ body }) => body);
      assert.deepEqual(
        replay.slice(replay.lastIndexOf('12')),
        numbers(18, 0).map((index) => String(12 + Number(index) * 5)),
      );
    });

    test('messages without a key wait for nobody', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(20, 0, (index) => (index === 3 ? {} : keyed(2)(index)));
      const seen = recorder(({ Records }) => {
        const failed = Records.find(
          ({ body, rocketmq }) => body === '3' && rocketmq.reconsumeTimes < 3,
        );
        return failed === undefined ? undefined : failing(failed.receiptHandle);
      });
      start(seen.handler, { ...BY_KEY, batchSize: 1 });
      await until(() => world.committed() === 20n, 'all is committed');
      assert.equal(seen.bodies.filter((body) => body === '3').length, 4);
      assertNoOvertaking(seen.records.filter(({ body }) => body !== '3'));
    });

    for (const [orderKey, message] of [
      ['KEYS', (index: number) => ({ keys: [`order-${index % 3}`, `n${index}`] })],
      ['customer', (index: number) => ({ properties: { customer: `c${index % 3}` } })],
    ] as const)
      test(`by ${orderKey}`, async () => {
        world = await createPullerWorld();
        await world.prepare();
        await world.produce(60, 0, message);
        let first = true;
        const seen = recorder(({ Records }) => {
          const failed = Records.find(({ body }) => body === '9' && first);
          if (failed === undefined) return undefined;
          first = false;
          return failing(failed.receiptHandle);
        });
        start(seen.handler, {
          ...BY_KEY,
          order: { by: 'key', key: orderKey, suspendCurrentQueueTimeMillis: 1_000 },
          batchSize: 2,
        });
        await until(() => world.committed() === 60n, 'all is committed');
        const own = seen.records
          .filter(({ body }) => Number(body) % 3 === 0)
          .map(({ body }) => body);
        assert.deepEqual(
          firsts(own),
          numbers(20).map((index) => String(Number(index) * 3)),
        );
        assert.ok(seen.bodies.lastIndexOf('9') > seen.bodies.indexOf('40'), 'the others went on');
        assert.ok(
          own.indexOf('12') > own.lastIndexOf('9') || own.lastIndexOf('12') > own.lastIndexOf('9'),
        );
      });

    test('a key that stays parked lets the others go on up to the bounds of the flow control, and no further', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4_000, 0, (index) => ({
        properties: { __SHARDINGKEY: index === 0 ? 'bad' : `k${index % 50}` },
      }));
      const hold = { bad: true };
      const seen = recorder(({ Records }) => {
        const failed = Records.find(({ body }) => hold.bad && body === '0');
        return failed === undefined ? undefined : failing(failed.receiptHandle);
      });
      start(seen.handler, { ...BY_KEY, batchSize: 50 });
      await until(() => new Set(seen.bodies).size >= 2_000, 'the others go on');
      await sleep(300);
      assert.ok(new Set(seen.bodies).size <= 2_000 + 64, `${new Set(seen.bodies).size} came`);
      assert.equal(world.committed(), 0n);
      hold.bad = false;
      await until(() => world.committed() === 4_000n, 'all is committed');
      assertNoOvertaking(seen.records);
    });

    test('takes no broker lock', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3, 0, keyed(1));
      const locks = world.broker.control('LOCK_BATCH_MQ', () => undefined, { times: Infinity });
      start(recorder().handler, BY_KEY);
      await until(() => world.committed() === 3n, 'all is committed');
      assert.equal(locks.calls, 0);
    });
  });

  describe('locks its queue at the broker', () => {
    const locksOf = () =>
      world.broker.control('LOCK_BATCH_MQ', () => undefined, { times: Infinity });

    test('before anything is pulled; queues of one broker in one request', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare(3);
      await world.produce(3, 0);
      const asked: string[] = [];
      const watch = (name: 'LOCK_BATCH_MQ' | 'PULL_MESSAGE') =>
        world.broker.control(
          name,
          ({ command }) =>
            void asked.push(
              name === 'PULL_MESSAGE'
                ? 'pull'
                : `${(JSON.parse(String(command.body)) as { mqSet: unknown[] }).mqSet.length} locks`,
            ),
          { times: Infinity },
        );
      watch('LOCK_BATCH_MQ');
      watch('PULL_MESSAGE');
      const puller = start(recorder().handler, BY_QUEUE, {
        queues,
        options: { idleTimeoutMs: 2_000 },
      });
      await until(() => world.committed() === 3n, 'it works');
      assert.ok(asked[0]?.endsWith('locks'));
      assert.ok(asked.filter((what) => what.endsWith('locks')).length <= 4, asked.join());
      await puller.stop();
      // The next puller of the slot is the same owner.
      assert.deepEqual(await world.client.lockQueues(GROUP, 'java@1', [at(0)]), []);
      assert.deepEqual(await world.client.lockQueues(GROUP, ownerOf(0), [at(0)]), [at(0)]);
    });

    test('waits, and says so, while another consumer has it, and begins where that one ended', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      await world.client.commitOffset(GROUP, at(0), 0n);
      await world.client.lockQueues(GROUP, 'java@1', [at(0)]);
      const seen = recorder();
      start(seen.handler, BY_QUEUE, { options: { idleTimeoutMs: 1_000 } });
      await until(
        () => world.logs.some(({ code }) => code === 'ROCKETMQ_LOCKED_ELSEWHERE'),
        'it says so',
      );
      await sleep(1_300);
      assert.deepEqual([seen.bodies, world.broker.heldPulls()], [[], 0]);
      await world.client.commitOffset(GROUP, at(0), 6n);
      await world.client.unlockQueues(GROUP, 'java@1', [at(0)]);
      await until(() => world.committed() === 10n, 'all is committed');
      assert.deepEqual(seen.bodies, numbers(4, 6));
    });

    test('a lock that stays with somebody else ends the invocation', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      await world.client.lockQueues(GROUP, 'java@1', [at(0)]);
      const puller = start(recorder().handler, BY_QUEUE, { options: { lockWaitMs: 300 } });
      assert.deepEqual(reasons(await puller.report), ['locked-elsewhere']);
      assert.equal((await world.assignmentOf()).lease, undefined);
    });

    test('renews every 20 s, also while a handler runs', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const locks = locksOf();
      const hold = gate();
      start(() => hold.passed, BY_QUEUE, { deps: { clock: fastClock(20) }, remainingMs: 600_000 });
      await until(() => locks.calls === 4, 'it was renewed three times');
      assert.equal(world.committed(), 0n);
      hold.open();
      await until(() => world.committed() === 1n, 'all is committed');
    });

    test('delivers nothing more 30 s after the last success, and goes on with the next', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const seen = recorder();
      start(seen.handler, BY_QUEUE, { deps: { clock: fastClock(20) }, remainingMs: 600_000 });
      await until(() => world.committed() === 1n, 'it works');
      const deaf = world.broker.control('LOCK_BATCH_MQ', () => ({ code: 2, remark: 'busy' }), {
        times: Infinity,
      });
      await until(() => deaf.calls > 2, 'renewals fail');
      await sleep(600);
      await world.produce(1, 0, () => ({ body: Buffer.from('late') }));
      await sleep(400);
      assert.deepEqual(seen.bodies, ['0']);
      deaf.remove();
      await until(() => world.committed() === 2n, 'it goes on');
      assert.deepEqual(seen.bodies, ['0', 'late']);
    });

    test('a lock that somebody took after ours ran out: what was pulled is forgotten where that one went on', async () => {
      world = await createPullerWorld({ lockMaxLiveMs: 300 });
      await world.prepare();
      await world.produce(20);
      const hold = gate();
      const seen = recorder(({ Records }) => (Records[0]?.body === '5' ? hold.passed : undefined));
      start(
        seen.handler,
        { ...BY_QUEUE, batchSize: 5 },
        { deps: { clock: fastClock(20) }, remainingMs: 600_000 },
      );
      await until(
        () => seen.records.length === 10 && world.committed() === 5n,
        'the second batch is out',
      );
      const own = ownerOf(0);
      for (let taken: unknown[] = []; taken.length === 0; await sleep(20))
        taken = await world.client.lockQueues(GROUP, 'java@1', [at(0)]);
      const keeping = setInterval(
        () => void world.client.lockQueues(GROUP, 'java@1', [at(0)]),
        100,
      );
      await until(
        () => world.logs.some(({ code }) => code === 'ROCKETMQ_LOCKED_ELSEWHERE'),
        'it waits',
      );
      await world.client.commitOffset(GROUP, at(0), 15n);
      hold.open();
      await sleep(300);
      clearInterval(keeping);
      await until(() => world.committed() === 20n, 'all is committed');
      assert.deepEqual(seen.bodies, [...numbers(10), ...numbers(5, 15)]);
      assert.deepEqual(await world.client.lockQueues(GROUP, own, [at(0)]), [at(0)]);
    });

    for (const [how, reason, free] of [
      ['when the queue is idle', 'idle', true],
      ['not at a succession of its slot', 'signal', false],
    ] as const)
      test(`unlocks ${how}`, async () => {
        world = await createPullerWorld();
        await world.prepare();
        const unlocks = world.broker.control('UNLOCK_BATCH_MQ', () => undefined, {
          times: Infinity,
        });
        const puller = start(recorder().handler, BY_QUEUE, {
          options: { idleTimeoutMs: free ? 300 : 30_000 },
        });
        await until(() => world.broker.heldPulls() === 1, 'it works');
        assert.deepEqual(reasons(free ? await puller.report : await puller.stop()), [reason]);
        assert.equal(unlocks.calls, free ? 1 : 0);
        assert.equal(
          (await world.client.lockQueues(GROUP, 'java@1', [at(0)])).length,
          free ? 1 : 0,
        );
      });

    test('a queue that moves is unlocked before it is released: the next slot has it at once, in order', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(300);
      const seen = recorder(() => sleep(5));
      const old = start(seen.handler, { ...BY_QUEUE, batchSize: 5 });
      await until(() => seen.records.length > 50, 'the old one works');
      await world.store.move(world.group, at(0), 1, 1);
      const movedAt = Date.now();
      start(seen.handler, { ...BY_QUEUE, batchSize: 5 }, { slot: 1 });
      assert.deepEqual(reasons(await old.report), ['moved']);
      await until(() => world.committed() === 300n, 'all is committed');
      assert.ok(Date.now() - movedAt < 4_500);
      assert.deepEqual(seen.bodies, numbers(300));
    });
  });

  describe('keeps its order over holders', () => {
    for (const [what, subscription, keys] of [
      ['queue', { ...BY_QUEUE, batchSize: 4 }, 1],
      ['key', { ...BY_KEY, batchSize: 4 }, 6],
    ] as const)
      test(`by ${what}: two successions in mid-failure, a death, and the next`, async () => {
        world = await createPullerWorld();
        await world.prepare();
        await world.produce(240, 0, keyed(keys));
        const seen = strictHandler({ step: keys, laneOf: ({ body }) => Number(body) % keys }, 3);
        const silent = new Set<string>();
        const hung = gate();
        const store = {
          ...world.store,
          renew: (request: Parameters<typeof world.store.renew>[0]) =>
            silent.has(request.holder)
              ? Promise.reject(new Error('dead'))
              : world.store.renew(request),
        };
        const first = start(seen.handler, subscription);
        await until(() => seen.finished.size > 20, 'the first works');
        const second = start(seen.handler, subscription, { source: deployment(2) });
        assert.deepEqual(reasons(await first.report), ['succession']);
        await until(() => seen.finished.size > 60, 'the second works');
        // The third is killed with a batch at its handler.
        let calls = 0;
        const third = start(
          (event) => (++calls > 5 ? hung.passed : seen.handler(event)),
          subscription,
          {
            holder: 'third',
            source: deployment(3),
            deps: { store },
          },
        );
        assert.deepEqual(reasons(await second.report), ['succession']);
        await until(() => calls > 5, 'the third hangs');
        silent.add('third');
        await sleep(50);
        await world.expire('third');
        start(seen.handler, subscription);
        await until(() => world.committed() === 240n, 'all is committed', 15_000);
        assert.deepEqual(seen.overtaken, []);
        assert.equal(seen.finished.size, 240);
        assert.deepEqual(dlq(), []);
        silent.clear();
        assert.deepEqual(reasons(await third.report), ['lease-lost']);
        hung.open();
      });

    test('attempts are counted over successions and a death, and told to the handler; at the limit it is the DLQ', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const silent = new Set<string>();
      const store = {
        ...world.store,
        renew: (request: Parameters<typeof world.store.renew>[0]) =>
          silent.has(request.holder)
            ? Promise.reject(new Error('dead'))
            : world.store.renew(request),
      };
      const seen = recorder(({ Records }) =>
        Records[0]?.body === '1' ? failing(Records[0].receiptHandle) : undefined,
      );
      const settings = { batchSize: 1, maximumRetryAttempts: 4 };
      const slow: OrderConfig = { by: 'queue', suspendCurrentQueueTimeMillis: 2_000 };
      const failedOnce = { ...BY_QUEUE, ...settings, order: slow };
      const tries = () => seen.bodies.filter((body) => body === '1').length;
      for (const [index, holder] of ['first', 'second', 'killed'].entries()) {
        const puller = start(seen.handler, failedOnce, { holder, deps: { store } });
        await until(() => tries() === index + 1, `the try of the ${holder}`);
        if (holder !== 'killed') await puller.stop();
        for (let saved = 0; saved !== index + 1; await sleep(10))
          saved = (await world.assignmentOf()).attempts?.get(1n) ?? 0;
      }
      silent.add('killed');
      await world.expire('killed');
      start(seen.handler, { ...BY_QUEUE, ...settings });
      await until(() => world.committed() === 3n, 'all is committed');
      assert.deepEqual(
        seen.records
          .filter(({ body }) => body === '1')
          .map(({ rocketmq }) => rocketmq.reconsumeTimes),
        [0, 1, 2, 3, 4],
      );
      assert.deepEqual([seen.bodies.at(-1), dlq()], ['2', ['1']]);
      for (let attempts: unknown = 1; attempts !== undefined; await sleep(10))
        attempts = (await world.assignmentOf()).attempts;
    });

    test('a limit lowered below what was counted allows one more delivery, and its end all its tries', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const seen = recorder(({ Records }) => failing(Records[0]?.receiptHandle ?? ''));
      const settings = { deps: { clock: fastClock(20) }, remainingMs: 600_000 };
      const unlimited = start(seen.handler, BY_QUEUE, settings);
      await until(() => seen.bodies.length >= 20, 'twenty deliveries');
      await unlimited.stop();
      const busy = (['CONSUMER_SEND_MSG_BACK', 'SEND_MESSAGE_V2'] as const).map((request) =>
        world.broker.control(request, () => ({ code: ResponseCode.SYSTEM_BUSY, remark: 'busy' }), {
          times: Number.POSITIVE_INFINITY,
        }),
      );
      const lines = (code: string) => world.logs.filter((line) => line.code === code).length;
      const lowered = recorder(({ Records }) => failing(Records[0]?.receiptHandle ?? ''));
      const limited = { ...BY_QUEUE, maximumRetryAttempts: 2 };
      const second = start(lowered.handler, limited, settings);
      await until(() => lines('ROCKETMQ_END_NOT_STORED') > 0, 'a try of the end');
      await second.stop();
      const { attempts, begunEnds } = await world.assignmentOf();
      const counted = begunEnds?.get(0n) ?? 0;
      assert.ok(counted >= 20, `${counted} failures before the end`);
      assert.ok((attempts?.get(0n) ?? 0) > counted, 'the last failure, and tries of the end');
      for (const control of busy) control.remove();
      start(lowered.handler, limited, settings);
      await until(() => world.committed() === 1n, 'its end');
      assert.deepEqual([lowered.bodies, dlq()], [['0'], ['0']]);
      assert.equal(lines('ROCKETMQ_MESSAGE_DISCARDED'), 0);
    });

    test('a message that kills its pullers goes to the DLQ, in its turn; nothing overtakes it', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(3);
      await world.die('dead-1');
      await world.die('dead-2');
      const silent = new Set<string>();
      for (const [deaths, holder] of ['dead-3', 'dead-4', 'dead-5'].entries()) {
        const store = {
          ...world.store,
          renew: (request: Parameters<typeof world.store.renew>[0]) =>
            silent.has(holder) ? Promise.reject(new Error('dead')) : world.store.renew(request),
        };
        start(() => new Promise(() => {}), BY_QUEUE, { holder, deps: { store } });
        for (let killing = false; !killing; await sleep(10)) {
          const { lease, crash } = await world.assignmentOf();
          killing = lease?.holder === holder && crash?.suspect === 0n && crash.count === deaths;
        }
        silent.add(holder);
        await sleep(50);
        await world.expire(holder);
      }
      const seen = recorder();
      start(seen.handler, BY_QUEUE, { queues });
      await until(() => world.committed() === 3n, 'all is committed');
      assert.deepEqual(
        [seen.bodies, dlq(), world.broker.messages(RETRY.topic).length],
        [['1', '2'], ['0'], 0],
      );
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_KILLS_PULLER'));
      silent.clear();
    });

    test('after a death, a function that may still be at work is waited for, also when the next holder goes before', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      await world.die('dead');
      const handler = handlerConfig('function', 1);
      const seen = recorder();
      const clock = fastClock(20);
      const settings = { deps: { clock }, remainingMs: 600_000 };
      const startedAt = clock.now();
      const impatient = start(seen.handler, { ...BY_QUEUE, handler }, settings);
      await until(() => world.broker.heldPulls() === 1, 'the messages are here');
      await impatient.stop();
      assert.deepEqual(seen.bodies, []);
      start(seen.handler, { ...BY_QUEUE, handler }, settings);
      await until(() => world.committed() === 2n, 'all is committed');
      const waitedMs = clock.now() - startedAt;
      assert.ok(waitedMs >= maxRunMs(handler) - 2_000, `${waitedMs} ms`);
    });
  });

  test('a function that was not waited for any longer may still be at work: the next holder waits for it', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(2);
    const handler = handlerConfig('function', 1);
    const deaf: MessageHandler = {
      invoke: (_payload, { signal }) =>
        new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        ),
    };
    const subscriptions = [{ ...BY_QUEUE, handler }];
    const startedAt = Date.now();
    const { queues } = await world.start(deaf, { remainingMs: 10_000, subscriptions }).report;
    const clock = fastClock(20);
    assert.deepEqual(
      queues.map(({ reason, handled }) => [reason, handled]),
      [['deadline', 0]],
    );
    assert.equal((await world.assignmentOf()).lease, undefined);
    const seen = recorder();
    const puller = start(
      seen.handler,
      { ...BY_QUEUE, handler },
      { options: { renewIntervalMs: 20 }, deps: { clock }, remainingMs: 600_000 },
    );
    await until(() => world.committed() === 2n, 'all is committed');
    const waitedMs = clock.now() - startedAt;
    assert.ok(waitedMs >= maxRunMs(handler), `${waitedMs} ms`);
    await puller.stop();
    assert.equal((await world.assignmentOf()).crash, undefined);
  });

  test('an answer that was lost: nothing is delivered until the function cannot run any more', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(2);
    const clock = fastClock(20);
    const calls: number[] = [];
    const seen: string[] = [];
    const flaky: MessageHandler = {
      invoke: async (payload) => {
        calls.push(clock.now());
        if (calls.length === 1)
          return { kind: 'unavailable', error: new Error('socket hang up'), mayRun: true };
        seen.push(...(payload.event() as RocketMQEvent).Records.map(({ body }) => body));
        return { kind: 'answered', answer: undefined };
      },
    };
    const handler = handlerConfig('function', 1);
    const puller = world.start(flaky, {
      subscriptions: [{ ...BY_QUEUE, handler }],
      deps: { clock },
      remainingMs: 600_000,
    });
    await until(() => world.committed() === 2n, 'all is committed');
    await puller.stop();
    assert.deepEqual(seen, ['0', '1']);
    const [first = 0, second = 0] = calls;
    // A function that was started cold begins to count its timeout late.
    assert.ok(second - first >= maxRunMs(handler), `${second - first} ms`);
  });

  describe('says', () => {
    test('that a message blocks its order, at 16 failures', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      const seen = recorder(({ Records }) =>
        Records[0]?.rocketmq.reconsumeTimes === 16
          ? undefined
          : { ...failing(Records[0]?.receiptHandle ?? ''), suspendCurrentQueueTimeMillis: 1 },
      );
      start(seen.handler, BY_QUEUE);
      await until(() => world.committed() === 1n || world.committed() === 2n, 'it ends');
      assert.equal(
        world.logs.filter(
          ({ level, code }) => level === 'error' && code === 'ROCKETMQ_ORDER_BLOCKED',
        ).length,
        1,
      );
    });
  });
});
