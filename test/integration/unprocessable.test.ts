import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Message } from '../../src/model/message.ts';
import type { PopUnit } from '../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { lendingClient } from '../support/lending-client.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import {
  createPullerWorld,
  GROUP,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { messageAt } from '../support/records.ts';
import { until } from '../support/until.ts';

const COUNT = 12;
const DLQ = `%DLQ%${GROUP}`;
const PLACE: PopUnit = { topic: TOPIC, brokerName: 'broker-a', queueId: 0, pops: true };
const FIELDS = ['properties', 'bornHost', 'storeHost', 'msgId', 'offsetMsgId'] as const;

/** A message of which one field throws when it is read. */
function broken(message: Message, field: keyof Message, from = () => true): Message {
  return new Proxy(message, {
    get(target, name) {
      if (name === field && from()) throw new TypeError(`${name} cannot be read`);
      return Reflect.get(target, name, target);
    },
  });
}

const isBad = ({ body }: Message): boolean => body.toString() === '3';

/** The client, with one message of each pull broken. */
function breaking(client: RocketMQ, field: keyof Message, from?: () => boolean): RocketMQ {
  return overriddenClient(client, {
    async pull(request, options) {
      const result = await client.pull(request, options);
      if (result.status !== 'FOUND') return result;
      const messages = result.messages.map((message) =>
        isBad(message) ? broken(message, field, from) : message,
      );
      return { ...result, messages };
    },
  });
}

const MODES: readonly [
  name: string,
  subscription: Partial<SubscriptionConfig>,
  source: Partial<SourceConfig>,
][] = [
  ['unordered', {}, {}],
  ['in a window', { maximumBatchingWindow: 1 }, {}],
  ['ordered by queue', { order: { by: 'queue', suspendCurrentQueueTimeMillis: 10 } }, {}],
  ['ordered by key', { order: { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 10 } }, {}],
  ['broadcasting', {}, { messageModel: 'BROADCASTING' }],
];

describe('a message that throws while it is handled', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());
  const bodiesOf = (topic: string) =>
    world.broker.messages(topic).map(({ body }) => body.toString());

  for (const [mode, subscription, source] of MODES)
    for (const field of FIELDS)
      test(`${mode}, ${field}: it alone has its end, and the queue goes on`, async () => {
        world = await createPullerWorld();
        world.broker.createTopic(DLQ, { queues: 1 });
        await world.prepare();
        await world.produce(COUNT, 0, (n) => ({ keys: [`k${n % 3}`] }));
        const seen = recorder();
        const puller = world.start(seen.handler, {
          source,
          subscriptions: [{ batchSize: 5, ...subscription }],
          deps: { client: breaking(world.client, field) },
        });
        const ended = () =>
          world.logs.some(({ code }) => code === 'ROCKETMQ_MESSAGE_UNPROCESSABLE');
        await until(() => seen.bodies.length >= COUNT - 1 && ended(), 'all have their end');
        const broadcast = source.messageModel === 'BROADCASTING';
        if (!broadcast) await until(() => bodiesOf(DLQ).length > 0, 'it is in the DLQ');
        const { queues } = await puller.stop();
        assert.deepEqual([queues[0]?.reason, queues[0]?.committedOffset], ['signal', `${COUNT}`]);
        assert.deepEqual(
          seen.bodies.toSorted((a, b) => Number(a) - Number(b)),
          Array.from({ length: COUNT }, (_, n) => String(n)).filter((body) => body !== '3'),
        );
        if (!broadcast) assert.deepEqual(bodiesOf(DLQ), ['3']);
      });

  for (const [mode, subscription, source] of MODES)
    for (const field of ['properties', 'msgId', 'offsetMsgId'] as const)
      test(`${mode}, ${field} from the handler's failure on: the queue goes on`, async () => {
        world = await createPullerWorld();
        world.broker.createTopic(DLQ, { queues: 1 });
        const queues = await world.prepare();
        await world.produce(COUNT, 0, (n) => ({ keys: [`k${n % 3}`] }));
        let failed = false;
        const seen = recorder(({ Records }) => {
          const bad = Records.find(({ body }) => body === '3');
          failed ||= bad !== undefined;
          return bad && { batchItemFailures: [{ itemIdentifier: bad.messageId }] };
        });
        const puller = world.start(seen.handler, {
          queues,
          source,
          subscriptions: [{ batchSize: 5, maximumRetryAttempts: 1, ...subscription }],
          deps: { client: breaking(world.client, field, () => failed) },
        });
        const broadcast = source.messageModel === 'BROADCASTING';
        if (!broadcast) await until(() => bodiesOf(DLQ).length > 0, 'it is in the DLQ');
        await until(() => new Set(seen.bodies).size === COUNT, 'all were delivered');
        const { queues: reports } = await puller.stop();
        assert.deepEqual([reports[0]?.reason, reports[0]?.committedOffset], ['signal', `${COUNT}`]);
        if (!broadcast) assert.deepEqual(bodiesOf(DLQ), ['3']);
      });

  for (const field of FIELDS)
    test(`pop, ${field}: it is dead-lettered and acknowledged`, async () => {
      world = await createPullerWorld();
      await world.store.create(world.group, PLACE, 0, 0n);
      const lender = lendingClient(COUNT, (n) => {
        const message = messageAt(n, { body: Buffer.from(String(n)), properties: {} });
        return isBad(message) ? broken(message, field) : message;
      });
      const seen = recorder();
      const puller = world.start(seen.handler, {
        queues: [PLACE],
        source: { mode: 'pop' },
        subscriptions: [{ batchSize: 5 }],
        deps: { client: overriddenClient(world.client, lender.calls) },
      });
      await until(() => lender.acknowledged.length >= COUNT, 'all are acknowledged');
      const { queues } = await puller.stop();
      assert.equal(queues[0]?.reason, 'signal');
      assert.deepEqual([seen.bodies.length, lender.deadLettered.length], [COUNT - 1, 1]);
      assert.ok(!seen.bodies.includes('3'));
    });

  test('onFailure gets it when what it needs of the message can be read', async () => {
    world = await createPullerWorld();
    world.broker.createTopic('failed-orders', { queues: 1 });
    await world.prepare();
    await world.produce(COUNT);
    const seen = recorder();
    const puller = world.start(seen.handler, {
      subscriptions: [{ onFailure: { type: 'topic', topic: 'failed-orders' } }],
      deps: { client: breaking(world.client, 'storeHost') },
    });
    await until(() => bodiesOf('failed-orders').length > 0, 'it is in its topic');
    await until(() => world.committed() === BigInt(COUNT), 'the queue goes on');
    await puller.stop();
    assert.deepEqual(bodiesOf('failed-orders'), ['3']);
  });

  test('onFailure does not get what cannot become a record: the DLQ does', async () => {
    world = await createPullerWorld();
    world.broker.createTopic(DLQ, { queues: 1 });
    await world.prepare();
    await world.produce(COUNT);
    const delivered: unknown[] = [];
    const puller = world.start(() => undefined, {
      subscriptions: [{ onFailure: { type: 'sqs', arn: 'arn:aws:sqs:eu-west-1:1:failed' } }],
      deps: {
        client: breaking(world.client, 'bornHost'),
        destinations: { sqs: { deliver: async (...all) => void delivered.push(all) } },
      },
    });
    await until(() => bodiesOf(DLQ).length > 0, 'it is in the DLQ');
    await until(() => world.committed() === BigInt(COUNT), 'the queue goes on');
    await puller.stop();
    assert.deepEqual([bodiesOf(DLQ), delivered], [['3'], []]);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_ON_FAILURE'));
  });

  test('a body that is nested deeper than a stack is matched like any other', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const paid = '{"state":"paid"}';
    const bodies = [3_000, 100_000].flatMap((depth) => [
      paid,
      `${'['.repeat(depth)}${paid}${']'.repeat(depth)}`,
      '['.repeat(depth) + ']'.repeat(depth),
      `${'{"state":'.repeat(depth)}1${'}'.repeat(depth)}`,
      paid,
    ]);
    await world.produce(bodies.length, 0, (n) => ({ body: Buffer.from(bodies[n] ?? '') }));
    const seen = recorder();
    const puller = world.start(seen.handler, {
      subscriptions: [{ filterPatterns: [{ body: { state: ['paid'] } }] }],
    });
    await until(() => world.committed() === BigInt(bodies.length), 'all is committed');
    await puller.stop();
    assert.deepEqual(
      seen.bodies,
      bodies.filter((body) => body.includes('paid')),
    );
  });

  test('a trace that cannot be made harms no delivery', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(COUNT);
    const seen = recorder();
    const trace = {
      append: () => {
        throw new Error('no trace today');
      },
      flush: async () => {},
    };
    const puller = world.start(seen.handler, { deps: { trace } });
    await until(() => world.committed() === BigInt(COUNT), 'all is committed');
    await puller.stop();
    assert.equal(seen.bodies.length, COUNT);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_TRACE_LOST'));
  });

  for (const order of [undefined, { by: 'queue', suspendCurrentQueueTimeMillis: 10 }] as const)
    test(`an answer that cannot be read fails its batch, and the next goes on${order ? ', in order' : ''}`, async () => {
      world = await createPullerWorld();
      world.broker.createTopic(DLQ, { queues: 1 });
      await world.prepare();
      await world.produce(COUNT);
      const circular: Record<string, unknown> = {};
      circular.itemIdentifier = circular;
      const answers: unknown[] = [
        {
          get batchItemFailures() {
            throw new Error('not now');
          },
        },
        { batchItemFailures: [circular] },
        Symbol('answer'),
        new Proxy([], {
          get: (_, name) => (name === 'then' ? undefined : assert.fail('unreadable')),
        }),
        { batchItemFailures: [{ itemIdentifier: Symbol('id') }] },
        {
          batchItemFailures: [],
          get suspendCurrentQueueTimeMillis() {
            throw new Error('not now');
          },
        },
      ];
      const handler = ({ Records }: { readonly Records: readonly { readonly body: string }[] }) =>
        answers[Number(Records[0]?.body)];
      const puller = world.start(handler, {
        subscriptions: [{ batchSize: 1, maximumRetryAttempts: 0, ...(order && { order }) }],
      });
      await until(() => world.committed() === BigInt(COUNT), 'all is committed');
      const { queues } = await puller.stop();
      assert.equal(queues[0]?.reason, 'signal');
      assert.deepEqual(bodiesOf(DLQ).toSorted(), ['0', '1', '2', '3', '4']);
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_INVALID_ANSWER'));
    });
});
