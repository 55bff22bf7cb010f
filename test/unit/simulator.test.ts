import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { edited } from '../../simulator/mutants/apply.ts';
import { hunt } from '../../simulator/mutants/hunt.ts';
import { MUTANTS } from '../../simulator/mutants/mutants.ts';
import type { RunOrder } from '../../simulator/orders.ts';
import { SCENARIOS } from '../../simulator/scenarios.ts';
import { startThread } from '../../simulator/threads.ts';

/** Seeds of each scenario: CI runs thousands of its own. */
const SEEDS = 4;

async function run(runs: readonly RunOrder[]) {
  await using thread = startThread();
  const answer = await thread.ask({ kind: 'run', runs, stopAtFailure: false });
  assert(answer.kind === 'ran');
  return answer.results;
}

async function explain(order: RunOrder) {
  await using thread = startThread();
  const answer = await thread.ask({ kind: 'explain', run: order, shrinks: false });
  assert(answer.kind === 'explained');
  return answer;
}

describe('the simulator', () => {
  it('has mutants of the present code: the text of each stands once in its file', async () => {
    for (const { also, ...mutant } of MUTANTS) {
      const files = new Map<string, string>();
      for (const edit of also === undefined ? [mutant] : [mutant, also]) {
        const { file } = edit;
        const source =
          files.get(file) ?? (await readFile(new URL(`../../${file}`, import.meta.url), 'utf8'));
        files.set(file, edited(source, mutant.name, edit));
      }
    }
  });

  it('finds nothing in the present code', async () => {
    const runs = Object.keys(SCENARIOS).flatMap((scenario) =>
      Array.from({ length: SEEDS }, (_, index) => ({ scenario, seed: index + 1 })),
    );
    const failed = (await run(runs)).filter(({ violations }) => violations.length > 0);
    assert.deepEqual(
      failed.map(({ scenario, seed, violations }) => ({ scenario, seed, violations })),
      [],
    );
  });

  it('repeats a seed to the last event: in any thread, after other seeds, with its trace', async () => {
    const runs = Object.keys(SCENARIOS)
      .filter((scenario) => scenario !== 'memory')
      .map((scenario) => ({ scenario, seed: 7 }));
    const middle = runs.length / 2;
    const explained = runs[3]!;
    const [once, reversed, first, second, answer] = await Promise.all([
      run(runs),
      run(runs.toReversed()),
      run(runs.slice(0, middle)),
      run(runs.slice(middle)),
      explain(explained),
    ]);
    const ends = (results: typeof once) =>
      new Map(results.map(({ scenario, digest, events }) => [scenario, `${events} ${digest}`]));
    assert.deepEqual(ends(reversed.toReversed()), ends(once));
    assert.deepEqual(ends([...first, ...second]), ends(once));
    const { digest, events } = answer.result;
    assert.equal(`${events} ${digest}`, ends(once).get(explained.scenario));
    assert.equal(new Set(once.map((result) => result.digest)).size, runs.length);
  });

  for (const name of ['commit-above-unfinished', 'bisect-loses-the-middle', 'lane-is-overtaken'])
    it(`finds the mutant ${name}`, async () => {
      const mutant = MUTANTS.find((one) => one.name === name);
      assert(mutant);
      assert.notEqual((await hunt(mutant, 50)).found, undefined);
    });

  it('shrinks a failing schedule, and tells what happened', async () => {
    await using thread = startThread({ mutant: 'commit-above-unfinished' });
    const answer = await thread.ask({
      kind: 'explain',
      run: { scenario: 'lambda', seed: 1 },
      shrinks: true,
    });
    assert(answer.kind === 'explained');
    assert.equal(answer.faults.length, 0);
    assert(answer.messages <= 4, `${answer.messages} messages`);
    assert(answer.trace.some((line) => line.includes('VIOLATION of committed-below-unfinished')));
  });

  it('npm run simulate tells what it ran', async () => {
    const args = ['run', '--silent', 'simulate', '--', '--scenario', 'bisect', '--seeds', '3'];
    const { stdout } = await promisify(execFile)('npm', args);
    assert.match(stdout, /^bisect +3 seeds, .* 0 failed$/m);
    assert.match(stdout, /^3 seeds in .* s, 0 failed$/m);
  });

  it('names a mutant whose text is not in its file', async () => {
    await assert.rejects(async () => {
      await using thread = startThread({ mutant: 'no-such-mutant' });
      await thread.ask({ kind: 'run', runs: [], stopAtFailure: false });
    }, /no mutant "no-such-mutant"/);
  });
});
