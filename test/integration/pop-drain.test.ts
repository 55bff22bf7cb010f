import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQKafkaEvent } from '../../src/model/event-formats.ts';
import type { PopUnit } from '../../src/model/message-queue.ts';
import type { PopHandle } from '../../src/model/pop.ts';
import type { HandlerOutcome } from '../../src/ports/invoke.ts';
import type { PopResult } from '../../src/ports/rocketmq.ts';
import { handlerConfig } from '../support/handler-config.ts';
import {
  createPullerWorld,
  GROUP,
  gate,
  type PullerWorld,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const UNIT: PopUnit = { topic: TOPIC, brokerName: 'broker-a', queueId: 0, pops: true };
const NOTHING: PopResult = { messages: [], filteredOut: [], undecodable: [], full: false };

/**
 * The embedded broker does not know POP: its messages are pulled, and lent as a broker would lend them. What a real one makes of the calls is the
 * matter of pop-mode.test.ts.
 */
async function lend(world: PullerWorld, count: number, queues = 1) {
  world.broker.createTopic(TOPIC, { queues });
  world.broker.createGroup(GROUP);
  await world.store.create(world.group, UNIT, 0, 0n);
  for (let queueId = 0; queueId < queues; queueId++) await world.produce(count, queueId);
  const calls = { acked: 0, changed: 0, refuseChanges: false };
  let popped = false;
  const own: Record<string, unknown> = {
    async pop(): Promise<PopResult> {
      await sleep(10);
      if (popped) return NOTHING;
      popped = true;
      const subscription = {
        topic: TOPIC,
        subString: '*',
        expressionType: 'TAG',
        tagsSet: [],
        codeSet: [],
        subVersion: 0,
      } as const;
      const lent = async (queueId: number) => {
        const queue = { topic: TOPIC, brokerName: 'broker-a', queueId };
        const pulled = await world.client.pull({
          consumerGroup: GROUP,
          queue,
          offset: 0n,
          subscription,
          maxMessages: 32,
          suspendMs: 0,
        });
        assert.equal(pulled.status, 'FOUND');
        const own = {
          ckQueueOffset: 0n,
          popTime: BigInt(Date.now()),
          reviveQid: 0,
          retryMark: 0,
          brokerName: 'broker-a',
          queueId,
        } as const;
        return pulled.messages.map((message) => ({
          message,
          handle: { ...own, invisibleTime: 60_000n, queueOffset: message.queueOffset },
        }));
      };
      const each = await Promise.all(Array.from({ length: queues }, (_, queueId) => lent(queueId)));
      // From one queue, then from the next, as brokers go round.
      return {
        ...NOTHING,
        messages: Array.from({ length: count }, (_, at) =>
          each.map((messages) => messages[at]!),
        ).flat(),
      };
    },
    async ack() {
      calls.acked++;
    },
    async changeInvisibleTime(_group: string, _topic: string, handle: PopHandle) {
      calls.changed++;
      if (calls.refuseChanges) throw new Error('away');
      return handle;
    },
  };
  const client = new Proxy(world.client, {
    get: (target, name) => {
      const value: unknown = own[String(name)] ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { client, calls };
}

describe('a puller that popped', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  test('has the messages of one queue in an event of format kafka, which has one name for them, and reads its answer', async () => {
    world = await createPullerWorld();
    const { client, calls } = await lend(world, 3, 2);
    const seen: [string, number][] = [];
    const answer = (event: unknown): object => {
      const [[queue, records] = assert.fail('no queue')] = Object.entries(
        (event as RocketMQKafkaEvent).records,
      );
      for (const { topic, rocketmq, offset } of records) {
        seen.push([queue, offset]);
        assert.equal(queue, `${topic}-${rocketmq.brokerName}-${rocketmq.queueId}`);
      }
      const failed = seen.length === 6 ? records.slice(-1) : [];
      return {
        batchItemFailures: failed.map(({ offset }) => ({
          itemIdentifier: { 'topic-partition': queue, offset },
        })),
      };
    };
    const puller = world.start(answer, {
      queues: [UNIT],
      subscriptions: [{ eventFormat: 'kafka' }],
      deps: { client },
    });
    await until(() => calls.acked + calls.changed === 6, 'all have their end');
    await puller.stop();
    assert.deepEqual([calls.acked, calls.changed], [5, 1]);
    const offsets = [0, 1, 2].flatMap((offset) => [
      `orders-broker-a-0 ${offset}`,
      `orders-broker-a-1 ${offset}`,
    ]);
    assert.deepEqual(seen.map((each) => each.join(' ')).sort(), offsets.sort());
  });

  for (const [why, answer, acked] of [
    ['refuses, goes to the log and is acknowledged', { code: 16, remark: 'no right' }, 2],
    ['is too busy for, goes back when the puller ends', { code: 2, remark: 'broker busy' }, 0],
  ] as const)
    test(`a dead letter that the broker ${why}`, async () => {
      world = await createPullerWorld();
      const { client, calls } = await lend(world, 2);
      const always = { times: Number.POSITIVE_INFINITY };
      for (const request of ['CONSUMER_SEND_MSG_BACK', 'SEND_MESSAGE_V2'] as const)
        world.broker.control(request, () => answer, always);
      let deliveries = 0;
      const puller = world.start(
        ({ Records }) => {
          deliveries += Records.length;
          return {
            batchItemFailures: Records.map(({ receiptHandle }) => ({
              itemIdentifier: receiptHandle,
            })),
          };
        },
        { queues: [UNIT], subscriptions: [{ maximumRetryAttempts: 0 }], deps: { client } },
      );
      const code = acked === 2 ? 'ROCKETMQ_MESSAGE_DISCARDED' : 'ROCKETMQ_END_NOT_STORED';
      await until(
        () => world.logs.filter((line) => line.code === code).length >= 2,
        'both are tried',
        25_000,
      );
      await puller.stop();
      assert.deepEqual([calls.acked, calls.changed, deliveries], [acked, 2 - acked, 2]);
    });

  test('prolongs again after a while what could not be prolonged', async () => {
    world = await createPullerWorld();
    const { client, calls } = await lend(world, 1);
    calls.refuseChanges = true;
    const hold = gate();
    const handler = handlerConfig('inline', 30);
    // What is lent for 60 s is at its half from the beginning.
    const puller = world.start(() => hold.passed, {
      queues: [UNIT],
      subscriptions: [{ handler }],
      options: { popInvisibleMs: 120_000 },
      deps: { client },
    });
    await until(() => calls.changed === 1, 'it was tried');
    await sleep(1_500);
    assert.equal(calls.changed, 1);
    await until(() => calls.changed === 2, 'it was tried again');
    hold.open();
    await puller.stop();
    assert.equal(calls.acked, 1);
  });

  test('on its way out calls a throttled handler again after a back-off, not in a tight circle', async () => {
    world = await createPullerWorld();
    const { client, calls } = await lend(world, 1);
    let [throttled, invoked] = [true, 0];
    const invoke = async (): Promise<HandlerOutcome> => {
      invoked++;
      return throttled
        ? { kind: 'unavailable', error: new Error('throttled') }
        : { kind: 'answered', answer: null };
    };
    const puller = world.start({ invoke }, { queues: [UNIT], deps: { client } });
    await until(() => invoked === 1, 'it was called');
    const report = puller.stop();
    await sleep(1_500);
    assert.ok(invoked <= 4, `${invoked} calls`);
    throttled = false;
    assert.deepEqual(
      (await report).queues.map(({ handled, reason }) => [handled, reason]),
      [[1, 'signal']],
    );
    assert.equal(calls.acked, 1);
  });

  test('on its way out gives back what its handler has no time for any more', async () => {
    world = await createPullerWorld();
    const { client, calls } = await lend(world, 3);
    const hold = gate();
    let [remainingMs, invoked] = [60_000, 0];
    const invoke = async (): Promise<HandlerOutcome> => {
      invoked++;
      await hold.passed;
      remainingMs = 9_000;
      return { kind: 'answered', answer: null };
    };
    const handler = handlerConfig('function', 3);
    const puller = world.start(
      { invoke },
      {
        queues: [UNIT],
        subscriptions: [{ batchSize: 1, parallelizationFactor: 2, handler }],
        deps: { client, remainingMs: () => remainingMs },
      },
    );
    await until(() => invoked === 2, 'both deliverers are at it');
    const report = puller.stop();
    hold.open();
    assert.deepEqual(
      (await report).queues.map(({ handled, reason }) => [handled, reason]),
      [[2, 'signal']],
    );
    assert.deepEqual([calls.acked, calls.changed], [2, 1]);
  });
});
