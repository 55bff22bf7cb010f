import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { PopUnit } from '../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import { DISTURBANCES, disturb } from '../support/disturb.ts';
import { lendingClient } from '../support/lending-client.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import { createPullerWorld, GROUP, type PullerWorld, TOPIC } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const COUNT = 12;
const POISON = '3';
const PLACE: PopUnit = { topic: TOPIC, brokerName: 'broker-a', queueId: 0, pops: true };

/**
 * Turns the records round, gives each the names of the first, and does to the event whatever chance
 * chooses; the same again while other calls go on.
 */
function spoil(event: RocketMQEvent): void {
  event.Records.reverse();
  const { messageId, receiptHandle } = event.Records[0] ?? assert.fail('an event without records');
  for (const record of event.Records) Object.assign(record, { messageId, receiptHandle });
  const by = (kind: (typeof DISTURBANCES)[number]) => ({
    kind,
    target: Math.floor(Math.random() * 1_000),
    other: Math.floor(Math.random() * 1_000),
  });
  const all = () =>
    disturb(
      event,
      DISTURBANCES.flatMap((kind) => [by(kind), by(kind)]),
    );
  all();
  void sleep(5).then(all);
}

interface Mode {
  readonly name: string;
  readonly subscription?: Partial<SubscriptionConfig>;
  readonly source?: Partial<SourceConfig>;
}

const MODES: readonly Mode[] = [
  { name: 'unordered' },
  {
    name: 'ordered by queue',
    subscription: { order: { by: 'queue', suspendCurrentQueueTimeMillis: 10 } },
  },
  {
    name: 'ordered by key',
    subscription: { order: { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 10 } },
  },
  { name: 'broadcasting', source: { messageModel: 'BROADCASTING' } },
];

describe('a handler that changes, empties, sorts and keeps its event', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** Body by receipt handle as the message has it, and what the handler did with each. */
  function spoiler(answer: (failed: readonly string[]) => unknown) {
    const handled: string[] = [];
    const failed: string[] = [];
    return {
      handled,
      failed,
      handler: (event: RocketMQEvent) => {
        const given = event.Records.map(({ body, receiptHandle }) => ({ body, receiptHandle }));
        spoil(event);
        const failing = given.filter(({ body }) => body === POISON);
        failed.push(...failing.map(({ body }) => body));
        const done = failing.length > 0 && answer === thrown ? [] : given;
        handled.push(...done.map(({ body }) => body).filter((body) => body !== POISON));
        return failing.length === 0
          ? undefined
          : answer(failing.map(({ receiptHandle }) => receiptHandle));
      },
    };
  }
  const reported = (failed: readonly string[]) => ({
    batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })),
  });
  const thrown = () => {
    throw new Error('the poison is in it');
  };

  for (const { name, subscription, source = {} } of MODES)
    for (const [how, answer] of [
      ['reported', reported],
      ['thrown for the whole batch', thrown],
    ] as const)
      test(`${name}: the one that failed, ${how}, and no other, has the end of a failure`, async () => {
        world = await createPullerWorld();
        world.broker.createTopic(`%DLQ%${GROUP}`, { queues: 1 });
        const queues = await world.prepare();
        await world.produce(COUNT, 0, (n) => ({ keys: [`k${n % 3}`] }));
        const spoiled = spoiler(answer);
        const puller = world.start(spoiled.handler, {
          queues,
          source,
          subscriptions: [
            { batchSize: 5, parallelizationFactor: 1, maximumRetryAttempts: 1, ...subscription },
          ],
        });
        const broadcast = source.messageModel === 'BROADCASTING';
        const deadLetters = () =>
          world.broker.messages(`%DLQ%${GROUP}`).map(({ body }) => body.toString());
        if (!broadcast) await until(() => deadLetters().length > 0, 'the poison has its end');
        await until(() => spoiled.handled.length >= COUNT - 1, 'all others are handled');
        // In order, a handler has those behind one that failed more than once.
        if (subscription !== undefined)
          await until(() => world.committed() === BigInt(COUNT), 'all have their ends');
        const { queues: reports } = await puller.stop();
        assert.equal(reports[0]?.committedOffset, String(COUNT));
        // In order, those behind one that failed come again with it.
        const handled = subscription === undefined ? spoiled.handled : new Set(spoiled.handled);
        assert.deepEqual(
          [...handled].sort((a, b) => Number(a) - Number(b)),
          Array.from({ length: COUNT }, (_, n) => String(n)).filter((body) => body !== POISON),
          'each other message once',
        );
        if (!broadcast) assert.deepEqual(deadLetters(), [POISON]);
      });

  test('pop: acknowledged is what was done, given back what failed', async () => {
    world = await createPullerWorld();
    await world.store.create(world.group, PLACE, 0, 0n);
    const lender = lendingClient(COUNT);
    const spoiled = spoiler(reported);
    const puller = world.start(spoiled.handler, {
      queues: [PLACE],
      source: { mode: 'pop' },
      subscriptions: [{ batchSize: 5 }],
      deps: { client: overriddenClient(world.client, lender.calls) },
    });
    await until(() => lender.acknowledged.length + lender.givenBack.length >= COUNT, 'all ended');
    await puller.stop();
    assert.deepEqual(lender.givenBack, [Number(POISON)]);
    assert.deepEqual(
      lender.acknowledged.toSorted((a, b) => a - b),
      Array.from({ length: COUNT }, (_, n) => n).filter((n) => String(n) !== POISON),
    );
  });
});
