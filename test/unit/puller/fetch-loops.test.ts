import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryBudget } from '../../../src/decide/pull/memory-budget.ts';
import { ConnectionError } from '../../../src/errors.ts';
import type { PopResult, RocketMQ } from '../../../src/ports/rocketmq.ts';
import {
  createHeldQueue,
  HELD_AT,
  type HeldQueueWorld,
  namedMessage,
  poppedMessage,
} from '../../support/held-queue.ts';
import { messageAt } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;
const EMPTY = { undecodable: [], filteredOut: [], full: false };
const LEASE_END = HELD_AT + 900_000;

/** Fetches until the queue is told to end. */
function start({ held }: HeldQueueWorld): { readonly ended: boolean; stop(): Promise<void> } {
  let ended = false;
  const run = held.fetching.run(32).finally(() => {
    ended = true;
  });
  return {
    get ended() {
      return ended;
    },
    async stop() {
      held.lifecycle.stop('signal');
      await run;
    },
  };
}

describe('a lease that comes back', () => {
  test('after a moment without it: the queue is pulled again', async () => {
    let pulls = 0;
    const pull: RocketMQ['pull'] = async () => {
      if (++pulls === 1) world.held.lease.extend(HELD_AT);
      await sleep(1);
      throw new ConnectionError('broker-a', 'away');
    };
    const world = createHeldQueue({ client: { pull } });
    const loop = start(world);
    await sleep(150);
    assert.deepEqual([pulls, loop.ended], [1, false]);
    world.held.lease.extend(LEASE_END);
    await until(() => pulls > 1, 'the next pull', 2_000);
    await loop.stop();
  });

  test('after a moment without it: what was popped is kept, and the queue is popped again', async () => {
    let pops = 0;
    const pop: RocketMQ['pop'] = async () => {
      await sleep(1);
      if (++pops > 1) return { messages: [], ...EMPTY };
      world.held.lease.extend(HELD_AT);
      return { messages: [poppedMessage(namedMessage('a', 0), HELD_AT)], ...EMPTY };
    };
    const world = createHeldQueue({ source: { mode: 'pop' }, client: { pop } });
    const loop = start(world);
    await sleep(150);
    assert.deepEqual([pops, loop.ended, world.held.messages.count], [1, false, 1]);
    world.held.lease.extend(LEASE_END);
    await until(() => pops > 1, 'the next pop', 2_000);
    await loop.stop();
  });
});

test('a large popped answer keeps the place of large ones until its message has its end', async () => {
  const budget = new MemoryBudget(64 * MIB);
  const large = poppedMessage(messageAt(0, { body: Buffer.alloc(6 * MIB) }), HELD_AT);
  const pop: RocketMQ['pop'] = async (_request, { reserve } = {}): Promise<PopResult> => {
    await sleep(1);
    assert.equal(reserve?.(6 * MIB), true);
    return { messages: [large], ...EMPTY };
  };
  const world = createHeldQueue({
    ...{ source: { mode: 'pop' }, client: { pop }, deps: { memory: budget } },
  });
  const { messages } = world.held;
  const loop = start(world);
  await until(() => messages.count === 1, 'the message', 2_000);
  const other = budget.open(() => {});
  assert.equal(other.receivePopped(6 * MIB, 1, 0), false);
  const entry = messages.peek(HELD_AT);
  assert.ok(entry);
  messages.take(entry);
  messages.settle(entry);
  assert.equal(other.receivePopped(6 * MIB, 1, 0), true);
  await loop.stop();
});
