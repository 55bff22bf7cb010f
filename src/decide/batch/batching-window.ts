/**
 * A batch is filled from a backlog for at most this long, ms. Only the pulls of a queue take the time,
 * a few ms each; filters that drop most of it, or a broker that is slow, must not hold the batch.
 */
export const FILL_MS = 2_000;

/**
 * Until when a batch waits to become full, epoch ms; undefined: it does not wait any longer.
 * @param waiting what could go into it: messages, bytes of their bodies, since when its first one is
 *   there, and since when it is filled from a backlog (undefined: the broker has no more)
 */
export function waitsUntil(
  waiting: {
    readonly count: number;
    readonly bytes: number;
    readonly since: number;
    readonly fillsSince?: number | undefined;
  },
  wanted: {
    readonly batchSize: number;
    /** undefined: its handler takes events of any size. */
    readonly maxBytes: number | undefined;
    readonly windowMs: number;
  },
  now: number,
): number | undefined {
  const { batchSize, maxBytes, windowMs } = wanted;
  if (waiting.count >= batchSize) return undefined;
  if (maxBytes !== undefined && waiting.bytes >= maxBytes) return undefined;
  const { fillsSince } = waiting;
  const windowEnds = waiting.since + windowMs;
  const until = fillsSince === undefined ? windowEnds : Math.max(windowEnds, fillsSince + FILL_MS);
  return until > now ? until : undefined;
}
