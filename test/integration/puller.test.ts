import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LEASE_DURATION_MS, SAFETY_MARGIN_MS } from '../../src/decide/lease/lease.ts';
import { MAX_CLOCK_SKEW_MS } from '../../src/model/clock-skew.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { HandlerOutcome, MessageHandler } from '../../src/ports/invoke.ts';
import type { PullerReport } from '../../src/puller/puller-deps.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { handlerConfig } from '../support/handler-config.ts';
import {
  at,
  createPullerWorld,
  deployment,
  GROUP,
  gate,
  type PullerWorld,
  RETRY,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const numbers = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => String(from + index));
const sorted = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b));
const failing = (records: readonly RocketMQRecord[]) => ({
  batchItemFailures: records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
});
const reasons = ({ queues }: PullerReport) => queues.map(({ reason }) => reason);
/** A handler behind the Invoke API, as the puller sees it. */
const answering = (
  invoke: (call: number) => HandlerOutcome | Promise<HandlerOutcome>,
): MessageHandler & { readonly calls: number } => {
  let calls = 0;
  return {
    get calls() {
      return calls;
    },
    invoke: async () => invoke(++calls),
  };
};
const untilAsync = async (holds: () => Promise<boolean>) => {
  for (const end = Date.now() + 5_000; !(await holds()); await sleep(10))
    assert.ok(Date.now() < end, 'not within 5 s');
};
const dlq = (world: PullerWorld) => world.broker.messages(dlqTopic(GROUP));

describe('a puller', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  describe('delivers', () => {
    test('every message once, queues side by side, up to parallelizationFactor batches in flight, and commits and releases', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare(2);
      await world.produce(300, 0);
      await world.produce(200, 1);
      let [inFlight, most] = [0, 0];
      const seen = recorder(async () => {
        most = Math.max(most, ++inFlight);
        await sleep(2);
        inFlight--;
      });
      const puller = world.start(seen.handler, {
        queues,
        subscriptions: [{ batchSize: 7, parallelizationFactor: 3 }],
      });
      await until(
        () => world.committed(at(0)) === 300n && world.committed(at(1)) === 200n,
        'all is committed',
      );
      const report = await puller.stop();
      assert.deepEqual(sorted(seen.bodies), sorted([...numbers(300), ...numbers(200)]));
      assert.ok(seen.events.every(({ Records }) => Records.length <= 7));
      assert.ok(most > 3 && most <= 6, `${most} batches at once for two queues`);
      assert.deepEqual(
        report.queues.map(({ handled, reason, committedOffset }) => [
          handled,
          reason,
          committedOffset,
        ]),
        [
          [300, 'signal', '300'],
          [200, 'signal', '200'],
          [0, 'signal', '0'],
        ],
      );
      const { lease, committedOffset, maxOffset } = await world.assignmentOf(at(1));
      assert.deepEqual([lease, committedOffset, maxOffset], [undefined, 200n, 200n]);
    });

    test('a record that says where it comes from, and a batch that says what it is', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2, 0, () => ({
        tags: 'paid',
        keys: ['k1'],
        properties: { tenant: 'acme' },
      }));
      const seen = recorder();
      world.start(seen.handler, { deps: { region: 'eu-west-1', accountId: '123456789012' } });
      await until(() => seen.records.length === 2, 'both came');
      const [first] = seen.records as [RocketMQRecord];
      assert.equal(
        first.eventSourceARN,
        `arn:aws:sqs:eu-west-1:123456789012:rocketmq/default/${TOPIC}/${GROUP}`,
      );
      assert.deepEqual(
        [first.rocketmq.tags, first.rocketmq.keys, first.messageAttributes.tenant?.stringValue],
        ['paid', ['k1'], 'acme'],
      );
      const batch = seen.events[0]?.rocketmqBatch;
      assert.deepEqual(
        [batch?.attempt, batch?.minOffset, batch?.maxOffset, batch?.lag],
        [1, '0', '1', 0],
      );
      assert.ok((batch?.deadline ?? 0) > Date.now());
    });

    test('a message that arrives while it waits, within milliseconds', async () => {
      world = await createPullerWorld({ longPollTickMs: 5_000 });
      await world.prepare();
      const seen = recorder();
      world.start(seen.handler, { options: { maxSuspendMs: 15_000 } });
      await until(() => world.broker.heldPulls() === 1, 'the pull is held');
      const sentAt = Date.now();
      await world.produce(1);
      await until(() => seen.records.length === 1, 'it came');
      assert.ok(Date.now() - sentAt < 1_000);
    });

    test('with several idle deliverers and nothing to do it leaves the process to others', async () => {
      world = await createPullerWorld();
      await world.prepare();
      world.start(recorder().handler, { subscriptions: [{ parallelizationFactor: 8 }] });
      await until(() => world.broker.heldPulls() === 1, 'the pull is held');
      const before = process.cpuUsage();
      await sleep(500);
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 250_000, `${(user + system) / 1000} ms of CPU for nothing`);
    });

    test('tags that do not match are passed and committed', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(50, 0, (index) => ({ tags: index % 10 === 0 ? 'paid' : 'open' }));
      const seen = recorder();
      world.start(seen.handler, {
        subscriptions: [{ filter: { type: 'TAG', expression: 'paid || refunded' } }],
      });
      await until(() => world.committed() === 50n, 'the gaps are committed too');
      assert.deepEqual(sorted(seen.bodies), ['0', '10', '20', '30', '40']);
    });
  });

  describe('takes the handler’s word', () => {
    test('messages that failed are redelivered by the broker, as the same message with one failure more, until they are done', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(40);
      const seen = recorder(({ Records }) =>
        failing(
          Records.filter(
            ({ body, rocketmq }) => Number(body) % 8 === 0 && rocketmq.reconsumeTimes < 2,
          ),
        ),
      );
      world.start(seen.handler, { queues });
      await until(
        () => world.committed() === 40n && world.committed(RETRY) === 10n,
        'all is committed',
      );
      const zeros = seen.records.filter(({ body }) => body === '0');
      assert.deepEqual(
        zeros.map(({ rocketmq, attributes }) => [
          rocketmq.topic,
          rocketmq.reconsumeTimes,
          attributes.ApproximateReceiveCount,
        ]),
        [
          [TOPIC, 0, '1'],
          [TOPIC, 1, '2'],
          [TOPIC, 2, '3'],
        ],
      );
      assert.equal(new Set(zeros.map(({ messageId }) => messageId)).size, 1);
      assert.equal(new Set(zeros.map(({ rocketmq }) => rocketmq.offsetMsgId)).size, 3);
      assert.equal(seen.records.length, 50);
      assert.deepEqual(dlq(world), []);
    });

    test('a message that always fails is delivered 1 + maximumRetryAttempts times and ends in the DLQ; the others are done', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(20);
      const seen = recorder(({ Records }) => failing(Records.filter(({ body }) => body === '7')));
      world.start(seen.handler, { queues, subscriptions: [{ maximumRetryAttempts: 2 }] });
      await until(() => dlq(world).length === 1, 'it is in the DLQ');
      await until(
        () => world.committed() === 20n && world.committed(RETRY) === 2n,
        'all is committed',
      );
      assert.equal(seen.bodies.filter((body) => body === '7').length, 3);
      assert.equal(dlq(world)[0]?.body.toString(), '7');
      assert.equal(seen.records.length, 22);
    });

    test('maximumRetryAttempts 0: the first failure is the last', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      world.start(() => Promise.reject(new Error('no')), {
        subscriptions: [{ maximumRetryAttempts: 0 }],
      });
      await until(() => dlq(world).length === 3, 'all are in the DLQ');
    });

    test('delayLevel of the answer is the one that the broker gets', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      const levels: (string | undefined)[] = [];
      world.broker.control(
        'CONSUMER_SEND_MSG_BACK',
        ({ command }) => void levels.push(command.extFields.delayLevel),
        { times: Infinity },
      );
      const answers = [7, undefined];
      world.start(({ Records }) => ({
        batchItemFailures: Records.map(({ messageId }, index) => ({
          itemIdentifier: messageId,
          delayLevel: answers[index],
        })),
      }));
      await until(() => world.committed() === 2n, 'both are sent back');
      assert.deepEqual(levels.sort(), ['0', '7']);
    });

    for (const [what, answer] of [
      ['a throw', () => Promise.reject(new Error('broken'))],
      ['an answer that is a list', () => []],
      ['an unknown identifier', () => ({ batchItemFailures: [{ itemIdentifier: 'nobody' }] })],
    ] as const)
      test(`${what} fails the whole batch`, async () => {
        world = await createPullerWorld();
        const queues = await world.prepare();
        await world.produce(5);
        const seen = recorder(({ Records }) =>
          Records[0]?.rocketmq.reconsumeTimes === 0 ? answer() : undefined,
        );
        world.start(seen.handler, { queues });
        await until(
          () => world.committed() === 5n && world.committed(RETRY) === 5n,
          'all came again',
        );
        assert.ok(
          world.logs.some(
            ({ level, code, message }) =>
              level === 'warn' &&
              /^ROCKETMQ_(HANDLER_FAILED|INVALID_ANSWER)$/.test(code ?? '') &&
              message.endsWith('all messages of the batch have failed'),
          ),
        );
      });

    test('a handler that hangs fails at its timeout', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(2);
      const handler = handlerConfig('inline', 0.1);
      const seen = recorder(({ Records }) =>
        Records[0]?.rocketmq.reconsumeTimes === 0 ? new Promise(() => {}) : undefined,
      );
      world.start(seen.handler, {
        queues,
        subscriptions: [{ handler, bisectBatchOnFunctionError: false }],
      });
      await until(() => world.committed(RETRY) === 2n, 'they were delivered again');
      assert.equal(seen.records.length, 4);
    });

    test('a throttled handler is called again with the same batch, and no failure is counted', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      const seen = recorder();
      const payloads: string[] = [];
      const throttled: MessageHandler = {
        invoke: async (payload) => {
          payloads.push(payload.json());
          if (payloads.length < 4)
            return { kind: 'unavailable', error: new Error('Rate exceeded') };
          seen.handler(JSON.parse(payload.json()), {} as never);
          return { kind: 'answered', answer: null };
        },
      };
      world.start(throttled);
      await until(() => world.committed() === 3n, 'it went through');
      assert.deepEqual(
        payloads.map((payload) => JSON.parse(payload).rocketmqBatch.attempt),
        [1, 2, 3, 4],
      );
      assert.deepEqual(
        seen.records.map(({ rocketmq }) => rocketmq.reconsumeTimes),
        [0, 0, 0],
      );
      assert.equal(sendBacks.calls, 0);
    });

    test('back-off of a throttled handler is not cut short by traffic', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const throttled = answering(() => ({
        kind: 'unavailable',
        error: new Error('Rate exceeded'),
      }));
      world.start(throttled, { subscriptions: [{ batchSize: 1 }] });
      await until(() => throttled.calls > 0, 'it was called');
      for (let index = 0; index < 50; index++) {
        await world.produce(1);
        await sleep(10);
      }
      assert.ok(throttled.calls <= 4, `${throttled.calls} calls in half a second`);
    });

    test('a handler that does not exist ends the queue with a named error; its messages stay', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      const missing = answering(() => ({
        kind: 'misconfigured',
        error: new Error('no such function'),
      }));
      const report = await world.start(missing).report;
      assert.deepEqual(reasons(report), ['handler-misconfigured']);
      assert.equal(world.committed(), 0n);
      assert.deepEqual([sendBacks.calls, missing.calls], [0, 1]);
      assert.equal((await world.assignmentOf()).lease, undefined);
      assert.ok(
        world.logs.some(
          ({ level, code }) => level === 'error' && code === 'ROCKETMQ_HANDLER_MISCONFIGURED',
        ),
      );
    });
  });

  describe('sends back', () => {
    test('again when the broker is busy', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const busy = world.broker.control(
        'CONSUMER_SEND_MSG_BACK',
        () => ({ code: 2, remark: '[PCBUSY_CLEAN_QUEUE]' }),
        { times: 2 },
      );
      world.start(({ Records }) => failing(Records));
      await until(() => world.committed() === 1n, 'it is sent back');
      assert.equal(busy.calls, 2);
      await until(() => world.broker.messages(RETRY.topic).length === 1, 'it is there once');
    });

    test('as an ordinary message when 36 is refused', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(1);
      world.broker.control('CONSUMER_SEND_MSG_BACK', () => ({
        code: 1,
        remark: 'look message by offset failed',
      }));
      const seen = recorder(({ Records }) =>
        failing(Records.filter(({ rocketmq }) => rocketmq.reconsumeTimes === 0)),
      );
      world.start(seen.handler, { queues });
      await until(() => world.committed(RETRY) === 1n, 'it was delivered again');
      assert.deepEqual(
        seen.records.map(({ rocketmq }) => [rocketmq.topic, rocketmq.reconsumeTimes]),
        [
          [TOPIC, 0],
          [TOPIC, 1],
        ],
      );
    });

    test('in neither way: the message stays unfinished and is delivered again here after 5 s, one failure more; what is beside it goes on', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3);
      const no = { times: Infinity };
      const controls = [
        world.broker.control('CONSUMER_SEND_MSG_BACK', () => ({ code: 1, remark: 'no' }), no),
        world.broker.control('SEND_MESSAGE_V2', () => ({ code: 14, remark: 'disk full' }), no),
      ];
      const seen = recorder(({ Records }) =>
        failing(
          Records.filter(({ body, rocketmq }) => body === '1' && rocketmq.reconsumeTimes === 0),
        ),
      );
      const times: number[] = [];
      world.start(
        (event, context) => {
          times.push(Date.now());
          return seen.handler(event, context);
        },
        { subscriptions: [{ retryDelay: { seconds: 1 } }] },
      );
      await until(
        () => world.logs.some(({ code }) => code === 'ROCKETMQ_SEND_BACK_FAILED'),
        'both ways failed',
        10_000,
      );
      for (const control of controls) control.remove();
      await until(() => world.committed() === 1n, 'the commit moves up to it');
      await sleep(4_300);
      assert.equal(world.committed(), 1n, 'the commit stays below the unfinished message');
      await until(() => world.committed() === 3n, 'it is done');
      assert.deepEqual(
        seen.records.map(({ body, rocketmq }) => [body, rocketmq.reconsumeTimes]),
        [
          ['0', 0],
          ['1', 0],
          ['2', 0],
          ['1', 1],
        ],
      );
      assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) >= 4_900);
    });
  });

  describe('never stops at bad input', () => {
    test('an undecodable record goes to the DLQ, the next go on', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2);
      await world.produceUndecodable();
      await world.produce(2, 0, (index) => ({ body: Buffer.from(String(index + 2)) }));
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 5n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(4));
      assert.deepEqual(
        dlq(world).map(({ body }) => body.toString()),
        ['not what it says'],
      );
      assert.ok(
        world.logs.some(({ level, code }) => level === 'error' && code === 'ROCKETMQ_UNDECODABLE'),
      );
    });

    test('a message whose event no Lambda takes goes to the DLQ, the next go on; batches keep below the limit', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const large = Buffer.from('\n'.repeat(1_500_000));
      await world.produce(3);
      await world.client.send(
        { topic: TOPIC, body: Buffer.from('\n'.repeat(3_300_000)) },
        { queue: at(0) },
      );
      for (let index = 0; index < 3; index++)
        await world.client.send({ topic: TOPIC, body: large }, { queue: at(0) });
      const sizes: [number, number][] = [];
      const byLambda: MessageHandler = {
        invoke: async (payload) => {
          const json = payload.json();
          sizes.push([JSON.parse(json).Records.length, Buffer.byteLength(json)]);
          return { kind: 'answered', answer: null };
        },
      };
      const handler = handlerConfig('function', 5);
      world.start(byLambda, { subscriptions: [{ handler }] });
      await until(() => world.committed() === 7n, 'all is committed');
      assert.equal(
        sizes.reduce((sum, [records]) => sum + records, 0),
        6,
      );
      assert.ok(sizes.every(([, bytes]) => bytes <= 6_291_556));
      assert.deepEqual(
        dlq(world).map(({ body }) => body.length),
        [3_300_000],
      );
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_EVENT_TOO_LARGE'));
    });

    test('a redelivery of a topic that nobody takes any more goes to the DLQ', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(1);
      const first = world.start(({ Records }) => failing(Records));
      await until(() => world.committed() === 1n, 'it is sent back');
      await first.stop();
      world.start(recorder().handler, {
        queues: queues.slice(-1),
        subscriptions: [{ topic: 'other' }],
      });
      await until(() => world.committed(RETRY) === 1n, 'it is passed');
      assert.equal(dlq(world).length, 1);
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_NO_HANDLER'));
    });

    test('no permission ends the queue with the broker’s reason', async () => {
      world = await createPullerWorld();
      await world.prepare();
      world.broker.control('PULL_MESSAGE', () => ({ code: 16, remark: 'no permission' }), {
        times: Infinity,
      });
      assert.deepEqual(reasons(await world.start(recorder().handler).report), ['refused']);
      assert.equal((await world.assignmentOf()).lease, undefined);
    });
  });

  describe('begins', () => {
    test('at 0 with a commit of it: before 5.0 brokers say 0 where there is none, and can lose one of a group’s first commits', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.client.commitOffset(GROUP, at(0), 0n);
      await world.produce(2);
      const commits: string[] = [];
      world.broker.control(
        'UPDATE_CONSUMER_OFFSET',
        ({ command }) => void commits.push(command.extFields.commitOffset ?? ''),
        {
          times: Infinity,
        },
      );
      world.start(recorder().handler);
      await until(() => world.committed() === 2n, 'all is committed');
      assert.deepEqual([commits[0], commits.at(-1)], ['0', '2']);
    });

    test('at the offset of its assignment when the group has none, and stores it at once', async () => {
      world = await createPullerWorld();
      await world.prepare(1, 30n);
      await world.produce(40);
      const hold = gate();
      const seen = recorder(() => hold.passed);
      const puller = world.start(seen.handler);
      await until(() => seen.records.length > 0, 'the first came');
      assert.equal(world.committed(), 30n);
      hold.open();
      await until(() => world.committed() === 40n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(10, 30));
      await puller.stop();
    });

    test('at the stored offset when there is one', async () => {
      world = await createPullerWorld();
      await world.prepare(1, 30n);
      await world.produce(40);
      await world.client.commitOffset(GROUP, at(0), 35n);
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 40n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(5, 35));
    });

    test('a group that no broker knows yet is made by the first pull', async () => {
      world = await createPullerWorld();
      world.broker.createTopic(TOPIC, { queues: 1 });
      await world.store.create(world.group, at(0), 0, 2n);
      await world.produce(5);
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 5n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), ['2', '3', '4']);
    });

    test('where the broker says when the messages before are gone', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(60);
      world.broker.expireMessages(at(0), 50n);
      const hold = gate();
      const seen = recorder(() => hold.passed);
      world.start(seen.handler);
      await until(() => seen.records.length > 0, 'the first came');
      assert.equal(world.committed(), 50n, 'stored before anything is delivered');
      hold.open();
      await until(() => world.committed() === 60n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(10, 50));
    });

    test('not at all when it comes too late, has too little time, or knows no such group', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const { handler } = recorder();
      assert.deepEqual(
        reasons(
          await world.start(handler, { notAfter: Date.now() - MAX_CLOCK_SKEW_MS - 1 }).report,
        ),
        ['too-late'],
      );
      assert.deepEqual(reasons(await world.start(handler, { remainingMs: 15_000 }).report), [
        'too-little-time',
      ]);
      assert.deepEqual(reasons(await world.start(handler, { consumerGroup: 'strangers' }).report), [
        'unknown-source',
      ]);
      assert.equal((await world.assignmentOf()).fence, 0);
    });

    test('not when the queue is another slot’s, or somebody holds it and goes on holding it', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const { handler } = recorder();
      assert.deepEqual(reasons(await world.start(handler, { slot: 1 }).report), ['not-acquired']);
      const now = Date.now();
      const held = {
        ...world.group,
        queue: at(0),
        slot: 0,
        holder: 'someone',
        now,
        leaseUntil: now + 60_000,
        endsAt: now + 60_000,
      };
      assert.equal((await world.store.acquire(held)).applied, true);
      assert.deepEqual(
        reasons(await world.start(handler, { options: { successionWaitMs: 400 } }).report),
        ['not-acquired'],
      );
      assert.equal((await world.assignmentOf()).lease?.holder, 'someone');
    });

    test('a table that cannot be reached ends its own queue only', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare(2);
      await world.produce(3, 1);
      const store = {
        ...world.store,
        acquire: (request: Parameters<typeof world.store.acquire>[0]) =>
          request.queue.queueId === 0 && request.queue.topic === TOPIC
            ? Promise.reject(new Error('unreachable'))
            : world.store.acquire(request),
      };
      const puller = world.start(recorder().handler, { queues, deps: { store } });
      await until(() => world.committed(at(1)) === 3n, 'the other queue is worked');
      assert.deepEqual(reasons(await puller.stop()), ['error', 'signal', 'signal']);
    });
  });

  describe('controls the flow', () => {
    test('about 1,000 messages are kept while the handler takes its time', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(3_000);
      let furthest = 0;
      const watch = ({ command }: { command: { extFields: Readonly<Record<string, string>> } }) => {
        furthest = Math.max(furthest, Number(command.extFields.queueOffset));
      };
      world.broker.control('PULL_MESSAGE', watch, { times: Infinity });
      const hold = gate();
      const seen = recorder(() => hold.passed);
      world.start(seen.handler, { subscriptions: [{ batchSize: 100 }] });
      await until(() => furthest > 900, 'it pulled ahead');
      await sleep(300);
      assert.ok(furthest <= 1_000 + 32, `it pulled up to ${furthest}`);
      hold.open();
      await until(() => world.committed() === 3_000n, 'all is committed');
      assert.equal(new Set(seen.bodies).size, 3_000);
      assert.equal(seen.records.length, 3_000);
    });

    test('no further than 2,000 offsets beyond a message that hangs, which holds the commit back', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4_000);
      const hold = gate();
      const seen = recorder(({ Records }) => (Records[0]?.body === '0' ? hold.passed : undefined));
      world.start(seen.handler, { subscriptions: [{ batchSize: 32, parallelizationFactor: 2 }] });
      await until(() => seen.records.length >= 2_000, 'the others go on');
      await sleep(300);
      assert.ok(seen.records.length <= 2_000 + 64, `${seen.records.length} came`);
      assert.equal(world.committed(), 0n);
      hold.open();
      await until(() => world.committed() === 4_000n, 'all is committed');
      assert.equal(seen.records.length, 4_000);
    });
  });

  describe('follows the offset when somebody else moves it', () => {
    test('an operator’s reset while a batch is with the handler: its result counts for nothing, and all from there comes again', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(100);
      const hold = gate();
      let held = false;
      const seen = recorder(async ({ Records }) => {
        if (held || !Records.some(({ body }) => body === '99')) return undefined;
        held = true;
        await hold.passed;
        return failing(Records);
      });
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      world.start(seen.handler, { subscriptions: [{ batchSize: 10 }] });
      await until(() => seen.bodies.includes('99'), 'the last batch is with the handler');
      await until(
        () => String(world.committed()) === seen.events.at(-1)?.rocketmqBatch.minOffset,
        'all before it is committed',
      );
      await world.reset(0, 20);
      await until(
        () =>
          world.logs.some(
            ({ code }) => code === 'ROCKETMQ_OFFSET_RESET' || code === 'ROCKETMQ_OFFSET_CHANGED',
          ),
        'a pull or the stored offset told it',
      );
      assert.equal(world.committed(), 20n);
      hold.open();
      await until(() => world.committed() === 100n, 'all is committed again');
      const times = (body: number) =>
        seen.bodies.filter((seenBody) => seenBody === String(body)).length;
      assert.deepEqual([19, 20, 50, 99].map(times), [1, 2, 2, 2]);
      assert.equal(sendBacks.calls, 0);
    });

    test('a reset that drops a commit is pulled for at once', async () => {
      world = await createPullerWorld({ longPollTickMs: 5_000 });
      await world.prepare();
      await world.produce(10);
      const hold = gate();
      const seen = recorder(({ rocketmqBatch, Records }) =>
        Records.some(({ body }) => body === '9') &&
        seen.events.length < 3 &&
        rocketmqBatch.attempt === 1
          ? hold.passed
          : undefined,
      );
      world.start(seen.handler, {
        subscriptions: [{ batchSize: 5 }],
        options: { maxSuspendMs: 15_000 },
      });
      await until(
        () =>
          world.committed() === 5n && seen.records.length === 10 && world.broker.heldPulls() === 1,
        'the second batch is out',
      );
      await world.reset(0, 2);
      // The stored offset tells it before the commit does, unless it is the one that was known: make it so.
      await world.reset(0, 5);
      hold.open();
      await until(
        () => seen.bodies.filter((body) => body === '5').length === 2,
        'the messages from there came again',
      );
      await until(() => world.committed() === 10n, 'all is committed');
      assert.equal(seen.bodies.filter((body) => body === '4').length, 1);
      assert.ok(
        world.logs.some(({ message }) => message.includes('pulling to learn the new offset')),
      );
    });

    test('also when the queue is full, so that nothing would be pulled otherwise', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(40);
      const holds = [gate(), gate()];
      const seen = recorder(() => holds[seen.events.length - 1]?.passed);
      const flowLimits = { maxMessages: 10, maxBytes: 1_000_000, maxSpan: 1_000 };
      world.start(seen.handler, {
        subscriptions: [{ batchSize: 5, parallelizationFactor: 1 }],
        options: { flowLimits },
      });
      await until(() => seen.events.length === 1, 'a batch is out');
      // To the offset that was known: only the dropped commit tells it.
      await world.reset(0, 0);
      holds[0]?.open();
      await until(
        () => world.logs.some(({ message }) => message.includes('pulling to learn the new offset')),
        'the commit was dropped',
      );
      holds[1]?.open();
      await until(() => world.committed() === 40n, 'all is committed');
      assert.equal(seen.bodies.filter((body) => body === '0').length, 2);
    });

    test('a reset whose answer another pull swallowed does not stop the queue', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const hold = gate();
      const seen = recorder(() => (seen.events.length === 1 ? hold.passed : undefined));
      const subscription = {
        topic: TOPIC,
        subString: '*',
        expressionType: 'TAG',
        tagsSet: [],
        codeSet: [],
        subVersion: 0,
      } as const;
      let told = false;
      const commitOffset = async (...args: Parameters<typeof world.client.commitOffset>) => {
        const answer = await world.client.commitOffset(...args);
        if (answer.resetPending && !told) {
          told = true;
          await world.client.pull({
            consumerGroup: GROUP,
            queue: at(0),
            offset: 0n,
            subscription,
            maxMessages: 1,
            suspendMs: 0,
          });
        }
        return answer;
      };
      const client = new Proxy(world.client, {
        get: (target, name) => {
          const value: unknown = name === 'commitOffset' ? commitOffset : Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      world.start(seen.handler, {
        subscriptions: [{ batchSize: 5, parallelizationFactor: 1 }],
        deps: { client },
      });
      await until(() => seen.events.length === 1, 'a batch is out');
      await world.reset(0, 0);
      hold.open();
      await until(() => world.committed() === 10n, 'all is committed');
      assert.ok(told);
    });

    test('a stored offset that changed without a sign is adopted instead of overwritten', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 10n, 'the first are committed');
      await world.client.commitOffset(GROUP, at(0), 4n);
      await world.produce(1, 0, () => ({ body: Buffer.from('10') }));
      await until(() => world.committed() === 11n, 'all is committed again');
      const times = (body: number) =>
        seen.bodies.filter((seenBody) => seenBody === String(body)).length;
      assert.deepEqual([3, 4, 9].map(times), [1, 2, 2]);
    });

    test('also while nothing comes and nothing is to be committed', async () => {
      world = await createPullerWorld({ longPollTickMs: 5_000 });
      await world.prepare();
      await world.produce(10);
      const seen = recorder();
      world.start(seen.handler, { options: { maxSuspendMs: 15_000 } });
      await until(
        () => world.committed() === 10n && world.broker.heldPulls() === 1,
        'all is committed',
      );
      await world.reset(0, 6);
      await until(() => seen.records.length === 14, 'what was reset came again', 3_000);
      await until(() => world.committed() === 10n, 'all is committed again');
      assert.deepEqual(seen.bodies.slice(10), numbers(4, 6));
    });

    test('a commit that the broker forgot is stored again, also when nothing comes', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const seen = recorder();
      world.start(seen.handler);
      await until(
        () => world.committed() === 10n && world.broker.heldPulls() === 1,
        'all is committed',
      );
      const forgotten = world.broker.control('QUERY_CONSUMER_OFFSET', () => ({
        code: 22,
        remark: 'not found',
      }));
      const commits = world.broker.control('UPDATE_CONSUMER_OFFSET', () => undefined, {
        times: Infinity,
      });
      await until(() => forgotten.calls === 1 && commits.calls === 1, 'it is stored again');
      assert.equal(world.committed(), 10n);
      assert.equal(seen.records.length, 10);
    });

    test('a connection that broke a while ago, and cost nothing, does not make a reset look like that', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const seen = recorder();
      world.start(seen.handler);
      await until(
        () => world.committed() === 10n && world.broker.heldPulls() === 1,
        'all is committed',
      );
      const broken = world.broker.control('PULL_MESSAGE', () => 'disconnect', { times: 2 });
      await until(() => broken.calls === 2, 'the connection broke');
      await until(
        () => world.logs.some(({ message }) => message === 'pull failed'),
        'it was noticed',
      );
      const queries = world.broker.control('QUERY_CONSUMER_OFFSET', () => undefined, {
        times: Infinity,
      });
      await until(() => queries.calls >= 3, 'the offset was seen as it was');
      await world.client.commitOffset(GROUP, at(0), 4n);
      await until(() => seen.records.length === 16, 'all from there came again');
      await until(() => world.committed() === 10n, 'all is committed again');
    });

    test('our own commit, whose answer was lost, is not taken for somebody else’s', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const lost = world.broker.control(
        'UPDATE_CONSUMER_OFFSET',
        ({ command }) => (command.extFields.commitOffset === '10' ? 'lose-answer' : undefined),
        { times: 2 },
      );
      const seen = recorder();
      world.start(seen.handler);
      await until(() => lost.calls === 2 && world.committed() === 10n, 'the commit arrived');
      await sleep(3_300);
      await world.produce(5, 0, (index) => ({ body: Buffer.from(String(index + 10)) }));
      await until(() => world.committed() === 15n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(15));
      assert.ok(!world.logs.some(({ message }) => message.includes('somebody else')));
    });

    test('a broker that restarts loses nothing, and gets its offset', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(50);
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 50n, 'the first are committed');
      await world.broker.stopBroker('broker-a');
      await sleep(200);
      await world.broker.startBroker('broker-a');
      await world.produce(50, 0, (index) => ({ body: Buffer.from(String(index + 50)) }));
      await until(() => world.committed() === 100n, 'all is committed');
      assert.deepEqual(sorted(seen.bodies), numbers(100));
    });
  });

  describe('holds its lease, and gives the queue back', () => {
    test('a lost lease: what is in flight counts for nothing, nothing is committed or sent back', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(20);
      const hold = gate();
      const first = recorder(async ({ Records }) => {
        if (Records[0]?.body === '10') await hold.passed;
        return failing(Records.filter(({ body }) => Number(body) > 10));
      });
      const puller = world.start(first.handler, { holder: 'first' });
      await until(
        () => world.committed() === 10n && first.records.length === 20,
        'the second batch is out',
      );
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      await world.expire('first');
      const now = Date.now();
      const taken = await world.store.acquire({
        ...world.group,
        queue: at(0),
        slot: 0,
        holder: 'second',
        now: now + 60_000,
        leaseUntil: now + 90_000,
        endsAt: now + 90_000,
      });
      assert.equal(taken.applied, true);
      const report = await puller.report;
      hold.open();
      await sleep(100);
      assert.deepEqual(reasons(report), ['lease-lost']);
      assert.deepEqual([world.committed(), sendBacks.calls], [10n, 0]);
      assert.equal((await world.assignmentOf()).lease?.holder, 'second');
      assert.ok(
        world.logs.some(({ level, reason }) => level === 'warn' && reason === 'lease-lost'),
      );
    });

    test('a queue that moves is drained, committed and released before the new slot’s puller begins; nobody gets a message twice', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const moments: { who: string; kind: 'begin' | 'end'; bodies: string[] }[] = [];
      const by = (who: string) =>
        recorder(async ({ Records }) => {
          const bodies = Records.map(({ body }) => body);
          moments.push({ who, kind: 'begin', bodies });
          await sleep(20);
          moments.push({ who, kind: 'end', bodies });
        });
      const [old, next] = [by('old'), by('next')];
      const puller = world.start(old.handler, {
        subscriptions: [{ batchSize: 5, parallelizationFactor: 2 }],
      });
      await world.produce(500);
      await until(() => old.records.length > 50, 'the old one works');
      assert.equal(await world.store.move(world.group, at(0), 1, 1), true);
      world.start(next.handler, { slot: 1, subscriptions: [{ batchSize: 50 }] });
      assert.deepEqual(reasons(await puller.report), ['moved']);
      await until(() => world.committed() === 500n, 'all is committed');
      assert.deepEqual(sorted([...old.bodies, ...next.bodies]), numbers(500));
      const firstOfNext = moments.findIndex(({ who }) => who === 'next');
      assert.ok(
        firstOfNext > 0 && moments.slice(firstOfNext).every(({ who }) => who === 'next'),
        'the old one ended before',
      );
    });

    test('a successor waits, takes over at once, and nobody gets a message twice', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      const [old, next] = [recorder(), recorder()];
      const puller = world.start(old.handler);
      await until(() => world.committed() === 10n, 'the old one works');
      world.start(next.handler, { source: deployment(2) });
      const report = await puller.report;
      const endedAt = Date.now();
      await until(() => world.broker.heldPulls() > 0, 'the new one pulls');
      await world.produce(5, 0, (index) => ({ body: Buffer.from(String(index + 10)) }));
      await until(() => world.committed() === 15n, 'all is committed');
      assert.deepEqual(reasons(report), ['succession']);
      assert.ok(
        Date.now() - endedAt < 1_500,
        `${Date.now() - endedAt} ms from the old one’s end to the new one’s last commit`,
      );
      assert.deepEqual([sorted(old.bodies), sorted(next.bodies)], [numbers(10), numbers(5, 10)]);
    });

    test('a pause and a retirement drain it', async () => {
      world = await createPullerWorld();
      await world.prepare(2);
      await world.produce(5, 0);
      const seen = recorder();
      const puller = world.start(seen.handler, { queues: [at(0), at(1)] });
      await until(() => world.committed(at(0)) === 5n, 'it works');
      await world.store.setPaused(world.group, at(0), Date.now() + 60_000);
      await world.store.setAbsent(world.group, at(1), Date.now(), 1);
      await world.store.setRetired(world.group, at(1), Date.now(), 1);
      assert.deepEqual(reasons(await puller.report), ['paused', 'retired']);
      assert.equal((await world.assignmentOf(at(0))).lease, undefined);
    });

    test('an idle queue is committed and released', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(5);
      const startedAt = Date.now();
      const report = await world.start(recorder().handler, {
        options: { idleTimeoutMs: 500, commitIntervalMs: 60_000 },
      }).report;
      assert.deepEqual(reasons(report), ['idle']);
      assert.ok(Date.now() - startedAt >= 500);
      const { lease, committedOffset } = await world.assignmentOf();
      assert.deepEqual([world.committed(), lease, committedOffset], [5n, undefined, 5n]);
    });

    test('a queue goes after the idleTimeout of its group, or never', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const startedAt = Date.now();
      const report = await world.start(recorder().handler, {
        source: { idleTimeout: 1 },
        options: { idleTimeoutMs: undefined },
      }).report;
      assert.deepEqual(reasons(report), ['idle']);
      assert.ok(Date.now() - startedAt >= 1_000);
      const puller = world.start(recorder().handler, {
        source: { idleTimeout: 'never' },
        options: { idleTimeoutMs: undefined },
      });
      assert.equal(await Promise.race([puller.report, sleep(2_000, 'stays')]), 'stays');
      assert.deepEqual(reasons(await puller.stop()), ['signal']);
    });

    test('a broker that is away for long ends the queue under its own name', async () => {
      world = await createPullerWorld();
      await world.prepare();
      const puller = world.start(recorder().handler, { options: { idleTimeoutMs: 700 } });
      await until(() => world.broker.heldPulls() === 1, 'it pulls');
      await world.broker.stopBroker('broker-a');
      assert.deepEqual(reasons(await puller.report), ['unreachable']);
      await world.broker.startBroker('broker-a');
    });

    test('near its end it takes nothing new, finishes, commits and releases', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(2_000);
      const handler = handlerConfig('inline', 0.5);
      const seen = recorder(() => sleep(50));
      const puller = world.start(seen.handler, {
        remainingMs: 9_500,
        subscriptions: [{ handler, batchSize: 5 }],
      });
      const report = await puller.report;
      assert.deepEqual(reasons(report), ['deadline']);
      assert.equal(world.committed(), BigInt(seen.records.length));
      assert.ok(seen.records.length > 0 && seen.records.length < 2_000);
      assert.equal((await world.assignmentOf()).lease, undefined);
    });

    test('a call that never ends is given up in time: its messages stay, the others are committed, the lease is released', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(20);
      const sendBacks = world.broker.control('CONSUMER_SEND_MSG_BACK', () => undefined, {
        times: Infinity,
      });
      const deaf: MessageHandler = {
        invoke: async (payload, { signal }) => {
          if ((payload.event() as RocketMQEvent).Records[0]?.body === '0')
            return { kind: 'answered', answer: null };
          return new Promise((_resolve, reject) =>
            signal?.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        },
      };
      const startedAt = Date.now();
      const handler = handlerConfig('function', 0.1);
      const report = await world.start(deaf, { remainingMs: 9_000, subscriptions: [{ handler }] })
        .report;
      assert.deepEqual(reasons(report), ['deadline']);
      assert.ok(Date.now() - startedAt < 4_000, 'before the lease’s last seconds');
      assert.equal(world.committed(), 10n);
      const { lease, crash } = await world.assignmentOf();
      assert.deepEqual([lease, crash, sendBacks.calls], [undefined, undefined, 0]);
    });

    test('a renewal that fails is repeated soon', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      let fail = 1;
      const store = {
        ...world.store,
        renew: (request: Parameters<typeof world.store.renew>[0]) =>
          fail-- > 0 ? Promise.reject(new Error('unreachable')) : world.store.renew(request),
      };
      const hold = gate();
      const puller = world.start(() => hold.passed, { deps: { store }, holder: 'first' });
      await until(() => fail < -2, 'it was repeated');
      hold.open();
      await until(() => world.committed() === 1n, 'the message is committed');
      assert.deepEqual(reasons(await puller.stop()), ['signal']);
    });

    for (const [what, busy, left] of [
      ['stands as a crash while a message is with the handler', true, 'first'],
      ['is given back when nothing is out', false, undefined],
    ] as const)
      test(`a lease that could not be renewed in time ends the work and ${what}`, async () => {
        world = await createPullerWorld();
        await world.prepare();
        if (busy) await world.produce(1);
        let skew = 0;
        const store = { ...world.store, renew: () => Promise.reject(new Error('unreachable')) };
        const hold = gate();
        const seen = recorder(() => hold.passed);
        const clock = { ...systemClock, now: () => Date.now() + skew };
        const puller = world.start(seen.handler, { deps: { store, clock }, holder: 'first' });
        await until(
          () => (busy ? seen.records.length === 1 : world.broker.heldPulls() === 1),
          'it works',
        );
        skew = LEASE_DURATION_MS - SAFETY_MARGIN_MS;
        assert.deepEqual(reasons(await puller.report), ['lease-lost']);
        hold.open();
        await sleep(50);
        assert.equal(world.committed(), 0n);
        assert.equal((await world.assignmentOf()).lease?.holder, left);
      });
  });

  describe('survives messages that kill it', () => {
    test('one death: the messages are delivered as always, and progress clears the record', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      await world.die('dead-1');
      const seen = recorder();
      const puller = world.start(seen.handler);
      await until(() => world.committed() === 10n, 'all is committed');
      assert.equal(seen.events.length, 1);
      await untilAsync(async () => (await world.assignmentOf()).crash === undefined);
      await puller.stop();
    });

    test('two deaths: one message at a time, each announced before it is delivered and after what was done is committed', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4);
      await world.die('dead-1');
      await world.die('dead-2');
      const announced: unknown[] = [];
      const seen = recorder(async () => {
        const { crash } = await world.assignmentOf();
        announced.push([crash?.suspect, crash?.count, world.committed()]);
      });
      const puller = world.start(seen.handler, { subscriptions: [{ parallelizationFactor: 3 }] });
      await until(() => world.committed() === 4n, 'all is committed');
      assert.deepEqual(
        seen.events.map(({ Records }) => Records.map(({ body }) => body)),
        [['0'], ['1'], ['2'], ['3']],
      );
      assert.deepEqual(
        announced,
        [0, 1, 2, 3].map((offset) => [BigInt(offset), 0, BigInt(offset)]),
      );
      await puller.stop();
    });

    test('what an operator’s reset brings back from before the deaths is delivered in batches, as always', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(30);
      await world.client.commitOffset(GROUP, at(0), 0n);
      await world.die('dead-1', { offset: 20n, count: 0, isolateUntil: 20n });
      const seen = recorder();
      const puller = world.start(seen.handler);
      await until(() => world.committed() === 30n, 'all is committed');
      await puller.stop();
      assert.ok(seen.events.length <= 4, `${seen.events.length} calls`);
    });

    test('also when the reset comes while the next holder is at work', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(30);
      await world.client.commitOffset(GROUP, at(0), 20n);
      await world.die('dead-1', { offset: 20n, count: 0, isolateUntil: 20n });
      const hold = gate();
      const seen = recorder(() => (seen.events.length === 1 ? hold.passed : undefined));
      const puller = world.start(seen.handler, { options: { renewIntervalMs: 20_000 } });
      await until(() => seen.events.length === 1, 'a batch is out');
      await world.reset(0, 0);
      await until(
        () =>
          world.logs.some(
            ({ message }) => message.includes('reset') || message.includes('changed by somebody'),
          ),
        'it is followed',
      );
      hold.open();
      await until(() => world.committed() === 30n, 'all is committed');
      await puller.stop();
      assert.ok(seen.events.length <= 6, `${seen.events.length} calls`);
    });

    test('a suspect has the retries of its tag', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(2, 0, () => ({ tags: 'once' }));
      await world.client.commitOffset(GROUP, at(0), 0n);
      await world.die('dead-1', { offset: 0n, suspect: 0n, count: 2, isolateUntil: 1n });
      const seen = recorder();
      world.start(seen.handler, {
        queues,
        subscriptions: [{ maximumRetryAttempts: 16, maximumRetryAttemptsByTag: { once: 0 } }],
      });
      await until(
        () => world.committed() === 2n && dlq(world).length === 1,
        'its first failure is the last',
      );
      assert.deepEqual(seen.bodies, ['1']);
    });

    test('the last message that is delivered alone has the queue to itself, too', async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(4);
      await world.die('dead-1');
      await world.die('dead-2', { offset: 0n, count: 0, isolateUntil: 1n });
      const hold = gate();
      const seen = recorder(({ Records }) => (Records[0]?.body === '0' ? hold.passed : undefined));
      world.start(seen.handler, { subscriptions: [{ parallelizationFactor: 3 }] });
      await until(() => seen.records.length === 1, 'it is with the handler');
      await sleep(300);
      assert.deepEqual(seen.bodies, ['0']);
      hold.open();
      await until(() => world.committed() === 4n, 'all is committed');
      await untilAsync(async () => (await world.assignmentOf()).crash === undefined);
    });

    test('a suspect that killed three holders is sent back as a failure without a delivery; the next are delivered', async () => {
      world = await createPullerWorld();
      const queues = await world.prepare();
      await world.produce(3);
      await world.die('dead-1');
      await world.die('dead-2');
      // Three more vanish while message 0 is delivered alone: the coordinator is told, and the next one takes over.
      const hung = [];
      const silent = new Set<string>();
      for (const [deaths, holder] of ['dead-3', 'dead-4', 'dead-5'].entries()) {
        const store = {
          ...world.store,
          renew: (request: Parameters<typeof world.store.renew>[0]) =>
            silent.has(holder) ? Promise.reject(new Error('dead')) : world.store.renew(request),
        };
        hung.push(world.start(() => new Promise(() => {}), { holder, deps: { store } }));
        await untilAsync(async () => {
          const { lease, crash } = await world.assignmentOf();
          return (
            lease?.holder === holder &&
            crash?.suspect === 0n &&
            crash.suspectedBy === lease.fence &&
            crash.count === deaths
          );
        });
        silent.add(holder);
        await sleep(50);
        await world.expire(holder);
      }
      const seen = recorder();
      world.start(seen.handler, { queues });
      await until(
        () => world.committed() === 3n && world.committed(RETRY) === 1n,
        'all is committed',
      );
      assert.deepEqual(
        seen.records.map(({ body, rocketmq }) => [body, rocketmq.reconsumeTimes]).sort(),
        [
          ['0', 1],
          ['1', 0],
          ['2', 0],
        ],
      );
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_KILLS_PULLER'));
      silent.clear();
      for (const puller of hung) assert.deepEqual(reasons(await puller.report), ['lease-lost']);
    });
  });
});
