import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { RocketMQError } from '../../src/errors.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { HandlerOutcome } from '../../src/ports/invoke.ts';
import { setAsideBefore } from '../../src/records/own-retry.ts';
import {
  createPullerWorld,
  GROUP,
  type PullerSettings,
  type PullerWorld,
  RETRY,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const OTHER = 'bills';

/** An event whose function has the name of its topic. */
function event(topic: string, settings: Partial<SubscriptionConfig> = {}) {
  const handler = { functionKey: topic, functionName: topic, timeout: 10 };
  return { topic, handler: { invocation: 'function', ...handler } as const, ...settings };
}

describe('a retry queue of two events', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** What came to the functions, as "topic body reconsumeTimes". */
  function functions(outcome: (functionName: string) => HandlerOutcome | undefined) {
    const seen: string[] = [];
    const deps: PullerSettings['deps'] = {
      handlers: ({ functionName }) => ({
        invoke: async (payload) => {
          const answer = outcome(functionName);
          if (answer !== undefined) return answer;
          const { Records } = JSON.parse(payload.json());
          for (const { body, rocketmq } of Records)
            seen.push(`${functionName} ${body} ${rocketmq.reconsumeTimes}`);
          return { kind: 'answered', answer: undefined };
        },
      }),
    };
    return { seen, deps };
  }

  /** Redeliveries of both events: two of the first one are in front. */
  async function prepare(): Promise<void> {
    world = await createPullerWorld();
    await world.prepare();
    world.broker.createTopic(OTHER, { queues: 1 });
    for (const [topic, body] of [
      [TOPIC, 'a'],
      [TOPIC, 'b'],
      [OTHER, 'c'],
      [OTHER, 'd'],
    ] as const) {
      const { queue } = await world.client.send({ topic, body: Buffer.from(body) });
      const pulled = await pullLast(queue);
      assert(pulled.status === 'FOUND');
      const message = pulled.messages.at(-1);
      assert(message !== undefined);
      await world.client.sendBackAsNormalMessage(GROUP, message, 1, 16);
    }
    await until(
      () => world.broker.messages(RETRY.topic).length === 4,
      'the redeliveries are there',
    );
  }

  function pullLast(queue: Parameters<PullerWorld['client']['maxOffset']>[0]) {
    const subscription = { topic: queue.topic, subString: '*', expressionType: 'TAG' } as const;
    return world.client.pull({
      ...{ consumerGroup: GROUP, queue, offset: 0n, maxMessages: 32, suspendMs: 0 },
      subscription: { ...subscription, tagsSet: [], codeSet: [], subVersion: 0 },
    });
  }

  /** Stored again: the message, its count, and how often. */
  const asides = () =>
    world.broker
      .messages(RETRY.topic)
      .slice(4)
      .map((message) => [
        String(message.body),
        message.reconsumeTimes,
        setAsideBefore(message, GROUP)?.times,
      ]);

  for (const [what, settings, outcome] of [
    ['is not enabled', { enabled: false }, undefined],
    [
      'has no function',
      {},
      {
        kind: 'misconfigured',
        error: new RocketMQError('ROCKETMQ_HANDLER_MISSING', 'no function'),
      },
    ],
  ] as const)
    test(`goes on while one event ${what}, and its messages come again with their counts`, async () => {
      await prepare();
      const absent = functions((name) => (name === TOPIC ? outcome : undefined));
      const before = world.start(() => {}, {
        queues: [RETRY],
        subscriptions: [event(TOPIC, settings), event(OTHER)],
        deps: absent.deps,
      });
      await until(() => absent.seen.length === 2, 'the other event has its messages');
      assert.deepEqual(absent.seen.sort(), ['bills c 1', 'bills d 1']);
      await until(() => (world.committed(RETRY) ?? 0n) >= 4n, 'the offset passes all four');
      await until(() => asides().length === 2, 'the messages come again');
      assert.deepEqual(asides(), [
        ['a', 1, 1],
        ['b', 1, 1],
      ]);
      await before.stop();
      const present = functions(() => undefined);
      world.start(() => {}, {
        queues: [RETRY],
        subscriptions: [event(TOPIC), event(OTHER)],
        deps: present.deps,
      });
      await until(() => present.seen.length === 2, 'the messages come again');
      assert.deepEqual(present.seen.sort(), ['orders a 1', 'orders b 1']);
      await until(() => world.committed(RETRY) === 6n, 'the queue is done');
    });
});
