import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRandom } from '../../simulator/kernel/random.ts';
import { mutate } from '../fuzz/mutate.ts';
import { runJob } from '../fuzz/run-job.ts';
import { TARGETS } from '../fuzz/targets.ts';

describe('fuzz', () => {
  it('the captures themselves are read', () => {
    for (const target of TARGETS)
      for (const sample of target.samples)
        try {
          assert.equal(typeof target.run(Buffer.from(sample)), 'string');
        } catch (error) {
          assert.match(
            String((error as { code?: string }).code),
            /^ROCKETMQ_/,
            `${target.name}: ${String(error)}`,
          );
        }
  });

  it('a seed decides every input', () => {
    const inputs = (): Buffer[] => {
      const random = createRandom(7);
      return Array.from({ length: 50 }, () => mutate([Buffer.from('sample of bytes')], random));
    };
    assert.deepEqual(inputs(), inputs());
  });

  it('no parser crashes, hangs or takes the memory', { timeout: 60_000 }, async () => {
    for (const target of ['frames', 'routes', 'records', 'members']) {
      const { findings, inputs } = await runJob({ target, seed: 1, inputs: 2_000 });
      assert.deepEqual([findings, inputs], [[], 2_000]);
    }
  });
});
