import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { MessageQueue } from '../../src/model/message-queue.ts';
import type { BrokerData, QueueData } from '../../src/model/route.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { getRoute } from '../../src/requests/get-route.ts';
import {
  at,
  createPullerWorld,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const OTHER = 'payments';
const COUNT = 5;

type Route = { brokers: readonly BrokerData[]; queues: readonly QueueData[] };

const order = { by: 'queue', suspendCurrentQueueTimeMillis: 30 } as const;
const MODES: readonly (readonly [string, Partial<SubscriptionConfig>, Partial<SourceConfig>])[] = [
  ['unordered', {}, {}],
  ['ordered by queue', { order }, {}],
  ['BROADCASTING', {}, { messageModel: 'BROADCASTING' }],
];

describe('a route that a name server makes worse', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld({ brokers: 2 });
    await world.prepare();
  });
  afterEach(() => world.stop());

  /** Routes of the topic are answered as `change` makes them, until the function that is given back is called. */
  async function changed(topic: string, change: (route: Route) => Route): Promise<() => void> {
    const route = change(await world.client.topicRoute(topic, { fresh: true }));
    const body = getRoute.encodeAnswer({ ...route, mappedBrokers: [] }).body!;
    let isOver = false;
    world.broker.control(
      'GET_ROUTEINFO_BY_TOPIC',
      ({ command }) =>
        !isOver && command.extFields.topic === topic
          ? { code: ResponseCode.SUCCESS, body }
          : undefined,
      { times: Number.MAX_SAFE_INTEGER },
    );
    return () => {
      isOver = true;
    };
  }

  const send = async (queue: MessageQueue): Promise<void> => {
    for (let n = 0; n < COUNT; n++)
      await world.client.send(
        { topic: queue.topic, body: Buffer.from(`${queue.topic} ${queue.brokerName} ${n}`) },
        { queue },
      );
  };
  const bodiesOf = ({ topic, brokerName }: MessageQueue): string[] =>
    Array.from({ length: COUNT }, (_, n) => `${topic} ${brokerName} ${n}`);

  /**
   * One puller gets the queue that it may read and reports why not the other one; the next one, after the route is right again, gets the rest.
   */
  async function checkBoth(
    refused: MessageQueue,
    code: string,
    restore: () => void,
    [subscription, source]: readonly [Partial<SubscriptionConfig>, Partial<SourceConfig>],
  ): Promise<void> {
    const queues = [at(0), refused];
    const topics = [...new Set(queues.map(({ topic }) => topic))];
    const consume = async (count: number, reported: () => boolean): Promise<string[]> => {
      // One that has read no route yet.
      const client = createRocketMQClient({ nameServers: world.broker.nameServers });
      const seen = recorder();
      const puller = world.start(seen.handler, {
        queues,
        subscriptions: topics.map((topic) => ({ ...subscription, topic })),
        source,
        deps: { client },
      });
      const settled = (): boolean => seen.bodies.length >= count && reported();
      await until(settled, `${count} messages, and ${code} in the log`).finally(async () => {
        await puller.stop();
        await client.close();
      });
      return seen.bodies.toSorted();
    };
    const isReported = (): boolean =>
      world.logs.some((line) => line.level === 'error' && line.code === code);
    assert.deepEqual(await consume(COUNT, isReported), bodiesOf(at(0)));
    restore();
    assert.deepEqual(await consume(COUNT, () => true), bodiesOf(refused));
  }

  for (const [mode, ...settings] of MODES) {
    test(`${mode}: the queue of a broker at a refused address waits, the others go on, nothing is lost`, async () => {
      const refused = { ...at(0), brokerName: 'broker-b' };
      await world.store.create(world.group, refused, 0, 0n);
      for (const queue of [at(0), refused]) await send(queue);
      const restore = await changed(TOPIC, ({ brokers, queues }) => ({
        queues,
        brokers: brokers.map((broker) =>
          broker.brokerName === 'broker-b'
            ? { ...broker, brokerAddrs: new Map([[0, '169.254.169.254:10911']]) }
            : broker,
        ),
      }));
      await checkBoth(refused, 'ROCKETMQ_ADDRESS_REFUSED', restore, settings);
    });

    test(`${mode}: the queue of a topic whose route is refused waits, the others go on, nothing is lost`, async () => {
      const refused = { ...at(0), topic: OTHER };
      world.broker.createTopic(OTHER, { queues: 1 });
      await world.store.create(world.group, refused, 0, 0n);
      for (const queue of [at(0), refused]) await send(queue);
      const restore = await changed(OTHER, ({ brokers, queues }) => ({
        brokers,
        queues: queues.map((queue) => ({ ...queue, readQueueNums: 10_001 })),
      }));
      await checkBoth(refused, 'ROCKETMQ_ROUTE_REFUSED', restore, settings);
    });
  }
});
