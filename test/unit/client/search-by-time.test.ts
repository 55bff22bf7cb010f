import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstAtOrAfter } from '../../../src/client/search-by-time.ts';

describe('firstAtOrAfter', () => {
  /** Ten old messages, a batch of twenty with one time, five later ones: offsets 3 to 37. */
  const times = [
    ...Array.from({ length: 10 }, (_, n) => 100 + n),
    ...Array.from({ length: 20 }, () => 500),
    ...Array.from({ length: 5 }, (_, n) => 600 + n),
  ];
  const range = { min: 3n, max: 38n };
  let reads = 0;
  const storeTimeAt = async (offset: bigint): Promise<number | undefined> => {
    reads++;
    return times[Number(offset - 3n)];
  };

  it('finds it from any hint, also from one outside the queue', async () => {
    for (let hint = -1n; hint <= 40n; hint++)
      for (const timestamp of [0, 100, 105, 110, 499, 500, 501, 604, 605, 10_000]) {
        const index = times.findIndex((time) => time >= timestamp);
        const expected = index === -1 ? range.max : range.min + BigInt(index);
        assert.equal(
          await firstAtOrAfter(timestamp, hint, range, storeTimeAt),
          expected,
          `${timestamp} from ${hint}`,
        );
      }
  });

  it('reads little when the hint is good', async () => {
    reads = 0;
    await firstAtOrAfter(500, 13n, range, storeTimeAt);
    assert.equal(reads, 2);
  });

  it('takes what cannot be read for not older, so that it is not skipped', async () => {
    assert.equal(
      await firstAtOrAfter(500, 5n, range, async (offset) =>
        offset === 12n ? undefined : storeTimeAt(offset),
      ),
      12n,
    );
  });

  it('answers the end of an empty queue', async () => {
    assert.equal(await firstAtOrAfter(1, 0n, { min: 5n, max: 5n }, storeTimeAt), 5n);
  });
});
