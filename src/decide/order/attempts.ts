import type { Attempts } from '../../model/assignment.ts';

/** Bounds the item: about 4 KB at most, also when a handler fails for every key of a queue. */
export const MOST_ATTEMPTS = 256;

/**
 * The failed deliveries to keep for whoever holds the queue next.
 * @param entries unfinished messages
 * @param loaded what the holder before left; still true of messages that were not pulled again yet
 * @param nextOffset where the next pull begins
 */
export function attemptsToKeep(
  entries: Iterable<{ readonly offset: bigint; readonly localRetries: number }>,
  loaded: Attempts,
  nextOffset: bigint,
): Attempts {
  const kept: [bigint, number][] = [];
  for (const { offset, localRetries } of entries)
    if (localRetries > 0) kept.push([offset, localRetries]);
  for (const [offset, count] of loaded) if (offset >= nextOffset) kept.push([offset, count]);
  if (kept.length > MOST_ATTEMPTS) {
    // Those nearest to their limit matter most; the others begin anew, and reach it later.
    kept.sort(([a, aCount], [b, bCount]) => bCount - aCount || (a < b ? -1 : 1));
    kept.length = MOST_ATTEMPTS;
  }
  return new Map(kept);
}
