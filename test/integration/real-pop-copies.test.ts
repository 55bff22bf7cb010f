import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import type { PoppedMessage } from '../../src/model/pop.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { encodeBatchItem } from '../../src/records/batch-items.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { mqadmin } from '../support/java.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const skip = missingStack('rocketmq') || (since('5.0') ? false : 'RocketMQ 5');
/** A broker brings an expired message back within its own scans. */
const REVIVAL_MS = 60_000;
const INVISIBLE_MS = 3_000;

for (const [what, brokerConf] of [
  ['a stock broker', {}],
  [
    'a broker that makes no groups, and so takes no copies',
    { autoCreateSubscriptionGroup: 'false' },
  ],
] as const)
  describe(`mode pop: what ${what} would not bring back as it should`, {
    skip,
    concurrency: true,
  }, () => {
    let world: RealWorld;
    before(async () => {
      world = await startRealWorld({ brokerConf });
    });
    after(() => world?.stop());

    async function batchTopic(topic: string): Promise<void> {
      const options = ['-t', topic, '-r', '1', '-w', '1', '-a', '+queue.type=BatchCQ'];
      assert.match(
        await mqadmin(world.rocketmq.nameServer, ['updateTopic', '-c', 'TestCluster', ...options]),
        /success/,
      );
      await until(
        () =>
          world.client.topicRoute(topic, { fresh: true }).then(
            () => true,
            () => false,
          ),
        'its route',
      );
    }
    const sendRaw = async (code: number, fields: object, body: string | Buffer): Promise<void> => {
      const connection = await connectRaw(world.rocketmq.brokers[0]?.address ?? '');
      const common = { a: 'p', c: 'TBW102', d: 4, e: 0, f: 0, g: Date.now(), h: 0, j: 0, k: false };
      const response = await connection
        .call(code, { ...common, ...fields }, { body })
        .finally(() => connection.close());
      assert.equal(response.code, 0, response.remark);
    };
    const uniqKey = (id: string): string => `UNIQ_KEY\u0001${id}\u0002`;
    /** As Java's producer sends it: brokers make an inner batch of a batch that has an id of its own. */
    const sendBatch = (topic: string, bodies: readonly string[]): Promise<void> => {
      const items = bodies.map((text) =>
        encodeBatchItem({ flag: 0, body: Buffer.from(text), properties: { UNIQ_KEY: text } }),
      );
      return sendRaw(320, { b: topic, i: uniqKey(bodies.join()), m: true }, Buffer.concat(items));
    };
    const sendCounted = (topic: string, body: string, reconsumeTimes: number): Promise<void> =>
      sendRaw(310, { b: topic, i: '', j: reconsumeTimes, m: false }, body);

    /** Deliveries as [body, failures told], once the dead letters are these. */
    async function deliveriesUntilDead(
      topic: string,
      dead: readonly string[],
      settings: Partial<SubscriptionConfig>,
    ): Promise<[string, number][]> {
      const { client, dynamodb, rocketmq } = world;
      const consumerGroup = `${topic}-workers`;
      await client.createGroup(consumerGroup);
      const seen: [string, number][] = [];
      const service = startInProcess({
        client,
        dynamodb,
        nameServer: rocketmq.nameServer,
        source: source([subscription(topic, { retryDelay: { seconds: 1 }, ...settings })], {
          consumerGroup,
          mode: 'pop',
        }),
        handler: ({ Records }) => {
          for (const { body, rocketmq } of Records) seen.push([body, rocketmq.reconsumeTimes]);
          return {
            batchItemFailures: Records.filter(({ body }) => body.startsWith('bad')).map(
              ({ receiptHandle }) => ({ itemIdentifier: receiptHandle }),
            ),
          };
        },
      });
      const letters = async (): Promise<string[]> => {
        const bodies: string[] = [];
        for await (const { message } of peekDeadLetters(client, consumerGroup))
          bodies.push(String(message?.body));
        return bodies.sort();
      };
      try {
        await until(
          async () => (await letters().catch(() => [])).length >= dead.length,
          'dead letters',
          3 * REVIVAL_MS,
        );
      } finally {
        await service.end();
      }
      assert.deepEqual(await letters(), [...dead].sort());
      return seen.sort(([a, x], [b, y]) => a.localeCompare(b) || x - y);
    }

    test('of an inner batch only the message that fails comes again, counted, and is dead-lettered', async () => {
      await batchTopic('pop-inner');
      await sendBatch('pop-inner', ['a', 'bad', 'c']);
      await sendBatch('pop-inner', ['bad-first', 'e']);
      assert.deepEqual(
        await deliveriesUntilDead('pop-inner', ['bad', 'bad-first'], { maximumRetryAttempts: 1 }),
        [
          ['a', 0],
          ['bad', 0],
          ['bad', 1],
          ['bad-first', 0],
          ['bad-first', 1],
          ['c', 0],
          ['e', 0],
        ],
      );
    });

    if (what === 'a stock broker') {
      test('a count of its producer, however high or low, takes no retry from a message and gives it none', async () => {
        await world.client.createTopic('pop-counts', { readQueueNums: 1, writeQueueNums: 1 });
        await sendCounted('pop-counts', 'bad-high', 1_000);
        await sendCounted('pop-counts', 'bad-low', -1_000);
        assert.deepEqual(
          await deliveriesUntilDead('pop-counts', ['bad-high', 'bad-low'], {
            maximumRetryAttempts: 2,
          }),
          ['bad-high', 'bad-low'].flatMap((body) => [0, 1, 2].map((failures) => [body, failures])),
        );
      });

      test('a broker brings no record of an inner batch back, and knows it by its first offset only', async () => {
        const { client } = world;
        const consumerGroup = 'pop-facts-workers';
        await batchTopic('pop-facts');
        await client.createTopic('pop-plain', { readQueueNums: 1, writeQueueNums: 1 });
        await sendBatch('pop-facts', ['0', '1']);
        await client.send({ topic: 'pop-plain', body: Buffer.from('x') });
        const pop = async (topic: string): Promise<readonly PoppedMessage[]> =>
          (
            await client.pop({
              consumerGroup,
              topic,
              brokerName: 'broker-a',
              subscription: buildSubscription(topic, '*'),
              maxMessages: 32,
              invisibleMs: INVISIBLE_MS,
              pollMs: 1_000,
              start: 'min',
            })
          ).messages;
        const popped = await pop('pop-facts');
        assert.deepEqual(
          popped.map(({ message, handle, unrevivable }) => [
            String(message.body),
            handle.queueOffset,
            unrevivable,
          ]),
          ['0', '1'].map((body) => [body, 0n, 'inner-batch']),
        );
        assert.equal((await pop('pop-plain')).length, 1);
        // The control: an ordinary message comes again.
        await until(async () => (await pop('pop-plain')).length === 1, 'it is back', REVIVAL_MS);
        for (const giveUpAt = Date.now() + 15_000; Date.now() < giveUpAt; )
          assert.deepEqual(await pop('pop-facts'), []);
      });
    }
  });
