/** ConsumeMessageOrderlyService clamps what it is told. */
export const SHORTEST_SUSPENSION_MS = 10;
export const LONGEST_SUSPENSION_MS = 30_000;

/** What serializers of other languages write for what was not said; -1 is Java's word for it. */
const NOT_SAID: readonly unknown[] = [undefined, null, '', 0, -1];

/** How long a handler's answer wants its order to wait: `suspendCurrentQueueTimeMillis`, clamped. undefined: it does not say. @param answer as `plainAnswer` returned it */
export function readSuspension(answer: unknown): number | 'invalid' | undefined {
  let millis: unknown;
  try {
    millis = (answer as { suspendCurrentQueueTimeMillis?: unknown } | null | undefined)
      ?.suspendCurrentQueueTimeMillis;
  } catch {
    return 'invalid';
  }
  if (NOT_SAID.includes(millis)) return undefined;
  if (typeof millis !== 'number' || !Number.isInteger(millis)) return 'invalid';
  return Math.min(LONGEST_SUSPENSION_MS, Math.max(SHORTEST_SUSPENSION_MS, millis));
}
