import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RocketMQRecord } from '../../src/model/event.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import { ensureTable } from '../../src/store/table.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { deploy } from '../support/shared-group.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const brokerName = 'broker-a';
const QUEUES = 4;
const PATIENCE_MS = 60_000;
/** Every message of a queue is settled within this time after it came. */
const OFTEN = { commitIntervalMs: 200, renewIntervalMs: 500 };

/** Who subscribes to what, as in RocketMQ's own tests of tags and topics (test/PARITY.md). */
describe('subscriptions on a real broker', { skip: missingStack('rocketmq') }, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    // A loaded machine's broker would refuse what waits for 200 ms to be stored.
    world = await startRealWorld({ brokerConf: { waitTimeMillsInSendQueue: '10000' } });
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  const createTopics = async (...topics: string[]): Promise<void> => {
    for (const topic of topics)
      await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  };
  /** Behind the last message of each queue; a broker's own maxOffset may lag behind an acknowledged send. */
  const ends = new Map<string, bigint>();
  const send = async (
    topic: string,
    queueId: number,
    message: { body: Buffer; tags?: string; keys?: string[] },
  ): Promise<void> => {
    const { queueOffset } = await client.send(
      { topic, ...message },
      { queue: { topic, brokerName, queueId } },
    );
    ends.set(`${topic}/${queueId}`, queueOffset + 1n);
  };
  /** So many messages with this tag, or without one, one after the other into all queues; their bodies. */
  const produce = async (
    topic: string,
    tags: string | undefined,
    count: number,
    from = 0,
  ): Promise<string[]> => {
    const bodies = Array.from(
      { length: count },
      (_, index) => `${topic} ${tags ?? 'untagged'} ${from + index}`,
    );
    for (const [index, body] of bodies.entries())
      await send(topic, index % QUEUES, {
        body: Buffer.from(body),
        ...(tags === undefined ? {} : { tags }),
      });
    return bodies;
  };
  const consume = (
    t: TestContext,
    subscriptions: SubscriptionConfig[],
    own: Partial<SourceConfig> & { consumerGroup: string },
  ) => {
    const records: RocketMQRecord[] = [];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source(subscriptions, own),
      handler: ({ Records }) => void records.push(...Records),
      options: OFTEN,
    });
    t.after(() => service.end());
    return { ...service, records, bodies: () => records.map(({ body }) => body).sort() };
  };
  /** Every queue is committed to its end: what was to be filtered is passed, and nothing else can come. */
  const passed = (consumerGroup: string, ...topics: string[]) =>
    until(
      async () => {
        const queues = topics.flatMap((topic) =>
          Array.from({ length: QUEUES }, (_, queueId) => ({ topic, brokerName, queueId })),
        );
        const offsets = await Promise.all(
          queues.map((queue) => client.queryOffset(consumerGroup, queue)),
        );
        return queues.every(
          (queue, index) => offsets[index] === ends.get(`${queue.topic}/${queue.queueId}`),
        );
      },
      `${consumerGroup} has passed everything`,
      PATIENCE_MS,
    );
  const filter = (expression: string) => ({ filter: { type: 'TAG', expression } as const });

  test('one group takes several topics, each with a filter of its own; every record says its topic', async (t) => {
    await createTopics('all-of-it', 'only-a');
    const all = [
      ...(await produce('all-of-it', undefined, 10)),
      ...(await produce('all-of-it', 'b', 10)),
    ];
    await produce('only-a', 'b', 10);
    const some = await produce('only-a', 'a', 10);
    const own = { consumerGroup: 'several-topics' };
    const { records, bodies } = consume(
      t,
      [subscription('all-of-it'), subscription('only-a', filter('a'))],
      own,
    );
    await passed(own.consumerGroup, 'all-of-it', 'only-a');
    assert.deepEqual(bodies(), [...all, ...some].sort());
    for (const { body, rocketmq: told } of records) assert.equal(told.topic, body.split(' ')[0]);
  });

  test('groups with different tags on one topic each get theirs: one, several, none, all, and messages without a tag', async (t) => {
    await createTopics('tagged');
    const [a, b, c] = [
      await produce('tagged', 'a', 8),
      await produce('tagged', 'b', 8),
      await produce('tagged', 'c', 8),
    ];
    const untagged = await produce('tagged', undefined, 8);
    const expected = [
      ['a', a],
      ['a||b', [...a, ...b]],
      [' a || b || d ', [...a, ...b]],
      ['d || e', []],
      ['*', [...a, ...b, ...c, ...untagged]],
    ] as const;
    const groups = expected.map(([expression, bodies], index) => {
      const consumerGroup = `tags-${index}`;
      return {
        consumerGroup,
        bodies,
        expression,
        seen: consume(t, [subscription('tagged', filter(expression))], { consumerGroup }),
      };
    });
    for (const { consumerGroup, bodies, expression, seen } of groups) {
      await passed(consumerGroup, 'tagged');
      assert.deepEqual(seen.bodies(), bodies.toSorted(), expression);
    }
  });

  test('slots of one group share the tagged messages, each once; when they become fewer, the others take over', async (t) => {
    await createTopics('shared-tags');
    const own = { consumerGroup: 'tag-sharers' };
    const subscriptions = [subscription('shared-tags', filter('a'))];
    await produce('shared-tags', 'b', 20);
    const before = await produce('shared-tags', 'a', 40);
    const two = consume(t, subscriptions, { ...own, pullers: 2 });
    await passed(own.consumerGroup, 'shared-tags');
    assert.deepEqual(two.bodies(), before.toSorted());
    const slots = (await two.assignments())
      .filter(({ queue }) => queue.topic === 'shared-tags')
      .map(({ slot }) => slot);
    assert.deepEqual(slots, [0, 0, 1, 1]);
    await two.end();
    const one = consume(t, subscriptions, { ...own, pullers: 1 });
    const after = await produce('shared-tags', 'a', 40, 40);
    await passed(own.consumerGroup, 'shared-tags');
    assert.deepEqual(one.bodies(), after.toSorted());
  });

  for (const [what, by] of [
    ['queue', { by: 'queue', suspendCurrentQueueTimeMillis: 50 }],
    ['key', { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 50 }],
  ] as const)
    test(`in order by ${what}, with tags: what matches comes in the order of its queue, what does not is passed`, async (t) => {
      const topic = `ordered-tags-${what}`;
      await createTopics(topic);
      for (let n = 0; n < 60; n++) {
        const tags = ['a', 'b', 'c'][n % 3] as string;
        for (let queueId = 0; queueId < QUEUES; queueId++)
          await send(topic, queueId, { body: Buffer.from(String(n)), tags, keys: ['same'] });
      }
      const own = { consumerGroup: `${topic}-workers` };
      const ordered = {
        order: by,
        maximumRetryAttempts: -1,
        parallelizationFactor: 2,
        batchSize: 4,
        ...filter('a || c'),
      };
      const { records } = consume(t, [subscription(topic, ordered)], own);
      await passed(own.consumerGroup, topic);
      const wanted = Array.from({ length: 60 }, (_, n) => n).filter((n) => n % 3 !== 1);
      for (let queueId = 0; queueId < QUEUES; queueId++)
        assert.deepEqual(
          records
            .filter(({ rocketmq: told }) => told.queueId === queueId)
            .map(({ body }) => Number(body)),
          wanted,
        );
    });

  test('broadcasting with tags: every deployment gets what matches, one that comes later with LATEST only what comes after it', async (t) => {
    await createTopics('news');
    const start = async (
      service: string,
      expression: string,
      startingPosition: 'TRIM_HORIZON' | 'LATEST' = 'TRIM_HORIZON',
    ) => {
      await ensureTable(dynamodb, `${service}-table`);
      const bodies: string[] = [];
      const deployment = deploy({
        service,
        dynamodb,
        tableName: `${service}-table`,
        nameServers: [rocketmq.nameServer],
        source: source([subscription('news', { startingPosition, ...filter(expression) })], {
          consumerGroup: 'news-readers',
          messageModel: 'BROADCASTING',
        }),
        handler: ({ Records }) => void bodies.push(...Records.map(({ body }) => body)),
        options: OFTEN,
        logger: silentLogger,
      });
      t.after(() => deployment.end());
      return { ...deployment, bodies };
    };
    const [a, b] = [await produce('news', 'a', 16), await produce('news', 'b', 16)];
    const [first, second] = await Promise.all([start('first', 'a'), start('second', 'a || b')]);
    await until(
      () => first.bodies.length >= 16 && second.bodies.length >= 32,
      'what was there',
      PATIENCE_MS,
    );
    const late = await start('late', 'a', 'LATEST');
    await until(
      async () =>
        (await late.assignments()).filter(({ lease }) => lease !== undefined).length >= QUEUES,
      'it works',
      PATIENCE_MS,
    );
    const later = await produce('news', 'a', 16, 16);
    await until(
      () => first.bodies.length >= 32 && second.bodies.length >= 48 && late.bodies.length >= 16,
      'the rest',
      PATIENCE_MS,
    );
    await Promise.all([first.end(), second.end(), late.end()]);
    assert.deepEqual(first.bodies.toSorted(), [...a, ...later].sort());
    assert.deepEqual(second.bodies.toSorted(), [...a, ...b, ...later].sort());
    assert.deepEqual(late.bodies.toSorted(), later.toSorted());
  });
});
