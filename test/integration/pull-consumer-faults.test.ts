import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import {
  type Message,
  PermissionError,
  PullConsumer,
  RequestTimeoutError,
  TopicNotFoundError,
} from '../../src/consumer/index.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { pullMessage } from '../../src/requests/pull-message.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { silentLogger } from '../support/coordinator-world.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { until } from '../support/until.ts';

const TOPIC = 'orders';
const GROUP = 'auditors';
const ALWAYS = { times: Number.POSITIVE_INFINITY };
const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 };

describe('PullConsumer when things go wrong', () => {
  let mq: EmbeddedRocketMQ;
  let client: RocketMQClient;
  let consumer: PullConsumer;
  let warnings: string[];

  beforeEach(async () => {
    mq = await startEmbeddedRocketMQ({ longPollTickMs: 50, autoCreateTopic: false });
    mq.createTopic(TOPIC, { queues: 1 });
    mq.createGroup(GROUP);
    client = createRocketMQClient({ nameServers: mq.nameServers });
    warnings = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (_, message) => void warnings.push(message),
      child: () => logger,
    };
    consumer = new PullConsumer({ consumerGroup: GROUP, nameServers: mq.nameServers, logger });
  });
  afterEach(async () => {
    await consumer.close();
    await client.close();
    await mq.stop();
  });

  /** What an operator does with mqadmin. */
  const resetTo = async (offset: bigint): Promise<void> => {
    const connection = await connectRaw(mq.brokers[0]?.address ?? '');
    const fields = { topic: TOPIC, group: GROUP, timestamp: 0, isForce: true, queueId: 0, offset };
    await connection.call(222, fields).finally(() => connection.close());
  };
  const produce = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 50)
      await client.sendBatch(
        Array.from({ length: Math.min(50, count - n) }, (_, i) => ({
          topic: TOPIC,
          body: Buffer.from(String(n + i)),
        })),
        { queue },
      );
  };
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

  async function take(
    messages: AsyncIterable<Message>,
    count: number,
    each: (n: number) => unknown = () => {},
  ): Promise<number[]> {
    const seen: number[] = [];
    for await (const { body } of messages) {
      seen.push(Number(String(body)));
      await each(seen.length);
      if (seen.length === count) break;
    }
    return seen;
  }

  test('a topic that was deleted and created again, shorter than before: it goes on at the first new message', async () => {
    await produce(20);
    await take(consumer.messages(TOPIC), 20);
    await consumer.close();
    mq.deleteTopic(TOPIC);
    mq.createTopic(TOPIC, { queues: 1 });
    await client.commitOffset(GROUP, queue, 20n);
    await produce(5);
    consumer = new PullConsumer({ consumerGroup: GROUP, nameServers: mq.nameServers });
    assert.deepEqual(await take(consumer.messages(TOPIC), 5), numbers(5));
  });

  for (const [size, count] of [
    ['as long as before', 20],
    ['longer than before', 30],
  ] as const)
    test(`a topic that was deleted and created again between two loops, ${size}: every new message, in order`, async () => {
      await produce(20);
      await take(consumer.messages(TOPIC, { commitIntervalMs: 60_000 }), 20);
      mq.deleteTopic(TOPIC);
      // A store time of its own.
      await sleep(2);
      mq.createTopic(TOPIC, { queues: 1 });
      await produce(count);
      assert.deepEqual(await take(consumer.messages(TOPIC), count), numbers(count));
    });

  test('a slave with a shorter history says where to go on: nothing is skipped or repeated', async () => {
    await produce(20);
    await consumer.commit(queue, 10n);
    const offsets = { nextBeginOffset: 7n, minOffset: 0n, maxOffset: 7n };
    const answer = { suggestWhichBrokerId: 1, records: Buffer.alloc(0), ...offsets };
    using _ = mq.control('PULL_MESSAGE', () => ({
      code: ResponseCode.PULL_OFFSET_MOVED,
      remark: 'OFFSET_OVERFLOW_BADLY',
      ...pullMessage.encodeAnswer(answer),
    }));
    assert.deepEqual(await take(consumer.messages(TOPIC), 10), numbers(20).slice(10));
  });

  test('a queue whose offset cannot be read at first: the loop waits for it', async () => {
    await produce(2);
    using _ = mq.control('QUERY_CONSUMER_OFFSET', () => ({ code: 2, remark: 'busy' }));
    assert.deepEqual(await take(consumer.messages(TOPIC), 2), numbers(2));
  });

  test('a new queue whose offset cannot be read at first ends no loop', async () => {
    await produce(1);
    const seen = await take(consumer.messages(TOPIC, { routeIntervalMs: 50 }), 2, async (n) => {
      if (n !== 1) return;
      mq.control('QUERY_CONSUMER_OFFSET', () => ({ code: 2, remark: 'busy' }));
      mq.createTopic(TOPIC, { queues: 2 });
      const second = { queue: { ...queue, queueId: 1 } };
      await client.send({ topic: TOPIC, body: '7' }, second);
    });
    assert.deepEqual(seen, [0, 7]);
  });

  for (const [what, from] of [
    ['a topic: its route is missing', TOPIC],
    ['a queue', queue],
  ] as const)
    test(`a broker that is away when the loop begins is waited for, over ${what}`, async () => {
      await produce(3);
      await mq.stopBroker('broker-a');
      const seen = take(consumer.messages(from), 3);
      await until(() => warnings.length > 0, 'it was asked');
      await mq.startBroker('broker-a');
      assert.deepEqual(await seen, numbers(3));
    });

  test('a broker that goes down and comes back: every message once, in order, and commits go on', async () => {
    await produce(100);
    const options = { flowLimits: { maxMessages: 10 }, commitIntervalMs: 1 };
    const seen = await take(consumer.messages(TOPIC, options), 100, async (n) => {
      if (n !== 20) return;
      await mq.stopBroker('broker-a');
      await mq.startBroker('broker-a');
    });
    assert.deepEqual(seen, numbers(100));
    assert.equal(mq.offset(GROUP, queue), 99n);
  });

  test('pulls and commits that fail now and then', async () => {
    await produce(120);
    let calls = 0;
    const failing = () => (++calls % 7 === 3 ? ('disconnect' as const) : undefined);
    using _pull = mq.control('PULL_MESSAGE', failing, ALWAYS);
    using _commit = mq.control(
      'UPDATE_CONSUMER_OFFSET',
      () => (++calls % 3 === 0 ? { code: 2, remark: 'busy' } : undefined),
      ALWAYS,
    );
    const seen = await take(
      consumer.messages(TOPIC, { flowLimits: { maxMessages: 30 }, commitIntervalMs: 1 }),
      120,
    );
    assert.deepEqual(seen, numbers(120));
    assert.ok((mq.offset(GROUP, queue) ?? 0n) <= 119n);
    assert.ok(warnings.length > 0);
  });

  test('a commit whose answer got lost is not taken for somebody else’s', async () => {
    await produce(10);
    const seen = await take(consumer.messages(TOPIC), 10, async (n) => {
      if (n === 4) {
        using _ = mq.control('UPDATE_CONSUMER_OFFSET', () => 'lose-answer');
        await assert.rejects(commitWithin(300), RequestTimeoutError);
      }
      if (n === 6) await consumer.commit();
    });
    assert.deepEqual(seen, numbers(10));
    assert.equal(mq.offset(GROUP, queue), 5n);
    assert.deepEqual(warnings, []);
  });

  for (const lost of [false, true])
    test(`a commit dropped for an operator’s reset${lost ? ', and the pull that was to report it is lost' : ''}: the loop goes on where the reset went`, async () => {
      await produce(10);
      await consumer.commit(queue, 5n);
      await resetTo(0n);
      await assert.rejects(consumer.commit(queue, 7n), { code: 'ROCKETMQ_RESET_PENDING' });
      if (lost) {
        // Somebody else's pull in the group's name takes the sign of the reset away.
        const request = { consumerGroup: GROUP, queue, offset: 5n, maxMessages: 1, suspendMs: 0 };
        const subscription = buildSubscription(TOPIC, '*');
        const { status } = await client.pull({ ...request, subscription });
        assert.equal(status, 'OFFSET_MOVED');
      }
      assert.deepEqual(
        await take(consumer.messages(TOPIC, { commitIntervalMs: 50 }), 10),
        numbers(10),
      );
    });

  test('what does not mend itself ends the loop', async () => {
    await produce(1);
    using _ = mq.control('PULL_MESSAGE', () => ({ code: 16, remark: 'no' }), ALWAYS);
    await assert.rejects(take(consumer.messages(TOPIC), 1), PermissionError);
    await assert.rejects(take(consumer.messages('no-such-topic'), 1), TopicNotFoundError);
  });

  test('never pulls further ahead than its limits', async () => {
    await produce(1_000);
    let passed = 0;
    const ahead: number[] = [];
    using _ = mq.control(
      'PULL_MESSAGE',
      ({ command }) => void ahead.push(Number(command.extFields.queueOffset) - passed),
      ALWAYS,
    );
    const seen = await take(
      consumer.messages(TOPIC, { flowLimits: { maxMessages: 100 } }),
      1_000,
      async (n) => {
        passed = n - 1;
        // Slower than the pulls.
        await new Promise((resolve) => setTimeout(resolve, 1));
      },
    );
    assert.equal(seen.length, 1_000);
    // A pull begins while at most 100 are cached, and brings 32 at most.
    assert.ok(Math.max(...ahead) <= 132, `${Math.max(...ahead)} ahead`);
    assert.ok(Math.max(...ahead) > 60, `it does pull ahead: ${Math.max(...ahead)}`);
  });

  test('queues that appear later are read from their first message', async () => {
    await produce(1);
    const seen = await take(consumer.messages(TOPIC, { routeIntervalMs: 50 }), 2, async (n) => {
      if (n !== 1) return;
      mq.createTopic(TOPIC, { queues: 2 });
      await client.send(
        { topic: TOPIC, body: Buffer.from('7') },
        { queue: { ...queue, queueId: 1 } },
      );
    });
    assert.deepEqual(seen, [0, 7]);
  });

  function commitWithin(timeoutMs: number): Promise<void> {
    return consumer.commit(queue, 3n, { timeoutMs });
  }
});
