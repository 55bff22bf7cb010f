import type { Attempts } from '../../model/assignment.ts';

/**
 * Bounds the item: as many messages as may wait in a queue, also when no two of them are neighbours
 * with the same count. At most 60 KB with offsets of 12 digits.
 */
export const MAX_ATTEMPT_RUNS = 2_000;

/**
 * The failed deliveries to keep for whoever holds the queue next.
 * @param entries unfinished messages
 * @param loaded what the holder before left; still true of messages that were not pulled again yet
 * @param nextOffset where the next pull begins
 * @param ending messages whose end has begun, done or not, which are not committed
 */
export function attemptsToKeep(
  entries: Iterable<{ readonly offset: bigint; readonly localRetries: number }>,
  loaded: Attempts,
  nextOffset: bigint,
  ending: Attempts = new Map(),
): Attempts {
  const counts = new Map(ending);
  for (const { offset, localRetries } of entries)
    if (localRetries > 0) counts.set(offset, localRetries);
  for (const [offset, count] of loaded) if (offset >= nextOffset) counts.set(offset, count);
  return boundedRuns([...counts]);
}

/** Those nearest to their limit matter most, where there are more than the item can have. */
export function boundedRuns(counts: readonly [bigint, number][]): Attempts {
  return new Map(counts.length > MAX_ATTEMPT_RUNS ? nearestToLimit(counts) : counts);
}

/** Those nearest to their limit matter most; the others begin anew, and reach it later. */
function nearestToLimit(kept: readonly [bigint, number][]): [bigint, number][] {
  const sorted = kept.toSorted(([a, aCount], [b, bCount]) => bCount - aCount || (a < b ? -1 : 1));
  let runs = 0;
  const end = sorted.findIndex(([offset, count], index) => {
    const [offsetBefore, countBefore] = sorted[index - 1] ?? [];
    if (countBefore !== count || offsetBefore !== offset - 1n) runs++;
    return runs > MAX_ATTEMPT_RUNS;
  });
  return end < 0 ? sorted : sorted.slice(0, end);
}
