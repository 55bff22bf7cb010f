import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError } from '../../../src/errors.ts';
import type { MessageQueue } from '../../../src/model/message-queue.ts';
import { findStart } from '../../../src/puller/find-start.ts';
import type { PullerDeps } from '../../../src/puller/puller-deps.ts';
import { silentLogger, source, subscription } from '../../support/coordinator-world.ts';
import { HELD_AT, HELD_GROUP } from '../../support/held-queue.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { overriddenClient } from '../../support/overridden-client.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

test('a first offset that could not be stored is not stored again after the lease has ended', async () => {
  const clock = virtualClock(HELD_AT);
  const broker = new MemoryBroker(clock);
  const [queue] = broker.createTopic('orders', 1) as [MessageQueue];
  let commits = 0;
  const client = overriddenClient(broker.client, {
    async commitOffset() {
      commits++;
      // The process stands still while it waits for the answer.
      await clock.pass(26_000);
      throw new ConnectionError('127.0.0.1:10911', 'no answer', { maybeSent: true });
    },
  });
  const lease = { holder: 'holder-1', slot: 0, fence: 1, acquiredAt: HELD_AT };
  const assignment = {
    ...{ cluster: 'default', consumerGroup: HELD_GROUP, queue, slot: 0, generation: 0, fence: 1 },
    ...{
      startOffset: 0n,
      lease: { ...lease, endsAt: HELD_AT + 900_000, leaseUntil: HELD_AT + 30_000 },
    },
  };
  const deps = { client, clock } as unknown as PullerDeps;
  await assert.rejects(
    findStart(deps, source([subscription('orders')]), assignment, silentLogger),
    /the lease has ended before the first offset was stored/,
  );
  assert.equal(commits, 1);
});
