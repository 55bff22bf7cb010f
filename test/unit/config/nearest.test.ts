import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { editDistance, nearest } from '../../../src/config/nearest.ts';

const OPTIONS = [
  'consumerGroup',
  'topic',
  'cluster',
  'filter',
  'batchSize',
  'parallelizationFactor',
  'startingPosition',
  'startingPositionTimestamp',
  'enabled',
];

for (const [typed, meant] of [
  ['batchsize', 'batchSize'],
  ['batch_size', 'batchSize'],
  ['bacthSize', 'batchSize'],
  ['consumergroup', 'consumerGroup'],
  ['consumerGroupId', 'consumerGroup'],
  ['topics', 'topic'],
  ['enable', 'enabled'],
  ['startingPositionTimeStamp', 'startingPositionTimestamp'],
  ['parallelisationFactor', 'parallelizationFactor'],
] as const)
  test(`${typed} is near ${meant}`, () => assert.equal(nearest(typed, OPTIONS), meant));

test('a word that resembles nothing has no nearest', () => {
  assert.equal(nearest('pollInterval', OPTIONS), undefined);
  assert.equal(nearest('x', OPTIONS), undefined);
  assert.equal(nearest('x', []), undefined);
});

test('the edit distance is a distance, and one edit or swap is 1 far', () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      assert.equal(editDistance(a, a), 0);
      assert.equal(editDistance(a, b), editDistance(b, a));
      assert.ok(editDistance(a, b) >= Math.abs(a.length - b.length));
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
    }),
  );
  fc.assert(
    fc.property(fc.string({ minLength: 2, maxLength: 12 }), fc.nat(10), (a, at) => {
      const i = at % (a.length - 1);
      assert.equal(editDistance(a, a.slice(0, i) + a.slice(i + 1)), 1);
      const swapped = a.slice(0, i) + a[i + 1] + a[i] + a.slice(i + 2);
      assert.equal(editDistance(a, swapped), swapped === a ? 0 : 1);
    }),
  );
});
