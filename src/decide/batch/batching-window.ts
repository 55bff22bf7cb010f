/**
 * Until when a batch waits to become full, epoch ms; undefined: it is not to wait any longer.
 * @param waiting what could go into it: messages, bytes of their bodies, and since when its first one is there
 */
export function waitsUntil(
  waiting: { readonly count: number; readonly bytes: number; readonly since: number },
  wanted: { readonly batchSize: number; readonly maxBytes: number; readonly windowMs: number },
  now: number,
): number | undefined {
  if (waiting.count >= wanted.batchSize || waiting.bytes >= wanted.maxBytes) return undefined;
  const until = waiting.since + wanted.windowMs;
  return until > now ? until : undefined;
}
