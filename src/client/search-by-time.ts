/** The offsets that a queue has: `min` up to, not including, `max`. */
export interface OffsetRange {
  readonly min: bigint;
  readonly max: bigint;
}

/**
 * The first offset whose message was stored at or after a time; `max` when all are older. Looks
 * around a hint first, so that a good one costs two or three reads.
 * @param storeTimeAt epoch ms; undefined for a record that cannot be read, which counts as not older
 */
export async function firstAtOrAfter(
  timestamp: number,
  hint: bigint,
  { min, max }: OffsetRange,
  storeTimeAt: (offset: bigint) => Promise<number | undefined>,
): Promise<bigint> {
  if (min >= max) return max;
  const isOlder = async (offset: bigint): Promise<boolean> =>
    ((await storeTimeAt(offset)) ?? timestamp) < timestamp;
  const start = hint < min ? min : hint >= max ? max - 1n : hint;
  // All before `first` are older, none from `last` on is.
  let first = min;
  let last = max;
  if (await isOlder(start)) {
    first = start + 1n;
    for (let step = 1n; start + step < max; step *= 2n) {
      if (!(await isOlder(start + step))) {
        last = start + step;
        break;
      }
      first = start + step + 1n;
    }
  } else {
    last = start;
    for (let step = 1n; start - step >= min; step *= 2n) {
      if (await isOlder(start - step)) {
        first = start - step + 1n;
        break;
      }
      last = start - step;
    }
  }
  while (first < last) {
    const middle = (first + last) / 2n;
    if (await isOlder(middle)) first = middle + 1n;
    else last = middle;
  }
  return first;
}
