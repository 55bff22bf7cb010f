import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import { MemoryBudget } from '../../src/decide/pull/memory-budget.ts';
import { at, createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const QUEUES = 4;

/** Answers of this size do not fit side by side into what 20 MiB leave for them: 1.25 MiB, and one that is larger. */
describe('answers for which there is no memory', () => {
  let world: PullerWorld;
  const samples: NodeJS.Timeout[] = [];
  afterEach(() => world.stop());
  after(() => {
    for (const sample of samples) clearInterval(sample);
  });

  const run = async (sizes: readonly number[]) => {
    world = await createPullerWorld();
    await world.prepare(QUEUES);
    for (let queueId = 0; queueId < QUEUES; queueId++)
      for (const size of sizes)
        await world.client.send(
          { topic: 'orders', body: Buffer.alloc(size, 'x') },
          { queue: at(queueId) },
        );
    const memory = new MemoryBudget(20 * MIB, QUEUES);
    let most = 0;
    samples.push(
      setInterval(() => {
        most = Math.max(most, memory.used.stored + memory.used.delivered);
      }, 1),
    );
    const seen = recorder();
    const puller = world.start(seen.handler, {
      queues: Array.from({ length: QUEUES }, (_, queueId) => at(queueId)),
      deps: { memory },
    });
    for (let queueId = 0; queueId < QUEUES; queueId++)
      await until(
        () => world.committed(at(queueId)) === BigInt(sizes.length),
        `queue ${queueId} is committed`,
        30_000,
      );
    await puller.stop();
    assert.deepEqual(memory.used, { stored: 0, delivered: 0 }, 'nothing is left');
    return { most, seen };
  };

  test('are pulled again, from every queue, and all are delivered', async () => {
    const { most } = await run(Array.from({ length: 8 }, () => 600 * KIB));
    assert.ok(most > 0 && most <= 8 * MIB, `${most / MIB} MiB`);
  });

  test('come in turn where each is larger than all that queues share', async () => {
    const { most } = await run([100, 1_700 * KIB, 100, 1_700 * KIB]);
    assert.ok(most > 0 && most <= 20 * MIB, `${most / MIB} MiB`);
  });
});
