import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic, type MessageQueue } from '../../src/model/message-queue.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { encodeBatchItem } from '../../src/records/batch-items.ts';
import { SystemFlag } from '../../src/records/system-flag.ts';
import {
  createPullerWorld,
  GROUP,
  type PullerWorld,
  RETRY,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { until } from '../support/until.ts';

const OTHER_DLQ = dlqTopic('other');
const HOUR_MS = 3_600_000;

describe('what producers can write into a message', () => {
  let world: PullerWorld;
  afterEach(() => world?.stop());

  const failAll = ({ Records }: { Records: RocketMQRecord[] }) => ({
    batchItemFailures: Records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
  });

  /** A message as a client of any kind may send it: a count and a birth of its own. */
  async function send(
    topic: string,
    properties: Record<string, string>,
    { reconsumeTimes = 0, born = Date.now(), sysFlag = 0, body = Buffer.from('x') } = {},
  ): Promise<void> {
    const text = Object.entries({ UNIQ_KEY: 'ID', ...properties })
      .map(([name, value]) => `${name}\u0001${value}\u0002`)
      .join('');
    const connection = await connectRaw(world.broker.brokers[0]?.address ?? '');
    const fields = { a: 'p', b: topic, c: 'TBW102', d: 4, e: 0, f: sysFlag, g: born, h: 0 };
    await connection
      .call(310, { ...fields, i: text, j: reconsumeTimes, k: false, m: false }, { body })
      .finally(() => connection.close());
  }

  async function worldWith(topic: string): Promise<MessageQueue[]> {
    world = await createPullerWorld();
    const queues = await world.prepare();
    if (topic === TOPIC) return queues;
    world.broker.createTopic(topic, { queues: 1 });
    const queue = { topic, brokerName: 'broker-a', queueId: 0 };
    await world.store.create(world.group, queue, 0, 0n);
    return [...queues, queue];
  }

  async function originOfDeadLetter(): Promise<string | undefined> {
    await until(() => world.broker.messages(dlqTopic(GROUP)).length === 1, 'it is dead');
    for await (const { originTopic } of peekDeadLetters(world.client, GROUP)) return originTopic;
    return undefined;
  }

  const earlierLives: [
    name: string,
    topic: string,
    properties: Record<string, string>,
    settings: { reconsumeTimes?: number },
  ][] = [
    [
      'a forwarded copy of a redelivery',
      TOPIC,
      {
        RETRY_TOPIC: 'elsewhere',
        REAL_TOPIC: '%RETRY%elsewhere',
        REAL_QID: '7',
        DELAY: '3',
        ORIGIN_MESSAGE_ID: 'X',
        RECONSUME_TIME: '16',
        MAX_RECONSUME_TIMES: '1',
        TIMER_OUT_MS: '1',
        TIMER_DELIVER_MS: '99999999999999',
        POP_CK: 'no handle',
        PROPERTY_FORWARD_QUEUE_ID: '9',
        PROPERTY_ANYTHING: 'x',
        ['__proto__']: 'x',
      },
      {},
    ],
    ['a copy that names a topic of the group', TOPIC, { RETRY_TOPIC: OTHER_DLQ }, {}],
    ['a message with a count of its producer', TOPIC, {}, { reconsumeTimes: 1_000 }],
    [
      'a dead letter of another group',
      OTHER_DLQ,
      { RETRY_TOPIC: TOPIC, ORIGIN_MESSAGE_ID: 'X' },
      { reconsumeTimes: 17 },
    ],
    [
      'a dead letter of a topic that is gone',
      OTHER_DLQ,
      { RETRY_TOPIC: 'gone' },
      { reconsumeTimes: 17 },
    ],
  ];
  for (const [name, topic, properties, settings] of earlierLives)
    for (const retryDelay of [undefined, { seconds: 0 }])
      test(`${name} gets all its retries, by its handler${retryDelay ? ', also with retryDelay' : ''}`, async () => {
        const queues = await worldWith(topic);
        await send(topic, properties, settings);
        const seen = recorder(failAll);
        const common: Partial<SubscriptionConfig> = {
          maximumRetryAttempts: 2,
          ...(retryDelay && { retryDelay }),
        };
        world.start(seen.handler, {
          queues,
          subscriptions: [TOPIC, OTHER_DLQ].map((one) => ({ ...common, topic: one })),
        });
        assert.equal(await originOfDeadLetter(), topic);
        assert.deepEqual(
          seen.records.map(({ rocketmq }) => [rocketmq.topic, rocketmq.reconsumeTimes]),
          [0, 1, 2].map((failures) => [topic, failures]),
        );
        assert.deepEqual(new Set(seen.records.map(({ messageId }) => messageId)), new Set(['ID']));
      });

  test('a count of its producer does not end a message of an ordered source', async () => {
    const queues = await worldWith(TOPIC);
    await send(TOPIC, {}, { reconsumeTimes: 1_000 });
    const seen = recorder(failAll);
    world.start(seen.handler, {
      queues,
      subscriptions: [
        {
          maximumRetryAttempts: 2,
          order: { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 10 },
        } as Partial<SubscriptionConfig>,
      ],
    });
    await originOfDeadLetter();
    assert.deepEqual(
      seen.records.map(({ rocketmq }) => rocketmq.reconsumeTimes),
      [0, 1, 2],
    );
  });

  test('the clock of its producer makes no message old, and a redelivery keeps its first store time', async () => {
    const queues = await worldWith(TOPIC);
    await send(TOPIC, { SERVERLESS_FIRST_STORED_MS: '1' }, { born: Date.now() - 2 * HOUR_MS });
    const seen = recorder(failAll);
    world.start(seen.handler, {
      queues,
      subscriptions: [{ maximumRetryAttempts: 1, maximumRecordAgeInSeconds: 3_600 }],
    });
    await until(() => world.broker.messages(dlqTopic(GROUP)).length === 1, 'it is dead');
    const [first, again] = seen.records.map(({ rocketmq }) => rocketmq);
    assert.equal(seen.records.length, 2);
    assert.equal(
      again?.properties.SERVERLESS_FIRST_STORED_MS,
      String(first?.storeTimestamp),
      'the first store time',
    );
    assert.equal(again?.bornTimestamp, first?.bornTimestamp);
    assert.deepEqual(seen.records[1]?.messageAttributes, {});
  });

  test('a retry that is too old since its first store goes to the DLQ', async () => {
    const queues = await worldWith(TOPIC);
    await world.client.send({
      topic: RETRY.topic,
      body: Buffer.from('old'),
      properties: {
        RETRY_TOPIC: TOPIC,
        SERVERLESS_FIRST_STORED_MS: String(Date.now() - 2 * HOUR_MS),
      },
    });
    const seen = recorder();
    world.start(seen.handler, {
      queues,
      subscriptions: [{ maximumRecordAgeInSeconds: 3_600 }],
    });
    assert.equal(await originOfDeadLetter(), TOPIC);
    assert.deepEqual(seen.records, []);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_RECORD_AGE_EXCEEDED'));
  });

  /** The group may write its dead-letter topic only. */
  function refuseRetries(): void {
    world.broker.createTopic(dlqTopic(GROUP), { queues: 1 });
    world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) =>
        command.extFields.b === RETRY.topic ? { code: 16, remark: 'no permission' } : undefined,
      { times: Number.POSITIVE_INFINITY },
    );
  }

  test('a retry topic that takes no message leaves the copy to local retries, under its own topic', async () => {
    const queues = await worldWith(TOPIC);
    await send(TOPIC, { RETRY_TOPIC: 'elsewhere' });
    refuseRetries();
    const seen = recorder(failAll);
    world.start(seen.handler, { queues, subscriptions: [{ maximumRetryAttempts: 1 }] });
    await until(() => world.broker.messages(dlqTopic(GROUP)).length === 1, 'it is dead', 30_000);
    assert.equal(await originOfDeadLetter(), TOPIC);
    assert.deepEqual(
      seen.records.map(({ rocketmq }) => [rocketmq.topic, rocketmq.reconsumeTimes]),
      [0, 1].map((failures) => [TOPIC, failures]),
    );
    assert.deepEqual(world.broker.messages(RETRY.topic), []);
  });

  test('a retry topic that takes no message does not let a producer choose the origin of a dead letter', async () => {
    const queues = await worldWith(TOPIC);
    await send(TOPIC, { RETRY_TOPIC: 'payments' });
    refuseRetries();
    world.start(recorder(failAll).handler, {
      queues,
      subscriptions: [{ maximumRetryAttempts: 0 }],
    });
    assert.equal(await originOfDeadLetter(), TOPIC);
  });

  test('messages of one messageId are never in one event', async () => {
    const queues = await worldWith(TOPIC);
    await world.produce(3, 0, (index) => ({ properties: { UNIQ_KEY: index === 2 ? 'B' : 'A' } }));
    const seen = recorder();
    const events: string[][] = [];
    const handler: typeof seen.handler = (event, options) => {
      events.push(event.Records.map(({ messageId }) => messageId));
      return seen.handler(event, options);
    };
    world.start(handler, { queues });
    await until(() => seen.records.length === 3, 'all are seen');
    for (const ids of events) assert.equal(new Set(ids).size, ids.length);
  });

  test('a message that says it is an inner batch has one offset, and its neighbours are delivered', async () => {
    const items = ['0', '1', '2'].map((text) =>
      encodeBatchItem({ flag: 0, body: Buffer.from(text), properties: {} }),
    );
    const forged = {
      sysFlag: SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH,
      body: Buffer.concat(items),
    };
    world = await createPullerWorld();
    const queues = await world.prepare();
    await send(TOPIC, {}, forged);
    await send(TOPIC, { INNER_NUM: '3' }, forged);
    await world.produce(5, 0, (n) => ({ body: Buffer.from(`real ${n}`) }));
    await send(TOPIC, { INNER_NUM: '3' }, forged);
    const seen = recorder();
    const puller = world.start(seen.handler, { queues });
    await until(() => world.committed() === 8n, 'everything is done');
    await puller.stop();
    assert.deepEqual(
      seen.bodies.toSorted(),
      [0, 1, 2, 3, 4].map((n) => `real ${n}`),
    );
    assert.equal(world.broker.messages(dlqTopic(GROUP)).length, 3);
  });
});
