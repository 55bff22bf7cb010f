import type { Lease } from './assignment.ts';

/** Clocks of two sandboxes may differ by this much, ms, without costing a repetition or a start. */
export const MAX_CLOCK_SKEW_MS = 30_000;

/** When a lease of another holder has ended for the one that wants it, epoch ms. */
export interface EndedBefore {
  readonly endedBefore: number;
  readonly deadlineBefore: number;
}

/** A lease that ended before it began, both by its holder's clock, was never live. */
export function mayTakeOver(
  { acquiredAt, leaseUntil, endsAt }: Pick<Lease, 'acquiredAt' | 'leaseUntil' | 'endsAt'>,
  { endedBefore, deadlineBefore }: EndedBefore,
): boolean {
  if (leaseUntil < acquiredAt) return true;
  return leaseUntil < (leaseUntil < endsAt ? endedBefore : deadlineBefore);
}
