import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CoordinatorDeps } from '../../src/coordinator/coordinator-deps.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';

const QUEUES = 100;
const GROUPS = ['first', 'second', 'third'];

let world: World;
before(async () => {
  world = await createWorld();
  world.broker.createTopic('orders', { queues: QUEUES });
  for (const group of GROUPS) world.broker.createGroup(group);
  for (let queueId = 0; queueId < QUEUES; queueId++) await world.send('orders', queueId);
});
after(() => world.stop());

/** Counts the calls of a port that are under way at once. */
function watched<Port extends object>(
  port: Port,
  counts: (parameters: readonly unknown[]) => boolean = () => true,
) {
  const seen = { most: 0, calls: 0 };
  let active = 0;
  const proxy = new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      return async (...parameters: unknown[]): Promise<unknown> => {
        if (!counts(parameters)) return Reflect.apply(method, target, parameters);
        seen.calls++;
        seen.most = Math.max(seen.most, ++active);
        try {
          await new Promise(setImmediate);
          return await Reflect.apply(method, target, parameters);
        } finally {
          active--;
        }
      };
    },
  });
  return { seen, proxy };
}

test('the first pass over three groups of 100 queues asks table, Lambda and brokers for little at once', async () => {
  const table = watched(world.store);
  const lambda = watched<CoordinatorDeps['invoker']>({ invoke: async () => {} });
  const brokers = watched(
    world.client,
    ([request]) => !((request as { suspendMs?: number } | undefined)?.suspendMs ?? 0),
  );
  const { groups } = await world.run(
    GROUPS.map((consumerGroup) => source([subscription('orders')], { consumerGroup })),
    { store: table.proxy, invoker: lambda.proxy, clients: () => brokers.proxy },
  );
  assert.deepEqual(
    groups.map(({ created, problems }) => [created, problems.length]),
    GROUPS.map(() => [QUEUES, 0]),
  );
  assert.equal(lambda.seen.calls, GROUPS.length * QUEUES);
  assert.equal(table.seen.most, 32);
  assert.equal(lambda.seen.most, 16);
  assert.equal(brokers.seen.most, 64);
});
