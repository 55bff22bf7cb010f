import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost } from '../../../src/flow/at-most.ts';

test('so many pieces of work are under way at once, in the order in which they came', async () => {
  const turns = atMost(3);
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const all = Promise.all(
    Array.from({ length: 8 }, (_, n) =>
      turns(async () => {
        begun.push(n);
        await new Promise<void>((resolve) => ends.push(resolve));
        return n * 2;
      }),
    ),
  );
  assert.deepEqual(begun, [0, 1, 2]);
  for (let ended = 0; ended < 8; ended++) {
    ends[ended]?.();
    await new Promise(setImmediate);
    assert.equal(begun.length, Math.min(8, 4 + ended));
  }
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(await all, [0, 2, 4, 6, 8, 10, 12, 14]);
});

test('work that fails gives its turn to the next', async () => {
  const turns = atMost(1);
  const failure = turns(() => Promise.reject(new Error('first')));
  const next = turns(async () => 'second');
  await assert.rejects(failure, { message: 'first' });
  assert.equal(await next, 'second');
});
