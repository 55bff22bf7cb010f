import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CutMap } from '../../../src/model/cut-map.ts';

test('is a map', () => {
  const map = new CutMap<number, { readonly name: string }>();
  const [first, second] = [{ name: 'first' }, { name: 'second' }];
  map.set(1, first);
  map.set(2, second);
  assert.equal(map.size, 2);
  assert.equal(map.get(1), first);
  assert.equal(map.has(2), true);
  assert.equal(map.delete(1), true);
  assert.equal(map.delete(1), false);
  assert.equal(map.get(1), undefined);
  assert.deepEqual([...map.values()], [second]);
});

test('a key that is set again has its new value', () => {
  const map = new CutMap<string, { readonly n: number }>();
  map.set('a', { n: 1 });
  map.set('a', { n: 2 });
  assert.equal(map.size, 1);
  assert.deepEqual([...map.values()], [{ n: 2 }]);
});

test('values that leave while they are gone through are passed over', () => {
  const map = new CutMap<number, { readonly n: number }>();
  for (let n = 0; n < 100; n++) map.set(n, { n });
  const seen: number[] = [];
  for (const { n } of map.values()) {
    seen.push(n);
    map.delete(n + 1);
  }
  assert.equal(seen.length, 50);
  assert.equal(map.size, 50);
});
