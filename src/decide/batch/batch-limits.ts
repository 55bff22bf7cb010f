import type { BatchLimit } from '../../model/assignment.ts';

/** Bounds the item. Each step is half of another one, so that more are hardly ever needed. */
export const MAX_STEPS = 16;

/** Most messages in a batch with the message at an offset; undefined: as many as in any. */
export function maxMessagesAt(limits: readonly BatchLimit[], offset: bigint): number | undefined {
  return limits.find(({ until }) => offset < until)?.maxMessages;
}

/** The smaller of two bounds. undefined: there is none. */
export function smaller(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

/**
 * The limits after a batch failed as a whole: its messages, and what lies before them, are delivered
 * in batches of at most `maxMessages`. Without this record the next holder would begin with the
 * whole batch again, and a handler that fails slowly would never get further.
 * @param last offset of the batch's last message
 */
export function narrowLimits(
  limits: readonly BatchLimit[],
  last: bigint,
  maxMessages: number,
): readonly BatchLimit[] {
  const until = last + 1n;
  const below = limits
    .filter((step) => step.until < until)
    .map((step) => ({ ...step, maxMessages: Math.min(step.maxMessages, maxMessages) }));
  const above = limits.filter((step) => step.until > until);
  const here = Math.max(1, Math.min(maxMessages, maxMessagesAt(limits, last) ?? maxMessages));
  return mergeSteps([...below, { until, maxMessages: here }, ...above]);
}

/** The limits without those of messages that have their end. */
export function limitsFrom(
  limits: readonly BatchLimit[],
  committable: bigint,
): readonly BatchLimit[] {
  return limits.some(({ until }) => until <= committable)
    ? limits.filter(({ until }) => until > committable)
    : limits;
}

/** Neighbours with the same limit are one step; beyond the most steps the lowest ones are joined, at the smaller limit. */
function mergeSteps(steps: readonly BatchLimit[]): readonly BatchLimit[] {
  const merged = steps.filter(
    ({ maxMessages }, index) => steps[index + 1]?.maxMessages !== maxMessages,
  );
  while (merged.length > MAX_STEPS) {
    const [first, second] = merged as [BatchLimit, BatchLimit];
    merged.splice(0, 2, {
      until: second.until,
      maxMessages: Math.min(first.maxMessages, second.maxMessages),
    });
  }
  return merged;
}
