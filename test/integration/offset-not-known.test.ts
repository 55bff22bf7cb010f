import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { at, createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Java's OffsetNotFoundIT and RemoteBrokerOffsetStoreTest: "could not be asked" must never pass for "has none". */
describe('a stored offset that cannot be asked for', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  for (const [what, answer] of [
    ['an error', () => ({ code: 1, remark: 'not now' })],
    ['a lost connection', () => 'disconnect' as const],
  ] as const)
    test(`${what}: nothing is pulled, delivered or stored; the next puller begins where the group was`, async () => {
      world = await createPullerWorld();
      await world.prepare();
      await world.produce(10);
      await world.client.commitOffset('workers', at(0), 4n);
      const pulls = world.broker.control('PULL_MESSAGE', () => undefined, { times: Infinity });
      const queries = world.broker.control('QUERY_CONSUMER_OFFSET', answer, { times: Infinity });
      const seen = recorder();
      const report = await world.start(seen.handler).report;
      assert.notEqual(report.queues[0]?.reason, 'idle');
      assert.ok(queries.calls > 0);
      assert.deepEqual([pulls.calls, seen.bodies, world.committed()], [0, [], 4n]);
      assert.equal((await world.assignmentOf()).lease, undefined);
      queries.remove();
      pulls.remove();
      world.start(seen.handler);
      await until(() => world.committed() === 10n, 'all is committed');
      assert.deepEqual(seen.bodies.toSorted(), ['4', '5', '6', '7', '8', '9']);
    });
});
