import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LONGEST_DELAY_SECONDS } from '../../src/decide/retry/redelivery.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { handlerConfig } from '../support/handler-config.ts';
import {
  createPullerWorld,
  GROUP,
  gate,
  type PullerWorld,
  RETRY,
  recorder,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const items = (records: readonly RocketMQRecord[], more: object = {}) =>
  records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle, ...more }));
const sizes = (seen: ReturnType<typeof recorder>) =>
  seen.events.map(({ Records }) => Records.length);
const bodiesIn = (world: PullerWorld, topic: string) =>
  world.broker.messages(topic).map(({ body }) => body.toString());
const codes = (world: PullerWorld) =>
  world.logs.flatMap(({ code }) => (code === undefined ? [] : [code]));

describe('concurrent consumption', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** The delay levels that the broker is asked for, by body of the message's only record. */
  function levels(): string[] {
    const asked: string[] = [];
    world.broker.control(
      'CONSUMER_SEND_MSG_BACK',
      ({ command }) => void asked.push(command.extFields.delayLevel ?? ''),
      {
        times: Number.POSITIVE_INFINITY,
      },
    );
    return asked;
  }

  describe('a failed message', () => {
    test('goes to the DLQ, is given up, or comes again, as its handler says; what is said beside the list counts for the others', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(6);
      const seen = recorder(({ Records }) => {
        const [dead, dropped, later, ...rest] = Records;
        if (
          dead === undefined ||
          dropped === undefined ||
          later === undefined ||
          dead.rocketmq.reconsumeTimes > 0
        )
          return undefined;
        return {
          batchItemFailures: [
            ...items([dead], { action: 'dlq' }),
            ...items([dropped], { action: 'drop' }),
            ...items([later], { action: 'retry' }),
            ...items(rest.slice(0, 2)),
          ],
          delayLevel: 7,
        };
      });
      const asked = levels();
      const puller = world.start(seen.handler, { queues });
      await until(
        () => world.committed() === 6n && world.committed(RETRY) === 3n,
        'all is committed',
      );
      assert.deepEqual(bodiesIn(world, dlqTopic(GROUP)), ['0']);
      assert.deepEqual(asked.sort(), ['-1', '0', '7', '7']);
      assert.deepEqual(seen.bodies.slice(6).sort(), ['2', '3', '4']);
      assert.ok(codes(world).includes('ROCKETMQ_DROPPED'));
      const report = await puller.stop();
      const [own] = report.queues;
      assert.deepEqual([own?.handled, own?.sentBack, own?.dropped], [2, 4, 1]);
    });

    test('comes again after the event’s retryDelay when nothing is said, also when the handler throws', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const asked = levels();
      world.start(() => Promise.reject(new Error('no')), {
        subscriptions: [{ retryDelay: { level: 9 } }],
      });
      await until(() => world.committed() === 1n, 'it is sent back');
      assert.deepEqual(asked, ['9']);
    });

    test('{ base, max, jitter } waits twice as long after each failure', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(1);
      const asked = levels();
      // 5, 10, 20 and 30 seconds: levels, or the next longer one.
      const subscriptions = [
        { retryDelay: { base: 5, max: 30, jitter: 0 }, maximumRetryAttempts: 4 },
      ];
      world.start(() => Promise.reject(new Error('no')), { queues, subscriptions });
      await until(() => world.broker.messages(dlqTopic(GROUP)).length === 1, 'it is dead');
      assert.deepEqual(asked.slice(0, 4), ['2', '3', '4', '4']);
    });

    test('seconds that are a level go by request 36; others by the next longer one where the broker has no timers', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      const asked = levels();
      const delays = [30, 31];
      world.start(({ Records }) => ({
        batchItemFailures: Records.map(({ messageId, body }) => ({
          itemIdentifier: messageId,
          delaySeconds: delays[Number(body)],
        })),
      }));
      await until(() => world.committed() === 2n, 'both are sent back');
      assert.deepEqual(asked.sort(), ['4', '5']);
      assert.deepEqual(
        codes(world).filter((code) => code === 'ROCKETMQ_TIMER_REFUSED'),
        ['ROCKETMQ_TIMER_REFUSED'],
      );
    });

    test('the longest delay is one that the timer wheel of a stock broker takes', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const asked: number[] = [];
      const sendBackTimed: RocketMQ['sendBackTimed'] = async (_group, _message, delayMs) =>
        asked.push(delayMs) > 0;
      const client = new Proxy(world.client, {
        get(target, name) {
          const value: unknown =
            name === 'sendBackTimed' ? sendBackTimed : Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      const subscriptions = [{ retryDelay: { seconds: LONGEST_DELAY_SECONDS } }];
      world.start(() => Promise.reject(new Error('no')), { subscriptions, deps: { client } });
      await until(() => world.committed() === 1n, 'it is sent back');
      // HookUtils.handleScheduleMessage: more than timerMaxDelaySec is refused, and the longest level has two hours.
      assert.deepEqual(asked, [LONGEST_DELAY_SECONDS * 1000]);
    });

    test('has the retries of its tag', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(3, 0, (index) => ({ tags: ['never', 'once', 'other'][index] ?? '' }));
      const seen = recorder(({ Records }) => ({ batchItemFailures: items(Records) }));
      const subscriptions = [
        { maximumRetryAttempts: 2, maximumRetryAttemptsByTag: { never: 0, once: 1 } },
      ];
      world.start(seen.handler, { queues, subscriptions });
      await until(() => world.broker.messages(dlqTopic(GROUP)).length === 3, 'all are dead');
      assert.deepEqual(seen.bodies.toSorted(), ['0', '1', '1', '2', '2', '2']);
      assert.deepEqual(
        seen.records.map(({ rocketmq }) => rocketmq.maxReconsumeTimes).slice(0, 3),
        [0, 1, 2],
      );
    });

    test('that is too old goes to the DLQ instead of to its handler', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const seen = recorder();
      const later = { ...systemClock, now: () => Date.now() + 61_000 };
      world.start(seen.handler, {
        subscriptions: [{ maximumRecordAgeInSeconds: 60 }],
        deps: { clock: later },
        notAfter: Date.now() + 120_000,
      });
      await until(() => world.committed() === 3n, 'all is committed');
      assert.deepEqual(
        [seen.bodies, bodiesIn(world, dlqTopic(GROUP)).toSorted()],
        [[], ['0', '1', '2']],
      );
      assert.deepEqual(new Set(codes(world)), new Set(['ROCKETMQ_RECORD_AGE_EXCEEDED']));
    });
  });

  describe('a batch that fails as a whole', () => {
    test('comes in halves until the one message that fails is alone: only that one is sent back', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(16);
      const seen = recorder(({ Records }) => {
        if (Records.some(({ body }) => body === '5')) throw new Error('poison');
      });
      world.start(seen.handler, { subscriptions: [{ batchSize: 16 }] });
      await until(() => world.committed() === 16n, 'all is settled');
      await until(() => bodiesIn(world, RETRY.topic).length > 0, 'it comes again');
      assert.deepEqual(bodiesIn(world, RETRY.topic), ['5']);
      assert.deepEqual(sizes(seen), [16, 8, 4, 4, 2, 1, 1, 2, 8]);
      assert.ok(seen.records.every(({ rocketmq }) => rocketmq.reconsumeTimes === 0));
      const [whole, half] = seen.events;
      assert.equal(whole?.rocketmqBatch.bisectedFrom, undefined);
      assert.equal(half?.rocketmqBatch.bisectedFrom, whole?.rocketmqBatch.batchId);
      assert.deepEqual([half?.rocketmqBatch.minOffset, half?.rocketmqBatch.maxOffset], ['0', '7']);
    });

    test('in which everything fails alike is no message’s fault: each is sent back once, after 2·log₂(n) + 1 calls', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(8);
      const seen = recorder(() => Promise.reject(new Error('all')));
      world.start(seen.handler, { subscriptions: [{ batchSize: 8 }] });
      await until(() => world.committed() === 8n, 'all is settled');
      assert.deepEqual(sizes(seen), [8, 4, 2, 1, 1, 2, 4]);
      await until(() => bodiesIn(world, RETRY.topic).length >= 8, 'all come again');
      const each = ['0', '1', '2', '3', '4', '5', '6', '7'];
      assert.deepEqual(bodiesIn(world, RETRY.topic).toSorted(), each);
    });

    test('Powertools’ errors for a batch of which nothing is done mean each of its messages', async () => {
      for (const name of ['FullBatchFailureError', 'BatchProcessingError']) {
        world = await createPullerWorld();
        await world.prepare();
        await world.produce(8);
        const seen = recorder(() =>
          Promise.reject(Object.assign(new Error('all records failed'), { name })),
        );
        world.start(seen.handler, { subscriptions: [{ batchSize: 8 }] });
        await until(() => bodiesIn(world, RETRY.topic).length >= 8, 'all come again');
        assert.deepEqual(sizes(seen), [8], name);
        await world.stop();
      }
    });

    test('bad messages in both halves are found, and the good ones are done', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(32);
      const bad = new Set(['3', '17', '30']);
      const seen = recorder(({ Records }) =>
        Records.some(({ body }) => bad.has(body)) ? Promise.reject(new Error('bad')) : undefined,
      );
      world.start(seen.handler, { subscriptions: [{ batchSize: 32 }] });
      await until(() => world.committed() === 32n, 'all is settled');
      await until(() => bodiesIn(world, RETRY.topic).length >= 3, 'the bad ones come again');
      assert.deepEqual(bodiesIn(world, RETRY.topic).toSorted(), [...bad].toSorted());
      assert.ok(seen.events.length <= 1 + 2 * 3 * 5, `${seen.events.length} calls`);
    });

    for (const [name, source, subscription] of [
      ['BROADCASTING', { messageModel: 'BROADCASTING' }, {}],
      ['maximumRetryAttempts 0', {}, { maximumRetryAttempts: 0 }],
    ] as const)
      test(`where a failure is the end of a message, each fails by itself: ${name}`, async () => {
        world = await createPullerWorld();
        world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
        await world.prepare();
        await world.produce(8);
        const bad = new Set(['0', '1', '2', '3', '5']);
        const done = new Set<string>();
        const seen = recorder(({ Records }) => {
          if (Records.some(({ body }) => bad.has(body))) return Promise.reject(new Error('bad'));
          for (const { body } of Records) done.add(body);
          return undefined;
        });
        const puller = world.start(seen.handler, {
          source,
          subscriptions: [{ batchSize: 8, ...subscription }],
        });
        await until(() => seen.records.length > 8 && done.size === 3, 'the good ones are handled');
        await puller.stop();
        assert.deepEqual([...done].toSorted(), ['4', '6', '7']);
      });

    test('a tool that fails the whole batch for one message does not take the others into the DLQ', async () => {
      world = await createPullerWorld();
      world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
      const queues = await world.prepare();
      await world.produce(10);
      const seen = recorder(({ Records }) => ({
        batchItemFailures: Records.some(({ body }) => body === '3')
          ? Records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle }))
          : [],
      }));
      world.start(seen.handler, {
        queues: [...queues, RETRY],
        subscriptions: [{ batchSize: 10, maximumRetryAttempts: 2, retryDelay: { seconds: 1 } }],
      });
      await until(() => bodiesIn(world, dlqTopic(GROUP)).length > 0, 'it is in the DLQ', 20_000);
      await until(
        () => sizes(seen).filter((size) => size === 1).length >= 10,
        'each has had its last delivery alone',
        20_000,
      );
      assert.deepEqual(bodiesIn(world, dlqTopic(GROUP)), ['3']);
    });

    test('by an invalid answer, or with bisectBatchOnFunctionError: false, is sent back whole', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4);
      const seen = recorder(() => Promise.reject(new Error('no')));
      const first = world.start(seen.handler, {
        subscriptions: [{ batchSize: 4, bisectBatchOnFunctionError: false }],
      });
      await until(() => world.committed() === 4n, 'all is settled');
      await first.stop();
      await world.produce(4);
      const invalid = recorder(() => ['an', 'array']);
      world.start(invalid.handler, { subscriptions: [{ batchSize: 4 }] });
      await until(() => world.committed() === 8n, 'all is settled');
      await until(() => bodiesIn(world, RETRY.topic).length >= 8, 'all come again');
      assert.deepEqual(
        [sizes(seen), sizes(invalid), bodiesIn(world, RETRY.topic).length],
        [[4], [4], 8],
      );
    });

    test('when the queue drains: what is not settled yet stays, uncounted, and the next puller delivers it', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(8);
      const { passed, open } = gate();
      let calls = 0;
      const seen = recorder(async () => {
        if (++calls === 2) await passed;
        throw new Error('no');
      });
      const puller = world.start(seen.handler, { subscriptions: [{ batchSize: 8 }] });
      await until(() => calls === 2, 'the first half is with the handler');
      const report = puller.stop();
      open();
      assert.deepEqual(
        [(await report).queues[0]?.sentBack, world.committed() ?? 0n, calls],
        [0, 0n, 2],
      );
      const next = recorder();
      world.start(next.handler, { subscriptions: [{ batchSize: 8 }] });
      await until(() => world.committed() === 8n, 'all is done');
      // It does not begin with the whole batch again.
      assert.equal(Math.max(...sizes(next)), 4);
      assert.equal(next.records.length, 8);
      assert.deepEqual(bodiesIn(world, RETRY.topic), []);
    });

    test('with time for one more call: one message goes alone, so that the next puller begins further on', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(8);
      const handler = handlerConfig('inline', 10);
      let calls = 0;
      const seen = recorder(async () => {
        // What the next call may take, too.
        if (calls++ === 0) await sleep(2_000);
        throw new Error('no');
      });
      const options = { reserveMs: 1_000 };
      const puller = world.start(seen.handler, {
        subscriptions: [{ batchSize: 8, handler }],
        options,
        remainingMs: 14_000,
      });
      await until(() => bodiesIn(world, RETRY.topic).length >= 1, 'one is sent back');
      assert.deepEqual(sizes(seen).slice(0, 2), [8, 1]);
      await puller.stop();
    });
  });

  describe('a batching window', () => {
    test('ends when the batch is full, over several pulls, or when its time is over', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const seen = recorder();
      world.start(seen.handler, {
        subscriptions: [{ batchSize: 100, maximumBatchingWindow: 1.5 }],
      });
      await world.produce(3);
      const sentAt = Date.now();
      await until(() => seen.events.length === 1, 'the window ends');
      assert.ok(Date.now() - sentAt >= 1_300, `after ${Date.now() - sentAt} ms`);
      await world.produce(100);
      await until(() => seen.records.length === 103, 'a full batch');
      assert.deepEqual(sizes(seen), [3, 100]);
    });

    test('a full batch does not wait', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(250);
      const seen = recorder();
      world.start(seen.handler, { subscriptions: [{ batchSize: 100, maximumBatchingWindow: 60 }] });
      await until(() => seen.events.length === 2, 'two full batches');
      assert.deepEqual(sizes(seen), [100, 100]);
    });

    test('that is open when the queue drains ends: its messages are delivered, settled and committed', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const seen = recorder();
      const puller = world.start(seen.handler, {
        subscriptions: [{ maximumBatchingWindow: 60, parallelizationFactor: 2 }],
      });
      await until(() => world.broker.heldPulls() === 1, 'all was pulled');
      assert.deepEqual(sizes(seen), []);
      const report = await puller.stop();
      assert.deepEqual([sizes(seen), report.queues[0]?.handled, world.committed()], [[3], 3, 3n]);
    });

    test('ends early enough for its handler to fit into the invocation', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const seen = recorder();
      const handler = handlerConfig('inline', 2);
      const subscriptions = [{ maximumBatchingWindow: 60, handler }];
      const puller = world.start(seen.handler, {
        subscriptions,
        options: { reserveMs: 6_000 },
        remainingMs: 12_000,
      });
      // 12 s less the reserve, the handler's timeout and the window's margin.
      await until(() => seen.events.length === 1, 'delivered early');
      await puller.report;
      assert.equal(world.committed(), 3n);
    });
  });

  describe('consumeTimeout', () => {
    test('sends back what hangs, with level 3; the queue goes on, and the verdict that comes later counts for nothing', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(6);
      const { passed, open } = gate();
      const asked = levels();
      let answered = false;
      const seen = recorder(async ({ Records }) => {
        if (!Records.some(({ body }) => body === '1')) return undefined;
        await passed;
        answered = true;
        return { batchItemFailures: items(Records) };
      });
      const subscriptions = [{ batchSize: 2, parallelizationFactor: 2, consumeTimeout: 0.5 }];
      const puller = world.start(seen.handler, { subscriptions });
      await until(() => world.committed() === 6n, 'all is committed while one call hangs');
      assert.deepEqual(asked, ['3', '3']);
      await until(() => bodiesIn(world, RETRY.topic).length >= 2, 'both come again');
      assert.deepEqual(bodiesIn(world, RETRY.topic).toSorted(), ['0', '1']);
      open();
      await until(() => answered, 'the handler answers');
      await world.produce(2, 0, () => ({ body: Buffer.from('x') }));
      await until(() => world.committed() === 8n, 'its deliverer is free again');
      assert.equal(bodiesIn(world, RETRY.topic).length, 2);
      assert.deepEqual((await puller.stop()).queues[0]?.sentBack, 2);
    });

    test('a queue that drains does not wait for a handler whose messages were sent back', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const puller = world.start(() => new Promise(() => {}), {
        subscriptions: [{ consumeTimeout: 0.3 }],
      });
      await until(() => world.committed() === 1n, 'it is sent back');
      const stoppedAt = Date.now();
      await puller.stop();
      assert.ok(Date.now() - stoppedAt < 3_000);
    });
  });

  test('never more than parallelizationFactor batches of a queue at once', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(200);
    let [inFlight, most] = [0, 0];
    world.start(
      async () => {
        most = Math.max(most, ++inFlight);
        await sleep(5);
        inFlight--;
      },
      { subscriptions: [{ batchSize: 5, parallelizationFactor: 3 }] },
    );
    await until(() => world.committed() === 200n, 'all is done');
    assert.equal(most, 3);
  });

  test('batches are larger than one pull, and than the usual cache, when enough waits', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(2_000);
    const { passed, open } = gate();
    let first = true;
    const seen = recorder(async () => {
      if (first) {
        first = false;
        await passed;
      }
    });
    world.start(seen.handler, { subscriptions: [{ batchSize: 1_500 }] });
    await until(() => world.logs.length > 0 && seen.events.length === 1, 'the first batch hangs');
    await sleep(300);
    open();
    await until(() => world.committed() === 2_000n, 'all is done', 15_000);
    assert.ok(
      sizes(seen).some((size) => size >= 1_000),
      String(sizes(seen)),
    );
  });
});
