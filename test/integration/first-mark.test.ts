import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LifeMark } from '../../src/model/assignment.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import { createPullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

test('the assignment recognises its queue before the first offset is stored', async (t) => {
  const world = await createPullerWorld();
  t.after(() => world.stop());
  await world.prepare();
  await world.produce(2);
  let markAtCommit: LifeMark | undefined;
  const client = overriddenClient(world.client, {
    async commitOffset(group, queue, offset, options) {
      if (offset > 0n) markAtCommit ??= (await world.assignmentOf()).lifeMark;
      return world.client.commitOffset(group, queue, offset, options);
    },
  });
  const puller = world.start(recorder().handler, {
    subscriptions: [{ batchSize: 2 }],
    // No regular renewal brings it.
    options: { renewIntervalMs: 20_000 },
    deps: { client },
  });
  await until(() => world.committed() === 2n, 'both are committed');
  await puller.stop();
  assert.equal(markAtCommit?.offset, 1n);
});
