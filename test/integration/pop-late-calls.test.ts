import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { PopUnit } from '../../src/model/message-queue.ts';
import type { HandlerOutcome } from '../../src/ports/invoke.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { lendingClient } from '../support/lending-client.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import { createPullerWorld, type PullerWorld, recorder, TOPIC } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const COUNT = 4;
const PLACE: PopUnit = { topic: TOPIC, brokerName: 'broker-a', queueId: 0, pops: true };
/** Popped messages are ours 5 s less. */
const INVISIBLE_MS = 12_000;
/** As after a freeze: the invisible time is over, the lease is not. */
const FROZEN_MS = 10_000;

describe('popped messages whose invisible time ends while they wait for a call', () => {
  let world: PullerWorld;
  let frozenMs: number;
  beforeEach(async () => {
    frozenMs = 0;
    world = await createPullerWorld();
    await world.store.create(world.group, PLACE, 0, 0n);
  });
  afterEach(() => world.stop());

  /** No time is prolonged. */
  function client() {
    const lender = lendingClient(COUNT);
    const calls = {
      ...lender.calls,
      changeInvisibleTime: () => Promise.reject(new Error('the message is visible again')),
    };
    return { lender, client: overriddenClient(world.client, calls) };
  }
  const settings = (calls: ReturnType<typeof client>) => ({
    queues: [PLACE],
    source: { mode: 'pop' } as const,
    subscriptions: [{ batchSize: COUNT }],
    options: { popInvisibleMs: INVISIBLE_MS },
    deps: {
      client: calls.client,
      clock: { ...systemClock, now: () => systemClock.now() + frozenMs },
    },
  });
  const expired = () => world.logs.filter(({ code }) => code === 'ROCKETMQ_POP_EXPIRED').length;

  test('the parts of a batch that failed as a whole', async () => {
    const calls = client();
    const seen = recorder(() => {
      if (frozenMs > 0) return undefined;
      frozenMs = FROZEN_MS;
      throw new Error('failed');
    });
    const puller = world.start(seen.handler, settings(calls));
    await until(() => expired() === COUNT, 'all are left to the broker');
    await puller.stop();
    assert.equal(seen.events.length, 1);
    assert.deepEqual(calls.lender.acknowledged, []);
  });

  test('a batch whose handler was not reachable', async () => {
    const calls = client();
    let invoked = 0;
    const invoke = async (): Promise<HandlerOutcome> => {
      invoked++;
      frozenMs = FROZEN_MS;
      return { kind: 'unavailable', error: new Error('Rate Exceeded.') };
    };
    const puller = world.start({ invoke }, settings(calls));
    await until(() => expired() === COUNT, 'all are left to the broker');
    await puller.stop();
    assert.equal(invoked, 1);
  });
});
