import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { RocketMQBatchResponse, RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { OrderConfig } from '../../src/model/source.ts';
import { createPullerWorld, GROUP, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const COUNT = 60;
const ORDERS: readonly OrderConfig[] = [
  { by: 'queue', suspendCurrentQueueTimeMillis: 10 },
  { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 10 },
  { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 10 },
];

describe('answers of ordered events', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** Every tenth message fails the first time. @returns how often each was handled, in the order of the first times */
  async function run(
    order: OrderConfig,
    answer: (
      records: readonly RocketMQRecord[],
      handle: (record: RocketMQRecord) => boolean,
    ) => object,
  ): Promise<Map<string, number>> {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(COUNT, 0, (n) => ({
      keys: [`k${n % 4}`],
      properties: { __SHARDINGKEY: `k${n % 4}` },
    }));
    const handled = new Map<string, number>();
    const failed = new Set<string>();
    const handle = ({ body }: RocketMQRecord): boolean => {
      if (Number(body) % 10 === 3 && !failed.has(body)) {
        failed.add(body);
        return false;
      }
      handled.set(body, (handled.get(body) ?? 0) + 1);
      return true;
    };
    const seen = recorder(({ Records }) => answer(Records, handle) as RocketMQBatchResponse);
    const puller = world.start(seen.handler, { subscriptions: [{ batchSize: 12, order }] });
    await until(() => world.committed() === BigInt(COUNT), 'all is committed');
    await puller.stop();
    assert.equal(handled.size, COUNT, 'nothing is lost');
    for (let key = 0; key < 4; key++) {
      const ofKey = [...handled.keys()].map(Number).filter((n) => n % 4 === key);
      assert.deepEqual(
        ofKey,
        ofKey.toSorted((a, b) => a - b),
        'the order of keys is kept',
      );
    }
    return handled;
  }

  type Handle = (record: RocketMQRecord) => boolean;

  const named = ({ receiptHandle }: RocketMQRecord) => ({ itemIdentifier: receiptHandle });

  /** A handler that goes on with other keys behind a failure. */
  function failuresByKey(records: readonly RocketMQRecord[], handle: Handle) {
    const stopped = new Set<string | undefined>();
    const failures = records.filter((record) => {
      const { orderKey } = record.rocketmq;
      if (!stopped.has(orderKey) && handle(record)) return false;
      stopped.add(orderKey);
      return true;
    });
    return failures.map(named);
  }

  for (const order of ORDERS) {
    const name = order.key === undefined ? order.by : `${order.by} ${order.key}`;

    test(`${name}: a handler that stops at its first failure, and names that one alone, loses nothing`, async () => {
      const handled = await run(order, (records, handle) => {
        const stoppedAt = records.find((record) => !handle(record));
        return stoppedAt === undefined ? {} : { batchItemFailures: [named(stoppedAt)] };
      });
      assert.deepEqual(new Set(handled.values()), new Set([1]), 'and handles nothing twice');
    });

    test(`${name}: one that names what is behind it, too, as for SQS FIFO`, async () => {
      const handled = await run(order, (records, handle) => {
        const at = records.findIndex((record) => !handle(record));
        return { batchItemFailures: at < 0 ? [] : records.slice(at).map(named) };
      });
      assert.deepEqual(new Set(handled.values()), new Set([1]));
    });
  }

  for (const order of ORDERS.slice(1))
    test(`key ${order.key}: one that goes on with other keys says so, and handles nothing twice`, async () => {
      const handled = await run(order, (records, handle) => ({
        batchItemFailures: failuresByKey(records, handle),
        othersDone: true,
      }));
      assert.deepEqual(new Set(handled.values()), new Set([1]));
    });

  test('key: without the word, what was done behind a failure comes once more', async () => {
    const handled = await run(ORDERS[1] as OrderConfig, (records, handle) => ({
      batchItemFailures: failuresByKey(records, handle),
    }));
    assert.ok([...handled.values()].some((times) => times > 1));
  });

  for (const order of ORDERS.slice(0, 2))
    for (const how of ['names', 'throws'] as const)
      test(`${order.by}: a tool that fails the whole batch for one message (${how}) takes no other one into the DLQ`, async () => {
        world = await createPullerWorld();
        world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
        await world.prepare();
        await world.produce(8, 0, (n) => ({ properties: { __SHARDINGKEY: `k${n % 2}` } }));
        const handled: string[] = [];
        const seen = recorder(({ Records }) => {
          if (!Records.some(({ body }) => body === '3')) {
            handled.push(...Records.map(({ body }) => body));
            return {};
          }
          if (how === 'names') return { batchItemFailures: Records.map(named) };
          throw Object.assign(new Error('all records failed'), { name: 'FullBatchFailureError' });
        });
        const puller = world.start(seen.handler, {
          subscriptions: [{ batchSize: 8, order, maximumRetryAttempts: 2 }],
        });
        await until(() => world.committed() === 8n, 'each has its end');
        await puller.stop();
        const dead = world.broker.messages(dlqTopic(GROUP));
        assert.deepEqual(
          dead.map(({ body }) => body.toString()),
          ['3'],
        );
        for (const key of [0, 1])
          assert.deepEqual(
            handled.filter((body) => Number(body) % 2 === key),
            ['0', '1', '2', '4', '5', '6', '7'].filter((body) => Number(body) % 2 === key),
            'in their order, once',
          );
      });
});
