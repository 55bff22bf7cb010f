import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectionError, RequestTimeoutError } from '../../../src/errors.ts';
import type { Message } from '../../../src/model/message.ts';
import { retryTopic } from '../../../src/model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../../../src/model/source.ts';
import type { HandlerOutcome } from '../../../src/ports/invoke.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import type { Batch } from '../../../src/puller/work.ts';
import { subscription } from '../../support/coordinator-world.ts';
import {
  createHeldQueue,
  HELD_AT,
  HELD_GROUP,
  type HeldQueueWorld,
} from '../../support/held-queue.ts';
import { messageAt } from '../../support/records.ts';

type Sent = Parameters<RocketMQ['setAside']>;
type Aside = Sent[2];

const SECOND_ORDER = { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 10 } as const;

/** An event whose function has the name of its topic. */
function event(topic: string, settings: Partial<SubscriptionConfig> = {}): SubscriptionConfig {
  const handler = { functionKey: topic, functionName: topic, timeout: 10 };
  return subscription(topic, { handler: { invocation: 'function', ...handler }, ...settings });
}

/** A redelivery of a topic, named after its offset. */
function redelivery(
  topic: string,
  offset: number,
  properties = {},
  queueTopic = retryTopic(HELD_GROUP),
): Message {
  return messageAt(offset, {
    ...{ topic: queueTopic, queueId: 0, reconsumeTimes: 2 },
    storeTimestamp: HELD_AT,
    body: Buffer.from(`${topic} ${offset}`),
    properties: { UNIQ_KEY: `id-${offset}`, RETRY_TOPIC: topic, ...properties },
  });
}

interface Settings {
  readonly orders?: Partial<SubscriptionConfig>;
  readonly bills?: Partial<SubscriptionConfig>;
  readonly source?: Partial<SourceConfig>;
  readonly isRetryQueue?: boolean;
  /** What the function of "orders" comes to. */
  readonly outcome?: () => HandlerOutcome;
  readonly send?: (message: Message) => Promise<void>;
}

/** A retry queue of two events, and what is stored again. */
function createRetryQueue(settings: Settings = {}) {
  const sent: { readonly name: string; readonly aside: Aside }[] = [];
  const called: string[] = [];
  const world = createHeldQueue({
    isRetryQueue: settings.isRetryQueue ?? true,
    source: {
      subscriptions: [event('orders', settings.orders), event('bills', settings.bills)],
      ...settings.source,
    },
    client: {
      setAside: async (...[, message, aside]: Sent) => {
        await settings.send?.(message);
        sent.push({ name: String(message.body), aside });
      },
    },
    deps: {
      handlers: ({ functionName }) => ({
        invoke: async () => {
          called.push(functionName);
          return functionName === 'orders' && settings.outcome !== undefined
            ? settings.outcome()
            : { kind: 'answered', answer: undefined };
        },
      }),
    },
  });
  return { world, sent, called, names: () => sent.map(({ name }) => name) };
}

function put({ held, now }: HeldQueueWorld, ...messages: readonly Message[]): void {
  held.messages.put(messages, [], BigInt(messages.length), now());
}

/** Delivers until nothing is left that is due. @returns the bodies that handlers got */
async function drain({ held }: HeldQueueWorld): Promise<string[]> {
  const handled: string[] = [];
  for (;;) {
    const { work, setAside } = held.nextBatch();
    await held.settlement.setAside(setAside);
    if (work === undefined && setAside.length === 0) return handled;
    if (work?.kind !== 'batch') continue;
    if ((await deliver(held, work)) === 'verdict') handled.push(...bodiesOf(work));
  }
}

async function deliver({ callHandler, settlement }: HeldQueueWorld['held'], batch: Batch) {
  const result = await callHandler(batch, false, undefined);
  if (result.kind === 'verdict') await settlement.conclude(batch, result.outcome);
  if (result.kind === 'set-aside')
    await settlement.setAside(batch.deliveries.map(({ entry }) => entry));
  if (result.kind === 'no-verdict') settlement.putBack(batch, result.notBefore);
  return result.kind;
}

const bodiesOf = ({ deliveries }: Batch): string[] =>
  deliveries.map(({ message }) => String(message.body));

const THROTTLED = Object.assign(new Error('Rate Exceeded.'), { name: 'TooManyRequestsException' });
const throttled = (): HandlerOutcome => ({ kind: 'unavailable', error: THROTTLED });
const missing = (): HandlerOutcome => ({ kind: 'misconfigured', error: new Error('not found') });
const mixed = [
  redelivery('orders', 0),
  redelivery('bills', 1),
  redelivery('orders', 2),
  redelivery('bills', 3),
];
const FIRST: Aside = { kind: 'send', level: 3, times: 1, at: HELD_AT } as Aside;

describe('on a retry queue of two events', () => {
  test('messages of an event that is not enabled go to the end, and the others to their handler', async () => {
    const { world, sent, called } = createRetryQueue({ orders: { enabled: false } });
    put(world, ...mixed);
    assert.deepEqual(await drain(world), ['bills 1', 'bills 3']);
    assert.deepEqual(sent, [
      { name: 'orders 0', aside: FIRST },
      { name: 'orders 2', aside: FIRST },
    ]);
    assert.deepEqual(called, ['bills']);
    assert.equal(world.held.messages.committable, 4n);
    assert.deepEqual(
      world.logs.map(({ level, code }) => [level, code]),
      [['info', 'ROCKETMQ_SET_ASIDE']],
    );
  });

  test('messages of a function that is missing do so after one call, and the queue goes on', async () => {
    const { world, called, names } = createRetryQueue({ outcome: missing });
    put(world, ...mixed);
    assert.deepEqual(await drain(world), ['bills 1', 'bills 3']);
    assert.deepEqual(names(), ['orders 0', 'orders 2']);
    assert.deepEqual(called, ['orders', 'bills']);
    assert.equal(world.held.messages.committable, 4n);
    assert.equal(world.held.lifecycle.ending, undefined);
  });

  test('messages of a function that is throttled do so after ten seconds, until a call is made again', async () => {
    let isThrottled = true;
    const outcome = (): HandlerOutcome =>
      isThrottled ? throttled() : { kind: 'answered', answer: undefined };
    const { world, called, names } = createRetryQueue({
      orders: { batchSize: 1 },
      outcome,
    });
    put(world, ...mixed);
    assert.deepEqual(await drain(world), ['bills 1', 'bills 3']);
    assert.deepEqual(names(), ['orders 0', 'orders 2']);
    assert(world.now() - HELD_AT >= 10_000, 'it was tried for ten seconds');
    const tries = called.filter((name) => name === 'orders').length;
    assert(tries > 1);
    // One call shows that it is throttled still.
    world.pass(10_000);
    world.held.messages.put([redelivery('orders', 4)], [], 5n, world.now());
    assert.deepEqual(await drain(world), []);
    assert.equal(called.filter((name) => name === 'orders').length, tries + 1);
    isThrottled = false;
    world.pass(10_000);
    world.held.messages.put([redelivery('orders', 5)], [], 6n, world.now());
    assert.deepEqual(await drain(world), ['orders 5']);
    assert.equal(world.held.messages.committable, 6n);
  });

  for (const [what, settings] of [
    ['both events have the same function', { bills: { handler: event('orders').handler } }],
    ['the other event is not enabled', { bills: { enabled: false } }],
    ['it is ordered', { orders: { order: SECOND_ORDER }, bills: { order: SECOND_ORDER } }],
    ['it is a queue of a topic', { isRetryQueue: false }],
  ] as const)
    test(`messages of a function that is missing wait where ${what}`, async () => {
      const { world, names } = createRetryQueue({ ...settings, outcome: missing });
      put(world, redelivery('orders', 0, {}, world.held.queue.topic));
      const { work } = world.held.nextBatch();
      assert(work?.kind === 'batch');
      assert.equal(await deliver(world.held, work), 'no-verdict');
      assert.deepEqual(names(), []);
      assert.equal(world.held.lifecycle.ending, 'handler-misconfigured');
      assert.equal(world.held.messages.committable, 0n);
    });

  test('a message that comes back too soon waits here, and others go on', async () => {
    const { world, sent } = createRetryQueue({ orders: { enabled: false } });
    put(
      world,
      redelivery('orders', 0, { SERVERLESS_SET_ASIDE: `2 ${HELD_AT - 10_000}` }),
      redelivery('bills', 1),
    );
    assert.deepEqual(await drain(world), ['bills 1']);
    assert.deepEqual(sent, []);
    world.pass(5_000);
    await drain(world);
    assert.deepEqual(sent, [
      { name: 'orders 0', aside: { kind: 'send', level: 5, times: 3, at: HELD_AT + 5_000 } },
    ]);
  });

  test('what the broker does not take waits here, and nothing is counted', async () => {
    let isAway = true;
    const { world, sent } = createRetryQueue({
      orders: { enabled: false },
      send: async () => {
        if (isAway) throw new ConnectionError('broker-a', 'refused', { maybeSent: false });
      },
    });
    put(world, redelivery('orders', 0), redelivery('bills', 1));
    assert.deepEqual(await drain(world), ['bills 1']);
    const [entry] = world.held.messages.unfinished();
    assert.deepEqual([entry?.localRetries, world.held.messages.committable], [0, 0n]);
    isAway = false;
    world.pass(60_000);
    await drain(world);
    assert.deepEqual([sent.length, world.held.messages.committable], [1, 2n]);
  });

  test('a message that may have been stored again is not stored once more by this holder', async () => {
    let sends = 0;
    const { world } = createRetryQueue({
      orders: { enabled: false },
      send: async () => {
        sends++;
        throw new RequestTimeoutError('broker-a', 'send', 5_000);
      },
    });
    put(world, redelivery('orders', 0));
    for (let minute = 0; minute < 5; minute++) {
      await drain(world);
      world.pass(60_000);
    }
    assert.deepEqual([sends, world.held.messages.committable], [1, 0n]);
  });

  test('a message that no handler may get has its end, whatever its event', async () => {
    const dead: string[] = [];
    const { world, names } = createRetryQueue({
      orders: { enabled: false, maximumRecordAgeInSeconds: 60 },
    });
    Object.assign(world.held.client, {
      sendBackAsNormalMessage: async (_group: string, message: Message, level: unknown) => {
        if (level === 'dead-letter') dead.push(String(message.body));
      },
      sendBack: async () => void dead.push('by request 36'),
      routeOf: async () => ({ queues: [] }),
    });
    put(world, redelivery('orders', 0, { SERVERLESS_FIRST_STORED_MS: String(HELD_AT - 61_000) }));
    const { work, setAside } = world.held.nextBatch();
    assert.equal(work?.kind, 'unhandled');
    assert.deepEqual([setAside, names()], [[], []]);
  });
});
