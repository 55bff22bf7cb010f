import type { Lease } from '../../model/assignment.ts';

/** How long a lease lasts without renewal: a queue whose holder was killed waits at most this long. */
export const LEASE_DURATION_MS = 30_000;

/** Two renewals in a row may fail (at 10 s and 20 s) before the holder has to stop at 25 s. Also how soon a holder sees a move, a pause or a successor. */
export const RENEW_INTERVAL_MS = 10_000;

/**
 * The holder stops this long before the lease ends. It has to cover the clock skew between two Lambda hosts (tens of milliseconds)
 * and a commit that was sent in the last moment: give commits a timeout of at most 3 s, so that 2 s remain for the skew.
 */
export const SAFETY_MARGIN_MS = 5_000;

/** May the holder pull, deliver or commit now? `now` is the holder's own clock, the one that `leaseUntil` was made with. */
export function mayAct(
  lease: Pick<Lease, 'leaseUntil'>,
  now: number,
  margin: number = SAFETY_MARGIN_MS,
): boolean {
  return now < lease.leaseUntil - margin;
}

/** The end to write at an acquisition or renewal: never after the invocation's own deadline, so that a killed invocation's lease ends by itself. */
export function leaseUntil(
  now: number,
  endsAt: number,
  duration: number = LEASE_DURATION_MS,
): number {
  return Math.min(now + duration, endsAt);
}

/** Is it time to renew? Counted from the last renewal that was applied, not from the lease's end: a lease that is cut by the deadline is still looked at. */
export function renewalDue(
  renewedAt: number,
  now: number,
  interval: number = RENEW_INTERVAL_MS,
): boolean {
  return now - renewedAt >= interval;
}

/** Has somebody the right to work the queue now, as seen by a third party's clock? The same border as the acquisition's condition. */
export function isLive(lease: Pick<Lease, 'leaseUntil'> | undefined, now: number): lease is Lease {
  return lease !== undefined && lease.leaseUntil >= now;
}
