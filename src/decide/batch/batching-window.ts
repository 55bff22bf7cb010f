/**
 * Until when a batch waits to become full, epoch ms; undefined: it is not to wait any longer.
 * @param waiting what could go into it: messages, bytes of their bodies, and since when its first one is there
 */
export function waitsUntil(
  waiting: { readonly count: number; readonly bytes: number; readonly since: number },
  wanted: {
    readonly batchSize: number;
    /** undefined: its handler takes events of any size. */
    readonly maxBytes: number | undefined;
    readonly windowMs: number;
  },
  now: number,
): number | undefined {
  const { batchSize, maxBytes } = wanted;
  if (waiting.count >= batchSize) return undefined;
  if (maxBytes !== undefined && waiting.bytes >= maxBytes) return undefined;
  const until = waiting.since + wanted.windowMs;
  return until > now ? until : undefined;
}
