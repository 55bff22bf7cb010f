export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Exponential back-off with equal jitter: half of the step is certain, half is chance.
 * @param attempt 1 after the first failure
 * @param random 0 ≤ r < 1
 */
export function backoff(attempt: number, random: number, { firstMs, longestMs }: Backoff): number {
  const step = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return step / 2 + (step / 2) * random;
}
