import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { maxRunMs } from '../../src/decide/budget/handler-run-time.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { BatchPayload, HandlerOutcome, MessageHandler } from '../../src/ports/invoke.ts';
import { fastClock } from '../support/coordinator-world.ts';
import {
  at,
  createPullerWorld,
  gate,
  type PullerWorld,
  recorder,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

type Order = NonNullable<SubscriptionConfig['order']>;

const BY_QUEUE: Order = { by: 'queue', suspendCurrentQueueTimeMillis: 30 };
const BY_KEY: Order = { by: 'key', key: 'customer', suspendCurrentQueueTimeMillis: 30 };
const FUNCTION = { invocation: 'function', functionKey: 'h', functionName: 'h' } as const;

describe('every invocation makes progress that is stored', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
    await world.prepare();
  });
  afterEach(() => world.stop());

  /** Fails slowly for a batch with the poison, and writes down the sizes of its batches. */
  function slowFor(poison: string, timeoutMs: number, sizes: string[]): MessageHandler {
    return {
      async invoke(payload: BatchPayload): Promise<HandlerOutcome> {
        const event = payload.event() as { Records: { body: string }[] };
        const poisoned = event.Records.some(({ body }) => body === poison);
        sizes.push(`${event.Records.length}${poisoned ? '!' : ''}`);
        if (!poisoned) return { kind: 'answered', answer: undefined };
        await sleep(timeoutMs);
        return { kind: 'failed', errorType: 'Sandbox.Timedout', errorMessage: 'timed out' };
      },
    };
  }

  for (const [name, order, count] of [
    ['ordered by queue', BY_QUEUE, 40],
    ['ordered by key', BY_KEY, 40],
    ['unordered', undefined, 100],
  ] as const)
    test(`${name}: a poison that fails slowly is found though few calls fit into an invocation`, async () => {
      await world.produce(count, 0, (n) => ({ properties: { customer: String(n % 3) } }));
      const sizes: string[] = [];
      let invocations = 0;
      // Two timeouts of the handler fit into one invocation: a batch of 32 is not halved to one in it.
      for (; invocations < 14 && world.committed() !== BigInt(count); invocations++)
        await world.start(slowFor('30', 1_000, sizes), {
          remainingMs: 8_300,
          subscriptions: [
            {
              batchSize: 100,
              maximumRetryAttempts: 0,
              handler: { ...FUNCTION, timeout: 1 },
              ...(order && { order }),
            },
          ],
          options: { reserveMs: 6_000, idleTimeoutMs: 300 },
        }).report;
      assert.equal(world.committed(), BigInt(count), `${sizes.join(' ')} in ${invocations}`);
      assert.ok(invocations < 12, `${invocations} invocations: ${sizes.join(' ')}`);
      const again = sizes.filter((size) => size === sizes[0]).length;
      assert.ok(again <= 2, `the whole batch ${again} times: ${sizes.join(' ')}`);
      assert.equal((await world.assignmentOf()).batchLimits, undefined);
    });

  test('the wait for a dead holder’s function has one end, whoever waits for it', async () => {
    const clock = fastClock(10);
    await world.produce(3);
    const timeout = 40;
    await world.die('dead');
    const diedAt = clock.now();
    const { handlersRunUntil = 0 } = await takeOnce();
    const maxMs = maxRunMs({ ...FUNCTION, timeout });
    assert.ok(handlersRunUntil > diedAt && handlersRunUntil <= diedAt + maxMs + 100);
    const seen = recorder(() => {
      assert.ok(clock.now() >= handlersRunUntil);
    });
    // Each of these lives for less than the wait: counted from its own lease it would never be over.
    for (let n = 1; n <= 4 && seen.records.length < 3; n++)
      await start(seen.handler, `waiting-${n}`, 60_000).report;
    assert.equal(seen.records.length, 3);
    assert.equal(world.committed(), 3n);
    assert.equal((await world.assignmentOf()).handlersRunUntil, undefined);

    async function takeOnce() {
      await start(() => undefined, 'first', 55_000).stop();
      return world.assignmentOf();
    }
    function start(handler: Parameters<PullerWorld['start']>[0], holder: string, lifeMs: number) {
      const endsAt = clock.now() + lifeMs;
      return world.start(handler, {
        holder,
        notAfter: Number.MAX_SAFE_INTEGER,
        subscriptions: [{ order: BY_KEY, handler: { ...FUNCTION, timeout } }],
        options: { idleTimeoutMs: 5_000, renewIntervalMs: 2_000, reserveMs: 8_000 },
        deps: { clock, remainingMs: () => endsAt - clock.now() },
      });
    }
  });
});

describe('an operator’s word counts for what waits', { concurrency: 3 }, () => {
  async function prepared(context: TestContext): Promise<PullerWorld> {
    const world = await createPullerWorld();
    context.after(() => world.stop());
    await world.prepare();
    return world;
  }

  /** Renewals and polls do not tell of the change while the batch waits. */
  const SELDOM = { renewIntervalMs: 60_000, commitIntervalMs: 60_000, maxSuspendMs: 20_000 };
  const changes = {
    paused: (world: PullerWorld) => world.store.setPaused(world.group, at(0), Date.now() + 60_000),
    moved: async (world: PullerWorld) => {
      const { generation } = await world.assignmentOf();
      await world.store.move(world.group, at(0), 1, generation);
    },
    reset: (world: PullerWorld) => world.client.commitOffset('workers', at(0), 2n),
  };
  const throttled: HandlerOutcome = {
    kind: 'unavailable',
    error: Object.assign(new Error('Rate exceeded'), { name: 'TooManyRequestsException' }),
  };
  const bodiesOf = (payload: BatchPayload): string[] =>
    (payload.event() as { Records: { body: string }[] }).Records.map(({ body }) => body);

  for (const change of ['paused', 'moved', 'reset'] as const) {
    test(`${change} while throttled`, async (context) => {
      const world = await prepared(context);
      await world.produce(2);
      const tried: string[][] = [];
      let open = false;
      const puller = world.start(
        {
          async invoke(payload) {
            tried.push(bodiesOf(payload));
            return open ? { kind: 'answered', answer: undefined } : throttled;
          },
        },
        { subscriptions: [{ handler: { ...FUNCTION, timeout: 1 } }], options: SELDOM },
      );
      // From then on a back-off is longer than half a second.
      await until(() => tried.length >= 5, 'five attempts', 20_000);
      await changes[change](world);
      open = true;
      const before = tried.length;
      await sleep(4_000);
      assert.deepEqual(tried.slice(before), []);
      await puller.stop();
    });

    test(`${change} while its window is open`, async (context) => {
      const world = await prepared(context);
      await world.produce(2);
      const seen = recorder();
      const puller = world.start(seen.handler, {
        subscriptions: [{ batchSize: 10, maximumBatchingWindow: 3 }],
        options: SELDOM,
      });
      await sleep(1_000);
      await changes[change](world);
      await sleep(3_500);
      assert.deepEqual(seen.bodies, []);
      await puller.stop();
      assert.deepEqual(seen.bodies, []);
    });

    test(`${change} while suspended`, async (context) => {
      const world = await prepared(context);
      await world.produce(1);
      const seen = recorder(() => {
        throw new Error('not yet');
      });
      const puller = world.start(seen.handler, {
        subscriptions: [{ order: { by: 'queue', suspendCurrentQueueTimeMillis: 2_500 } }],
        options: SELDOM,
      });
      await until(() => seen.records.length === 1, 'a first delivery', 10_000);
      await changes[change](world);
      await sleep(4_000);
      assert.equal(seen.records.length, 1);
      await puller.stop();
    });

    test(`${change} while the first part of a bisected batch is with the handler`, async (context) => {
      const world = await prepared(context);
      await world.produce(4);
      const seen = recorder(async ({ Records }) => {
        if (Records.length === 4) throw new Error('one of them is bad');
        await changes[change](world);
        await sleep(700);
      });
      const puller = world.start(seen.handler, {
        subscriptions: [{ batchSize: 4 }],
        options: SELDOM,
      });
      await until(() => seen.events.length >= 2, 'the first part', 10_000);
      await sleep(2_000);
      // Neither the second part, nor (after the reset to 2) its messages as a part of the old batch.
      const [, , third] = seen.events;
      if (change === 'reset') assert.equal(third?.rocketmqBatch.bisectedFrom, undefined);
      else assert.equal(third, undefined);
      await puller.stop();
    });

    if (change === 'reset') continue;
    test(`${change} before a suspect is delivered alone: its announcement tells`, async (context) => {
      const world = await prepared(context);
      await world.produce(3);
      // Two deaths at offset 0: one message at a time.
      for (const holder of ['first', 'second']) await world.die(holder);
      let changed = false;
      const seen = recorder();
      const puller = world.start(seen.handler, {
        options: SELDOM,
        deps: {
          store: {
            ...world.store,
            // In the moment before the announcement.
            renew: async (request) => {
              if (!changed && request.crash?.suspect !== undefined) {
                changed = true;
                await changes[change](world);
              }
              return world.store.renew(request);
            },
          },
        },
      });
      await until(() => changed, 'an announcement', 10_000);
      await sleep(1_500);
      assert.deepEqual(seen.bodies, []);
      await puller.stop();
    });
  }
});

test('what is settled is committed within about a second, also while a renewal hangs', async () => {
  const world = await createPullerWorld();
  try {
    await world.prepare();
    await world.produce(1);
    const never = gate();
    const renewals: unknown[] = [];
    const puller = world.start(() => undefined, {
      options: { commitIntervalMs: undefined, renewIntervalMs: 100 },
      deps: {
        store: {
          ...world.store,
          renew: async (request) => {
            renewals.push(request);
            await never.passed;
            return world.store.renew(request);
          },
        },
      },
    });
    await until(() => renewals.length === 1, 'a renewal', 10_000);
    await world.produce(20);
    const sentAt = Date.now();
    await until(() => world.committed() === 21n, 'all are committed', 10_000);
    // 800 ms, two requests, and a busy machine.
    assert.ok(Date.now() - sentAt < 3_000, `${Date.now() - sentAt} ms`);
    never.open();
    await puller.stop();
  } finally {
    await world.stop();
  }
});
