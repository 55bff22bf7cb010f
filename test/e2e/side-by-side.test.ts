import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RocketMQEvent } from '../../src/model/event.ts';
import {
  dlqTopic,
  type MessageQueue,
  queueKey,
  retryTopic,
} from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { RECIPE_NAMES, startRecipes } from '../support/idempotent-recipes.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { jsonLines, runJava } from '../support/java.ts';
import { QUICK_REDELIVERY, type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const QUEUES = 4;
const FILTER = 'tag-0 || tag-1 || tag-2';
const MAX_RECONSUME = 2;
/** Messages of a batch. */
const BATCH = 3;

interface Delivery {
  readonly seq: number;
  readonly topic: string;
  readonly queueId: number;
  readonly reconsumeTimes: number;
  readonly msgId: string;
  readonly tags: string;
}

/** What a consumer made of the workload: all that a team would compare that moves its group from Java. */
interface Outcome {
  readonly deliveries: readonly Delivery[];
  /** Committed offsets by queue, the retry topic's among them. */
  readonly offsets: Readonly<Record<string, string>>;
  readonly deadLetters: readonly {
    readonly seq: string;
    readonly reconsumeTimes: number;
    readonly originTopic: string;
  }[];
}

/** How often message `seq` fails: some once, some twice, some always. */
function fails(seq: number): number {
  if (seq % 40 === 9) return 1_000;
  if (seq % 20 === 5) return 2;
  return seq % 10 === 2 ? 1 : 0;
}

describe('the same workload for DefaultMQPushConsumer and for a service', {
  skip: missingStack('rocketmq'),
}, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  let recipes: ReturnType<typeof withRecipes>;
  before(async () => {
    world = await startRealWorld({ messageDelayLevel: QUICK_REDELIVERY });
    ({ rocketmq, client, dynamodb } = world);
    // Beside the other tests: most of its time is waiting.
    recipes = withRecipes();
    recipes.catch(() => {});
  });
  after(async () => {
    await recipes?.catch(() => {});
    await world?.stop();
  });

  async function produce(topic: string, count: number): Promise<void> {
    await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
    for (let seq = 0; seq < count; seq++) {
      const queue = { topic, brokerName: 'broker-a', queueId: seq % QUEUES };
      const properties = { seq: String(seq), fails: String(fails(seq)) };
      await client.send(
        { topic, body: Buffer.from(`order ${seq}`), tags: `tag-${(seq >> 2) % 4}`, properties },
        { queue },
      );
    }
  }

  async function outcomeOf(
    topic: string,
    consumerGroup: string,
    deliveries: readonly Delivery[],
  ): Promise<Outcome> {
    const routes = await Promise.all(
      [topic, retryTopic(consumerGroup)].map((name) =>
        client.topicRoute(name, { fresh: true }).catch(() => undefined),
      ),
    );
    const queues: MessageQueue[] = routes.flatMap((route) =>
      route === undefined ? [] : readableQueues(route),
    );
    const offsets = await Promise.all(
      queues.map(async (queue) => [
        queueKey(queue).replace(consumerGroup, 'GROUP'),
        String(await client.queryOffset(consumerGroup, queue)),
      ]),
    );
    const dead = jsonLines<Outcome['deadLetters'][number]>(
      await runJava('ReadTopic', [rocketmq.nameServer, dlqTopic(consumerGroup)]).catch(() => ''),
    );
    const deadLetters = dead
      .map(({ seq, reconsumeTimes, originTopic }) => ({ seq, reconsumeTimes, originTopic }))
      .sort((a, b) => Number(a.seq) - Number(b.seq));
    return {
      deliveries,
      offsets: Object.fromEntries(offsets) as Record<string, string>,
      deadLetters,
    };
  }

  async function withJava(
    topic: string,
    consumerGroup: string,
    deliveries: number,
    listener: string,
    max: number,
  ): Promise<Outcome> {
    const args = [
      rocketmq.nameServer,
      topic,
      consumerGroup,
      FILTER,
      String(max),
      String(deliveries),
      listener,
    ];
    return outcomeOf(topic, consumerGroup, jsonLines<Delivery>(await runJava('SideBySide', args)));
  }

  async function withService(
    topic: string,
    consumerGroup: string,
    deliveries: number,
    settings: Partial<SubscriptionConfig>,
  ): Promise<Outcome> {
    const seen: Delivery[] = [];
    const handler = ({ Records: [record] }: RocketMQEvent) => {
      assert.ok(record);
      const { topic: told, queueId, reconsumeTimes, tags = '', properties } = record.rocketmq;
      seen.push({
        seq: Number(properties.seq),
        topic: told,
        queueId,
        reconsumeTimes,
        msgId: record.messageId,
        tags,
      });
      return reconsumeTimes < Number(properties.fails)
        ? { batchItemFailures: [{ itemIdentifier: record.messageId }] }
        : undefined;
    };
    const filter = { type: 'TAG', expression: FILTER } as const;
    const subscriptions = [subscription(topic, { batchSize: 1, filter, ...settings })];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source(subscriptions, { consumerGroup }),
      handler,
    });
    try {
      await until(() => seen.length >= deliveries, `${deliveries} deliveries`, 120_000);
      const settled = Date.now() + 3_000;
      await until(() => Date.now() >= settled, 'more than expected would come now', 4_000);
    } finally {
      await service.end();
    }
    return outcomeOf(topic, consumerGroup, seen);
  }

  /** Four groups, two of each recipe, over a batch that Java has sent. */
  async function withRecipes() {
    const topic = 'side-idempotent';
    await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    assert.match(
      await runJava('ProduceBatch', [rocketmq.nameServer, topic, String(BATCH)]),
      /SEND_OK/,
    );
    const documented = await startRecipes();
    const groups = RECIPE_NAMES.flatMap((recipe) =>
      ['bill', 'ship'].map((name) => ({
        consumerGroup: `${name}-${recipe}`,
        ...documented.group(recipe),
      })),
    );
    const services = groups.map(({ consumerGroup, handler }) =>
      startInProcess({
        ...{ client, dynamodb, nameServer: rocketmq.nameServer, handler },
        source: source([subscription(topic)], { consumerGroup }),
      }),
    );
    try {
      await until(
        () => groups.every(({ deliveries }) => deliveries.length >= 2 * BATCH),
        'every message came again',
        60_000,
      );
    } finally {
      for (const service of services) await service.end();
      await documented.stop();
    }
    return groups;
  }

  const wanted = (count: number): number[] =>
    Array.from({ length: count }, (_, seq) => seq).filter((seq) => (seq >> 2) % 4 !== 3);
  const bySeq = (a: Delivery, b: Delivery): number =>
    a.seq - b.seq || a.reconsumeTimes - b.reconsumeTimes;
  /** In what order each queue's messages came, the first time. */
  const orders = ({ deliveries }: Outcome): Record<number, number[]> =>
    Object.fromEntries(
      Array.from({ length: QUEUES }, (_, id) => [
        id,
        deliveries
          .filter(({ seq, reconsumeTimes }) => seq % QUEUES === id && reconsumeTimes === 0)
          .map(({ seq }) => seq),
      ]),
    );

  /** All that each queue's messages met, in its order. */
  const sequences = ({ deliveries }: Outcome): Record<number, string[]> =>
    Object.fromEntries(
      Array.from({ length: QUEUES }, (_, id) => [
        id,
        deliveries
          .filter(({ queueId }) => queueId === id)
          .map(({ seq, reconsumeTimes }) => `${seq}:${reconsumeTimes}`),
      ]),
    );

  test('concurrently: the same deliveries, counts, orders, offsets and dead letters', async () => {
    const topic = 'side-concurrent';
    // The last message of each queue is wanted: over a filtered tail, Java’s offset stays where it is until more comes.
    const count = 396;
    await produce(topic, count);
    const expected = wanted(count).reduce(
      (sum, seq) => sum + Math.min(fails(seq), MAX_RECONSUME) + 1,
      0,
    );
    const [java, ours] = await Promise.all([
      withJava(topic, 'side-java', expected, 'concurrent', MAX_RECONSUME),
      withService(topic, 'side-ours', expected, { maximumRetryAttempts: MAX_RECONSUME }),
    ]);
    assert.equal(java.deliveries.length, expected);
    // A redelivery's queue id is the retry queue's, 0 in both.
    assert.deepEqual(ours.deliveries.toSorted(bySeq), java.deliveries.toSorted(bySeq));
    assert.deepEqual(orders(ours), orders(java));
    assert.deepEqual(ours.offsets, java.offsets);
    assert.deepEqual(ours.deadLetters, java.deadLetters);
    assert.deepEqual(
      java.deadLetters.map(({ seq }) => Number(seq)),
      wanted(count).filter((seq) => fails(seq) > MAX_RECONSUME),
    );
  });

  test('in order: the same sequence of deliveries from each queue, the same offsets and dead letters', async () => {
    const topic = 'side-ordered';
    const count = 124;
    await produce(topic, count);
    const expected = wanted(count).reduce(
      (sum, seq) => sum + Math.min(fails(seq), MAX_RECONSUME) + 1,
      0,
    );
    const [java, ours] = await Promise.all([
      withJava(topic, 'side-java-ordered', expected, 'orderly', MAX_RECONSUME),
      withService(topic, 'side-ours-ordered', expected, {
        order: { by: 'queue', suspendCurrentQueueTimeMillis: 50 },
        maximumRetryAttempts: MAX_RECONSUME,
      }),
    ]);
    assert.equal(java.deliveries.length, expected);
    assert.deepEqual(sequences(ours), sequences(java));
    assert.deepEqual(ours.offsets, java.offsets);
    // Java counts on in the message that it sends to the DLQ, request 36 from what is stored.
    const dead = ({ deadLetters }: Outcome) =>
      deadLetters.map(({ seq, originTopic }) => [seq, originTopic]);
    assert.deepEqual(dead(ours), dead(java));
    assert.ok(dead(java).length > 0);
  });

  test('the recipes of docs/idempotency.md: messages of a Java batch, sent back because answers were lost, are worked once by each group', async () => {
    const groups = await recipes;
    const numbers = Array.from({ length: BATCH }, (_, n) => String(n));
    for (const { consumerGroup, worked, deliveries, keys } of groups) {
      assert.deepEqual(worked.toSorted(), numbers, consumerGroup);
      assert.deepEqual(
        deliveries.toSorted(),
        numbers.flatMap((n) => [`${n} 0`, `${n} 1`]),
      );
      const all = [...keys.values()].flatMap((own) => [...own]);
      assert.equal(new Set(all).size, BATCH, 'a key for each message, the same at each delivery');
      assert.equal(all.length, BATCH);
    }
    const [first, ...others] = groups.map(({ keys }) =>
      [...keys.values()].flatMap((own) => [...own]),
    );
    for (const other of others) assert.ok(!other.some((key) => first?.includes(key)));
  });
});
