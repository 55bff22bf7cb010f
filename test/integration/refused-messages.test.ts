import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQRecord } from '../../src/model/event.ts';
import type { FailureRecord } from '../../src/model/failure.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { OrderConfig } from '../../src/model/source.ts';
import type { HandlerOutcome, MessageHandler } from '../../src/ports/invoke.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { encodeBatchItem } from '../../src/records/batch-items.ts';
import type { ControlDecision } from '../../src/testing/index.ts';
import { countingMeter } from '../support/counting-meter.ts';
import {
  createPullerWorld,
  GROUP,
  type PullerSettings,
  type PullerWorld,
  RETRY,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { until } from '../support/until.ts';

const ILLEGAL = { code: 13, remark: 'PROPERTIES_SIZE_EXCEEDED' };
const BUSY = { code: 2, remark: '[PCBUSY_CLEAN_QUEUE]broker busy' };
const NO_RIGHT = { code: 16, remark: 'sending message is forbidden' };
const ARN = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';
const POISON = 'poison';
const FOREVER = { times: Number.POSITIVE_INFINITY };
/** Every failure comes again after the least delay, 5 s. */
const SOON = { retryDelay: { seconds: 1 } };

const ORDERS: Readonly<Record<string, OrderConfig | undefined>> = {
  'without order': undefined,
  'in order by queue': { by: 'queue', suspendCurrentQueueTimeMillis: 10 },
  'in order by key': { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 10 },
};

const failing = (records: readonly RocketMQRecord[], action?: 'dlq') => ({
  batchItemFailures: records.map(({ receiptHandle }) => ({
    itemIdentifier: receiptHandle,
    ...(action === undefined ? {} : { action }),
  })),
});
/** Fails the poison each time. */
const failsPoison = (action?: 'dlq') =>
  recorder(({ Records }) =>
    failing(
      Records.filter(({ body }) => body === POISON || body === ''),
      action,
    ),
  );

describe('a failed message that the broker does not take back', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  const dlq = () => world.broker.messages(dlqTopic(GROUP));
  const told = (records: readonly RocketMQRecord[]) =>
    records.filter(({ body }) => body === POISON).map(({ rocketmq }) => rocketmq.reconsumeTimes);
  const isOwn = (topic = ''): boolean => topic.startsWith('%RETRY%') || topic.startsWith('%DLQ%');
  /** Every way to give a message back gets this answer. */
  const refuse = (decision: ControlDecision) => {
    const controls = [
      world.broker.control('CONSUMER_SEND_MSG_BACK', () => decision, FOREVER),
      world.broker.control(
        'SEND_MESSAGE_V2',
        ({ command }) => (isOwn(command.extFields.b) ? decision : undefined),
        FOREVER,
      ),
    ];
    return {
      get calls() {
        return controls.map(({ calls }) => calls);
      },
      remove: () => {
        for (const control of controls) control.remove();
      },
    };
  };
  const destination = () => {
    const records: FailureRecord[] = [];
    const deliver = async (_arn: string, record: FailureRecord) => {
      records.push(structuredClone(record));
    };
    return { records, destinations: { sqs: { deliver } } };
  };
  /** The lines of level error, with their fields. */
  const errors = () => {
    const lines: Record<string, unknown>[] = [];
    const logger: Logger = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (fields) => void lines.push(fields as Record<string, unknown>),
      child: () => logger,
    };
    return { lines, logger };
  };
  /** A batch of Java's producer: its items may have empty bodies. */
  async function produceBatch(bodies: readonly string[]): Promise<void> {
    const items = bodies.map((body, n) =>
      encodeBatchItem({ flag: 0, body: Buffer.from(body), properties: { UNIQ_KEY: `U${n}` } }),
    );
    const connection = await connectRaw(world.broker.brokers[0]?.address ?? '');
    const fields = { a: 'p', b: TOPIC, c: 'TBW102', d: 4, e: 0, f: 0, g: Date.now(), h: 0 };
    await connection.call(
      320,
      { ...fields, i: '', j: 0, k: false, m: true },
      { body: Buffer.concat(items) },
    );
    connection.close();
  }

  test('comes again here as often as allowed and not more, told as redeliveries, and then goes to onFailure', async () => {
    world = await createPullerWorld();
    await world.prepare();
    refuse(ILLEGAL);
    await world.produce(3, 0, (n) => (n === 1 ? { body: Buffer.from(POISON) } : {}));
    const { records, destinations } = destination();
    const { counts, meter } = countingMeter();
    const seen = failsPoison();
    world.start(seen.handler, {
      deps: { destinations, meter },
      subscriptions: [{ ...SOON, maximumRetryAttempts: 1, onFailure: { type: 'sqs', arn: ARN } }],
    });
    await until(() => world.committed() === 3n, 'the queue goes on', 15_000);
    assert.deepEqual(told(seen.records), [0, 1]);
    assert.equal(seen.records.length, 4);
    assert.deepEqual(
      records.map(({ payload, requestContext }) => [
        payload.Records[0].body,
        requestContext.approximateInvokeCount,
      ]),
      [[POISON, 2]],
    );
    assert.deepEqual(
      [counts.SendBackErrorCount, counts.DeadLetteredEventCount, counts.DiscardedEventCount],
      [1, 1, undefined],
    );
  });

  test('its deliveries here travel with it when the broker takes it at last', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare();
    const refusal = refuse(ILLEGAL);
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON) }));
    const seen = failsPoison();
    world.start(seen.handler, {
      queues,
      subscriptions: [{ ...SOON, maximumRetryAttempts: 3 }],
    });
    await until(() => seen.records.length === 1, 'the first delivery');
    await until(
      () => world.logs.some(({ code }) => code === 'ROCKETMQ_SEND_BACK_FAILED'),
      'it is not taken back',
    );
    refusal.remove();
    await until(() => dlq().length === 1, 'its end', 15_000);
    assert.deepEqual(told(seen.records), [0, 1, 2, 3]);
    assert.equal(dlq()[0]?.reconsumeTimes, 4);
  });

  test('request 36, which would forget its deliveries here, does not follow a refused send', async () => {
    world = await createPullerWorld();
    const queues = await world.prepare();
    world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
    const busy = world.broker.control('CONSUMER_SEND_MSG_BACK', () => BUSY, FOREVER);
    world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) => (command.extFields.b === RETRY.topic ? NO_RIGHT : undefined),
      FOREVER,
    );
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON) }));
    const seen = failsPoison();
    world.start(seen.handler, { queues, subscriptions: [{ ...SOON, maximumRetryAttempts: 2 }] });
    await until(
      () => world.logs.some(({ code }) => code === 'ROCKETMQ_SEND_BACK_FAILED'),
      'it is not taken back',
    );
    busy.remove();
    await until(() => dlq().length === 1, 'its end', 20_000);
    assert.deepEqual(told(seen.records), [0, 1, 2]);
  });

  test('its deliveries here are not forgotten when another puller goes on', async () => {
    world = await createPullerWorld();
    await world.prepare();
    refuse(ILLEGAL);
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON) }));
    const { records, destinations } = destination();
    const settings: PullerSettings = {
      deps: { destinations },
      subscriptions: [{ ...SOON, maximumRetryAttempts: 2, onFailure: { type: 'sqs', arn: ARN } }],
    };
    const seen = failsPoison();
    for (const count of [1, 2, 3]) {
      const puller = world.start(seen.handler, settings);
      await until(() => seen.records.length === count, `delivery ${count}`);
      if (count < 3)
        await until(
          () =>
            world.logs.filter(({ code }) => code === 'ROCKETMQ_SEND_BACK_FAILED').length === count,
          'it is given back here',
        );
      else await until(() => world.committed() === 1n, 'its end');
      await puller.stop();
    }
    assert.deepEqual([told(seen.records), records.length], [[0, 1, 2], 1]);
  });

  test('does not hold up its queue for longer than its limit takes, at 5 s a delivery', async () => {
    world = await createPullerWorld();
    await world.prepare();
    refuse(ILLEGAL);
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON) }));
    await world.produce(300);
    const seen = failsPoison();
    const startedAt = Date.now();
    world.start(seen.handler, {
      // Delays of 10 and 30 s, and Java's limits made small.
      subscriptions: [{ maximumRetryAttempts: 2, batchSize: 10 }],
      options: { flowLimits: { maxMessages: 1000, maxBytes: 1 << 24, maxSpan: 100 } },
    });
    await until(() => world.committed() === 301n, 'the queue goes on', 25_000);
    assert.ok(Date.now() - startedAt >= 10_000, 'not sooner than 5 s after each other');
    assert.deepEqual(told(seen.records), [0, 1, 2]);
    assert.equal(seen.records.length, 303);
  });

  for (const [mode, order] of Object.entries(ORDERS)) {
    const ordered = order === undefined ? {} : { order, batchSize: 1 };
    const keyed = { shardingKey: 'a' };

    for (const [why, decision] of [
      ['illegal', ILLEGAL],
      ['without the right', NO_RIGHT],
    ] as const)
      test(`${mode}, ${why} everywhere: at its limit its content goes to the log, and its queue goes on`, async () => {
        world = await createPullerWorld();
        await world.prepare();
        refuse(decision);
        await world.produce(3, 0, (n) => ({
          ...keyed,
          ...(n === 1 ? { body: Buffer.from(POISON), properties: { own: 'x' } } : {}),
        }));
        const { lines, logger } = errors();
        const { counts, meter } = countingMeter();
        const seen = failsPoison();
        world.start(seen.handler, {
          deps: { logger, meter },
          subscriptions: [{ ...ordered, ...SOON, maximumRetryAttempts: 0 }],
        });
        await until(() => world.committed() === 3n, 'the queue goes on', 10_000);
        assert.deepEqual([told(seen.records), seen.records.length], [[0], 3]);
        const [line] = lines.filter(({ code }) => code === 'ROCKETMQ_MESSAGE_DISCARDED');
        assert.equal(Buffer.from(String(line?.bodyBase64), 'base64').toString(), POISON);
        assert.deepEqual(
          [line?.topic, line?.offset, line?.condition, line?.cut],
          [TOPIC, '1', 'RetryAttemptsExhausted', false],
        );
        assert.equal((line?.properties as Record<string, string> | undefined)?.own, 'x');
        assert.deepEqual(
          [counts.DiscardedEventCount, counts.DeadLetteredEventCount],
          [1, undefined],
        );
      });

    test(`${mode}: while the broker is busy its end waits, without another delivery, and is stored once`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      const refusal = refuse(BUSY);
      await world.produce(3, 0, (n) => ({
        ...keyed,
        ...(n === 1 ? { body: Buffer.from(POISON) } : {}),
      }));
      const seen = failsPoison();
      const settings = { subscriptions: [{ ...ordered, maximumRetryAttempts: 0 }] };
      const first = world.start(seen.handler, settings);
      await until(
        () => world.logs.some(({ code }) => code === 'ROCKETMQ_END_NOT_STORED'),
        'nothing takes it',
        25_000,
      );
      await first.stop();
      refusal.remove();
      // Whoever comes next knows that it has had its deliveries.
      world.start(seen.handler, settings);
      await until(() => world.committed() === 3n, 'the queue goes on', 10_000);
      assert.deepEqual(told(seen.records), [0]);
      assert.deepEqual(
        dlq().map(({ body }) => body.toString()),
        [POISON],
      );
    });

    test(`${mode}: an empty body goes to the DLQ with a placeholder and its origin`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      // As a broker of 5.x; the embedded one refuses empty sends by itself.
      world.broker.control(
        'CONSUMER_SEND_MSG_BACK',
        () => ({ code: 1, remark: 'MESSAGE_ILLEGAL' }),
        FOREVER,
      );
      await produceBatch(['0', '', '2']);
      const seen = failsPoison();
      world.start(seen.handler, {
        subscriptions: [{ ...ordered, ...SOON, maximumRetryAttempts: 0 }],
      });
      await until(() => world.committed() === 3n, 'the queue goes on', 10_000);
      const [dead] = dlq();
      assert.equal(dlq().length, 1);
      assert.deepEqual([dead?.body.toString(), dead?.reconsumeTimes], ['(empty body)', 1]);
      const own = Object.fromEntries(dead?.properties ?? []);
      assert.equal(own.DLQ_BODY_PLACEHOLDER, 'true');
      assert.deepEqual([own.UNIQ_KEY, own.RETRY_TOPIC, own.DLQ_ORIGIN_TOPIC], ['U1', TOPIC, TOPIC]);
      assert.ok(own.ORIGIN_MESSAGE_ID);
    });

    test(`${mode}: an event that Lambda finds too large goes in smaller ones; a single one has its end`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(8, 0, (n) => ({
        ...keyed,
        ...(n === 5 ? { body: Buffer.from(POISON) } : {}),
      }));
      const delivered: string[] = [];
      const handler: MessageHandler = {
        async invoke(payload): Promise<HandlerOutcome> {
          const { Records } = JSON.parse(payload.json()) as { Records: RocketMQRecord[] };
          const bodies = Records.map(({ body }) => body);
          if (bodies.includes(POISON))
            return { kind: 'too-large', error: new Error('RequestTooLargeException') };
          delivered.push(...bodies);
          return { kind: 'answered', answer: undefined };
        },
      };
      world.start(handler, {
        subscriptions: [{ ...ordered, batchSize: 8, bisectBatchOnFunctionError: false }],
      });
      await until(() => world.committed() === 8n, 'the queue goes on');
      assert.deepEqual(delivered.toSorted(), ['0', '1', '2', '3', '4', '6', '7']);
      assert.deepEqual(
        dlq().map(({ body }) => body.toString()),
        [POISON],
      );
    });
  }

  test('the largest of its own properties are dropped and named where there are too many bytes', async () => {
    world = await createPullerWorld();
    await world.prepare();
    world.broker.control('CONSUMER_SEND_MSG_BACK', () => ILLEGAL, FOREVER);
    // Brokers add properties of their own: what just fits a send does not fit a redelivery.
    world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) =>
        isOwn(command.extFields.b) && (command.extFields.i?.length ?? 0) > 32_000
          ? ILLEGAL
          : undefined,
      FOREVER,
    );
    await world.client.send({
      topic: TOPIC,
      body: Buffer.from(POISON),
      tags: 'paid',
      properties: { small: 's', large: 'l'.repeat(32_550) },
    });
    world.start(failsPoison().handler, { subscriptions: [{ maximumRetryAttempts: 0 }] });
    await until(() => world.committed() === 1n, 'the queue goes on', 10_000);
    const [dead] = dlq();
    assert.equal(dead?.body.toString(), POISON);
    const own = Object.fromEntries(dead?.properties ?? []);
    assert.deepEqual(
      [own.small, own.large, own.TAGS, own.DLQ_DROPPED_PROPERTIES, own.RETRY_TOPIC],
      ['s', undefined, 'paid', 'large', TOPIC],
    );
  });

  test('without the right to the retry topic: the dead-letter topic itself takes it', async () => {
    world = await createPullerWorld();
    await world.prepare();
    world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
    world.broker.control('CONSUMER_SEND_MSG_BACK', () => NO_RIGHT, FOREVER);
    world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) => (command.extFields.b === RETRY.topic ? NO_RIGHT : undefined),
      FOREVER,
    );
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON) }));
    world.start(failsPoison('dlq').handler);
    await until(() => world.committed() === 1n, 'the queue goes on', 10_000);
    assert.deepEqual(
      dlq().map(({ body, reconsumeTimes }) => [body.toString(), reconsumeTimes]),
      [[POISON, 1]],
    );
  });

  test('a record that cannot be decoded: its bytes go to onFailure, or to the log', async () => {
    for (const onFailure of [undefined, { type: 'sqs', arn: ARN } as const]) {
      world = await createPullerWorld();
      await world.prepare();
      refuse(NO_RIGHT);
      await world.produceUndecodable();
      await world.produce(3);
      const { records, destinations } = destination();
      const { lines, logger } = errors();
      const seen = recorder();
      world.start(seen.handler, {
        deps: { destinations, logger },
        subscriptions: [onFailure === undefined ? {} : { onFailure }],
      });
      await until(() => world.committed() === 4n, 'the queue goes on', 10_000);
      assert.deepEqual(seen.bodies, ['0', '1', '2']);
      const logged = lines.find(({ code }) => code === 'ROCKETMQ_MESSAGE_DISCARDED')?.bodyBase64;
      const body =
        onFailure === undefined
          ? Buffer.from(String(logged), 'base64').toString('latin1')
          : records[0]?.payload.Records[0].body;
      assert.equal(body, 'not what it says');
      if (onFailure === undefined) await world.stop();
    }
  });
});

describe('a message whose body does not open', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());
  const property = (name: string, value: string) => `${name}\u0001${value}\u0002`;
  const OWN = `${property('own', 'x')}${property('UNIQ_KEY', 'U')}${property('INNER_NUM', '3')}`;
  const facts = (properties: ReadonlyMap<string, string> | undefined) =>
    ['own', 'UNIQ_KEY', 'RETRY_TOPIC'].map((name) => properties?.get(name));

  for (const [why, properties] of [
    ['which request 36 refuses', OWN],
    ['whose producer chose another origin', OWN + property('RETRY_TOPIC', 'payments')],
  ] as const)
    test(`${why}: its dead letter keeps its properties and its id`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      const back = world.broker.control('CONSUMER_SEND_MSG_BACK', () => ILLEGAL, FOREVER);
      await world.produceUndecodable(0, properties);
      await world.produce(1);
      const seen = recorder();
      world.start(seen.handler);
      await until(() => world.committed() === 2n, 'the queue goes on', 10_000);
      const [letter, ...more] = world.broker.messages(dlqTopic(GROUP));
      assert.deepEqual([more, seen.bodies], [[], ['0']]);
      assert.deepEqual(facts(letter?.properties), ['x', 'U', TOPIC]);
      assert.equal(letter?.properties.has('INNER_NUM'), false, 'brokers refuse it');
      assert.match(letter?.properties.get('DLQ_UNDECODABLE') ?? '', /compressed/);
      assert.equal(letter?.body.toString('latin1'), 'not what it says');
      assert.equal(back.calls > 0, properties === OWN);
    });

  test('goes to onFailure, and into the log, with its properties', async () => {
    for (const onFailure of [{ type: 'sqs', arn: ARN } as const, undefined]) {
      world = await createPullerWorld();
      await world.prepare();
      for (const code of ['CONSUMER_SEND_MSG_BACK', 'SEND_MESSAGE_V2'] as const)
        world.broker.control(
          code,
          ({ command }) => (command.extFields.b === TOPIC ? undefined : NO_RIGHT),
          FOREVER,
        );
      await world.produceUndecodable(0, OWN);
      const records: FailureRecord[] = [];
      const lines: Record<string, unknown>[] = [];
      const deliver = async (_arn: string, record: FailureRecord) => {
        records.push(structuredClone(record));
      };
      const logger: Logger = {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: (fields) => void lines.push(fields as Record<string, unknown>),
        child: () => logger,
      };
      world.start(recorder().handler, {
        deps: { logger, destinations: { sqs: { deliver } } },
        subscriptions: [onFailure === undefined ? {} : { onFailure }],
      });
      await until(() => world.committed() === 1n, 'the queue goes on', 10_000);
      const logged = lines.find(({ code }) => code === 'ROCKETMQ_MESSAGE_DISCARDED')?.properties;
      const own =
        onFailure === undefined
          ? (logged as Record<string, string> | undefined)?.own
          : records[0]?.payload.Records[0].rocketmq.properties.own;
      assert.equal(own, 'x');
      if (onFailure !== undefined) await world.stop();
    }
  });
});

describe('a send whose answer is lost', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());
  const dlq = () => world.broker.messages(dlqTopic(GROUP));

  test('is not what request 36 answers for a stored message whose slave is late', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const late = { code: 1, remark: 'SLAVE_NOT_AVAILABLE' };
    const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => late, FOREVER);
    const sends = world.broker.control('SEND_MESSAGE_V2', () => undefined, FOREVER);
    world.start(({ Records }) => failing(Records));
    await until(() => world.committed() === 1n, 'it is taken');
    assert.deepEqual([requests.calls, sends.calls], [1, 0]);
  });

  test('is followed by one fallback, as in Java: two redeliveries at most', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(5);
    const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => 'lose-answer', FOREVER);
    const sends = world.broker.control('SEND_MESSAGE_V2', () => undefined, FOREVER);
    world.start(({ Records }) => failing(Records), { subscriptions: [{ batchSize: 5 }] });
    await until(() => world.committed() === 5n, 'all are taken', 15_000);
    assert.deepEqual([requests.calls, sends.calls], [5, 5]);
    await until(() => world.broker.messages(RETRY.topic).length === 10, 'their delays end');
    await sleep(500);
    assert.equal(world.broker.messages(RETRY.topic).length, 10);
  });

  test('both lost: the message comes again here, counted, and its next failure is sent once', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => 'lose-answer', FOREVER);
    const sends = world.broker.control('SEND_MESSAGE_V2', () => 'lose-answer', { times: 2 });
    const seen = recorder(({ Records }) => failing(Records));
    world.start(seen.handler, {
      subscriptions: [{ ...SOON, maximumRetryAttempts: 5 }],
      remainingMs: 90_000,
    });
    await until(() => world.committed() === 1n, 'it is taken', 60_000);
    assert.deepEqual([requests.calls, sends.calls], [1, 2]);
    assert.deepEqual(
      seen.records.map(({ rocketmq }) => rocketmq.reconsumeTimes),
      [0, 1, 2],
    );
    await until(() => world.broker.messages(RETRY.topic).length === 4, 'their delays end');
    await sleep(500);
    assert.equal(world.broker.messages(RETRY.topic).length, 4);
  });

  test('of the timer wheel: one request 36 follows, and nothing more', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const sends = world.broker.control('SEND_MESSAGE_V2', () => 'lose-answer', FOREVER);
    const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => 'lose-answer', FOREVER);
    // The client learns the broker's version from its first answers.
    world.start(({ Records }) => failing(Records), {
      subscriptions: [{ retryDelay: { seconds: 77 } }],
    });
    await until(
      () => world.logs.some(({ code }) => code === 'ROCKETMQ_SEND_BACK_FAILED'),
      'both have no answer',
      20_000,
    );
    assert.deepEqual([sends.calls, requests.calls], [1, 1]);
  });

  for (const [what, decision] of [
    ['carried out', 'lose-answer'],
    ['not carried out', 'drop'],
  ] as const)
    test(`of a dead letter that was ${what}: one entry, and no further delivery`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(1);
      const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => decision);
      const seen = recorder(({ Records }) => failing(Records));
      world.start(seen.handler, { subscriptions: [{ maximumRetryAttempts: 0 }] });
      await until(() => world.committed() === 1n, 'its end', 20_000);
      assert.deepEqual([seen.records.length, requests.calls, dlq().length], [1, 1, 1]);
    });

  test('of a dead letter is found by the next holder, too', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    world.broker.control('CONSUMER_SEND_MSG_BACK', () => 'lose-answer');
    const seen = recorder(({ Records }) => failing(Records));
    const settings = { subscriptions: [{ maximumRetryAttempts: 0 }] };
    const first = world.start(seen.handler, settings);
    await until(
      () => world.logs.some(({ code }) => code === 'ROCKETMQ_END_NOT_STORED'),
      'the answer is missing',
      10_000,
    );
    await first.stop();
    assert.deepEqual([world.committed() ?? 0n, dlq().length], [0n, 1]);
    world.start(seen.handler, settings);
    await until(() => world.committed() === 1n, 'its end', 15_000);
    assert.deepEqual([seen.records.length, dlq().length], [1, 1]);
  });

  test('of a dead letter: one of another message with the same id is not taken for it', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const properties = { UNIQ_KEY: 'same', RETRY_TOPIC: 'others' };
    await world.produce(1, 0, () => ({ body: Buffer.from('its own'), properties }));
    await world.produce(1, 0, () => ({ body: Buffer.from(POISON), properties }));
    const seen = recorder(({ Records }) => failing(Records));
    let sends = 0;
    world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) => (command.extFields.b?.startsWith('%') && ++sends === 2 ? 'drop' : undefined),
      FOREVER,
    );
    world.start(seen.handler, { subscriptions: [{ batchSize: 1, maximumRetryAttempts: 0 }] });
    await until(() => world.committed() === 2n, 'their ends', 20_000);
    assert.deepEqual(
      dlq().map(({ body }) => body.toString()),
      ['its own', POISON],
    );
  });

  test('of a dead letter: while its broker is away nothing is sent again', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const requests = world.broker.control('CONSUMER_SEND_MSG_BACK', () => 'lose-answer');
    const looks = world.broker.control(
      'PULL_MESSAGE',
      ({ command }) => (command.extFields.topic === dlqTopic(GROUP) ? 'disconnect' : undefined),
      FOREVER,
    );
    const seen = recorder(({ Records }) => failing(Records));
    world.start(seen.handler, { subscriptions: [{ maximumRetryAttempts: 0 }] });
    const tries = () => world.logs.filter(({ code }) => code === 'ROCKETMQ_END_NOT_STORED').length;
    await until(() => tries() === 2, 'a look without an answer', 20_000);
    assert.deepEqual([dlq().length, world.committed() ?? 0n], [1, 0n]);
    looks.remove();
    await until(() => world.committed() === 1n, 'its end', 15_000);
    assert.deepEqual([seen.records.length, requests.calls, dlq().length], [1, 1, 1]);
  });
});
