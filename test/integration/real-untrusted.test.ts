import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { type InProcessService, startInProcess } from '../support/in-process-service.ts';
import { runJava } from '../support/java.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { QUICK_REDELIVERY, type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const HOUR_MS = 3_600_000;
const OTHER_DLQ = '%DLQ%other';
const FIRST_STORED = 'SERVERLESS_FIRST_STORED_MS';

/** What real brokers keep of a message that producers wrote into, from one delivery to the next. */
describe('producers that are not trusted, on a real broker', {
  skip: missingStack('rocketmq'),
}, () => {
  let world: RealWorld;
  const services: InProcessService[] = [];
  before(async () => {
    world = await startRealWorld({ messageDelayLevel: QUICK_REDELIVERY });
  });
  after(async () => {
    await Promise.all(services.map((service) => service.end()));
    await world?.stop();
  });

  /** A group whose handler fails the records that `fails` names, each by the identifier asked for. */
  function serve(
    consumerGroup: string,
    topics: readonly string[],
    options: Partial<SubscriptionConfig>,
    fails: (record: RocketMQRecord) => boolean,
    identifier: 'messageId' | 'receiptHandle' = 'messageId',
  ): RocketMQRecord[] {
    const records: RocketMQRecord[] = [];
    services.push(
      startInProcess({
        client: world.client,
        dynamodb: world.dynamodb,
        nameServer: world.rocketmq.nameServer,
        source: source(
          topics.map((topic) => subscription(topic, options)),
          { consumerGroup },
        ),
        handler: ({ Records }) => {
          records.push(...Records);
          return {
            batchItemFailures: Records.filter(fails).map((record) => ({
              itemIdentifier: record[identifier],
            })),
          };
        },
      }),
    );
    return records;
  }

  const createTopic = (topic: string): Promise<void> =>
    world.client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });

  async function sendRaw(
    topic: string,
    properties: Record<string, string>,
    { reconsumeTimes = 0, born = Date.now() } = {},
  ): Promise<void> {
    const text = Object.entries(properties)
      .map(([name, value]) => `${name}\u0001${value}\u0002`)
      .join('');
    const connection = await connectRaw(world.rocketmq.brokers[0]?.address ?? '');
    const fields = { a: 'p', b: topic, c: 'TBW102', d: 4, e: 0, f: 0, g: born, h: 0, i: text };
    const response = await connection
      .call(310, { ...fields, j: reconsumeTimes, k: false, m: false }, { body: 'x' })
      .finally(() => connection.close());
    assert.equal(response.code, 0, response.remark);
  }

  async function deadLetters(group: string): Promise<[string | undefined, string | undefined][]> {
    const letters: [string | undefined, string | undefined][] = [];
    for await (const { originTopic, message } of peekDeadLetters(world.client, group))
      letters.push([originTopic, message?.msgId]);
    return letters;
  }

  test('each message of a Java batch has its own id, also when it comes again, and only the one that fails is dead-lettered', async () => {
    await createTopic('java-batch');
    await runJava('Produce', [world.rocketmq.nameServer, 'java-batch', '10', '20', '10']);
    const records = serve(
      'g-batch',
      ['java-batch'],
      { batchSize: 100, maximumRetryAttempts: 2, retryDelay: { level: 1 } },
      ({ body }) => body.startsWith('3 '),
    );
    await until(async () => (await deadLetters('g-batch')).length > 0, 'one is dead', 60_000);
    const first = records.filter(({ rocketmq }) => rocketmq.reconsumeTimes === 0);
    const again = records.filter(({ rocketmq }) => rocketmq.reconsumeTimes > 0);
    assert.equal(new Set(first.map(({ messageId }) => messageId)).size, 10);
    assert.equal(first.length, 10);
    const failing = first.find(({ body }) => body.startsWith('3 '))?.messageId;
    assert.deepEqual(
      again.map(({ messageId, rocketmq }) => [messageId, rocketmq.reconsumeTimes]),
      [
        [failing, 1],
        [failing, 2],
      ],
    );
    assert.deepEqual(await deadLetters('g-batch'), [['java-batch', failing]]);
  });

  const earlierLives: [
    group: string,
    topic: string,
    properties: Record<string, string>,
    settings: { reconsumeTimes?: number },
  ][] = [
    [
      'g-copy',
      'copies',
      { RETRY_TOPIC: 'elsewhere', ORIGIN_MESSAGE_ID: 'X', TIMER_OUT_MS: '1', REAL_TOPIC: 'x' },
      {},
    ],
    ['g-other', 'others', { RETRY_TOPIC: 'copies' }, {}],
    ['g-count', 'counts', {}, { reconsumeTimes: 1_000 }],
    ['g-dead', OTHER_DLQ, { RETRY_TOPIC: 'gone', DELAY: '0' }, { reconsumeTimes: 17 }],
  ];
  describe('an earlier life', { concurrency: 8 }, () => {
    for (const [group, topic, properties, settings] of earlierLives)
      for (const retryDelay of [undefined, { seconds: 2 }])
        test(`all retries and its own handler for ${JSON.stringify({ topic, ...properties, ...settings, retryDelay })}`, async () => {
          const name = `${group}-${JSON.stringify(retryDelay ?? '').replace(/\W/g, '')}`;
          await createTopic(topic);
          await createTopic('copies');
          await sendRaw(topic, { UNIQ_KEY: name, ...properties }, settings);
          const records = serve(
            name,
            [...new Set([topic, 'copies'])],
            { maximumRetryAttempts: 2, ...(retryDelay && { retryDelay }) },
            ({ messageId }) => messageId === name,
            'receiptHandle',
          );
          const own = () => records.filter(({ messageId }) => messageId === name);
          await until(async () => (await deadLetters(name)).length > 0, 'it is dead', 60_000);
          assert.deepEqual(
            own().map(({ rocketmq }) => [rocketmq.topic, rocketmq.reconsumeTimes]),
            [0, 1, 2].map((failures) => [topic, failures]),
          );
          assert.deepEqual(await deadLetters(name), [[topic, name]]);
        });
  });

  test('age counts from when the message became visible, through all redeliveries', async () => {
    await createTopic('aged');
    const waits = [
      { DELAY: '3' },
      ...(since('5.0') ? [{ TIMER_DELAY_SEC: '2' }] : []),
      {},
    ] as Record<string, string>[];
    const sentAt = Date.now();
    for (const [n, wait] of waits.entries())
      await sendRaw('aged', { UNIQ_KEY: `A${n}`, ...wait }, { born: sentAt - HOUR_MS });
    const records = serve(
      'g-aged',
      ['aged'],
      { maximumRecordAgeInSeconds: 1_800, maximumRetryAttempts: 2, retryDelay: { level: 1 } },
      () => true,
      'receiptHandle',
    );
    await until(
      async () => (await deadLetters('g-aged')).length === waits.length,
      'all are dead',
      60_000,
    );
    for (const [n, wait] of waits.entries()) {
      const own = records.filter(({ messageId }) => messageId === `A${n}`);
      assert.equal(own.length, 3, JSON.stringify(wait));
      const [first, ...again] = own.map(({ rocketmq }) => rocketmq);
      const visibleAt = first?.storeTimestamp ?? 0;
      if (Object.keys(wait).length > 0)
        assert.ok(visibleAt - sentAt >= 900, `${JSON.stringify(wait)}: ${visibleAt - sentAt} ms`);
      for (const { properties } of again)
        assert.equal(properties[FIRST_STORED], String(visibleAt), JSON.stringify(wait));
    }
  });
});
