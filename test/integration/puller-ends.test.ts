import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Meter } from '../../src/ports/meter.ts';
import { createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

describe('the end of a queue', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
    await world.prepare(1);
  });
  afterEach(() => world.stop());

  /** A meter that throws where the metric is counted or observed. */
  const brokenMeter = (broken: string): Meter => ({
    count(metric) {
      if (metric === broken) throw new Error(`${broken} cannot be counted`);
    },
    observe(metric) {
      if (metric === broken) throw new Error(`${broken} cannot be observed`);
    },
  });

  test('gives the lease back when its last commit throws', async () => {
    const key = (index: number) => ({ properties: { __SHARDINGKEY: `k${index}` } });
    await world.produce(2, 0, key);
    let delivered = 0;
    const puller = world.start(
      ({ Records: records }) => {
        delivered += records.length;
        // The first message fails and waits; the second one is done ahead of it.
        const failed = records.filter(({ rocketmq }) => rocketmq.shardingKey === 'k0');
        return {
          batchItemFailures: failed.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
        };
      },
      {
        subscriptions: [
          {
            order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 60_000 },
          },
        ],
        deps: { meter: brokenMeter('DuplicateEventCount') },
      },
    );
    await until(() => delivered >= 2, 'both were delivered');
    await puller.stop();
    assert.equal((await world.assignmentOf()).lease, undefined);
    assert.ok(world.logs.some(({ message }) => message.startsWith('step at the end failed')));
  });

  test('gives the lease back when its parts cannot be built', async () => {
    const seen = recorder();
    const memory = {
      open: () => {
        throw new Error('no memory');
      },
    };
    const report = await world.start(seen.handler, {
      deps: { memory: memory as never },
    }).report;
    assert.equal(report.queues[0]?.reason, 'error');
    assert.equal((await world.assignmentOf()).lease, undefined);
  });

  test('is reported when the last metrics throw', async () => {
    await world.produce(1);
    const report = await world.start(() => undefined, {
      options: { idleTimeoutMs: 300 },
      deps: { meter: brokenMeter('PullerUtilization') },
    }).report;
    assert.equal(report.queues[0]?.reason, 'idle');
    assert.equal((await world.assignmentOf()).lease, undefined);
  });
});
