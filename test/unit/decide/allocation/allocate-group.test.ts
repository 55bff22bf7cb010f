import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateGroup } from '../../../../src/decide/assignment/allocate-group.ts';
import { queueKey } from '../../../../src/model/message-queue.ts';
import type { SourceConfig } from '../../../../src/model/source.ts';

function slots(count: number, options: Pick<SourceConfig, 'pullers' | 'strategy'>) {
  const queues = Array.from({ length: count }, (_, queueId) => ({
    topic: 'orders',
    brokerName: 'broker-a',
    queueId,
  }));
  const routes = { queues: new Map([['orders', queues]]), unknown: new Set<string>() };
  const { wanted } = allocateGroup(routes, [], options, 0);
  return new Map(wanted.map(({ queue, slot }) => [queueKey(queue), slot]));
}

for (const name of ['AVG', 'AVG_BY_CIRCLE'] as const)
  for (const [before, after] of [
    [8, 9],
    [10, 11],
    [16, 24],
    [100, 101],
    [1_000, 1_001],
  ] as const)
    test(`${name}: of ${before} queues with a slot each none moves when there are ${after}`, () => {
      const options = { pullers: 'queue', strategy: { name } } as const;
      const [old, now] = [slots(before, options), slots(after, options)];
      assert.deepEqual(
        [...old].filter(([key, slot]) => now.get(key) !== slot),
        [],
      );
    });
