import type { Lease } from '../../model/assignment.ts';
import { type EndedBefore, MAX_CLOCK_SKEW_MS, mayTakeOver } from '../../model/clock-skew.ts';

/** How long a lease lasts without renewal: a queue whose holder was killed waits at most this long. */
export const LEASE_DURATION_MS = 30_000;

/** Two renewals in a row may fail (at 10 s and 20 s) before the holder has to stop at 25 s. Also how soon a holder sees a move, a pause or a successor. */
export const RENEW_INTERVAL_MS = 10_000;

/**
 * The holder stops this long before the lease ends. It has to cover a commit that was sent in the last moment, and what a
 * renewal takes. Clocks that differ have a margin of their own, TAKEOVER_MARGIN_MS.
 */
export const SAFETY_MARGIN_MS = 5_000;

/**
 * Another invocation takes a lease over this long after its end, by its own clock. With RENEW_INTERVAL_MS a lease that is
 * renewed has 20 s left at least, so that a clock that is ahead by up to MAX_CLOCK_SKEW_MS takes no live lease. One that is
 * cut by its invocation's deadline has nothing left: it has the whole MAX_CLOCK_SKEW_MS.
 */
export const TAKEOVER_MARGIN_MS = 15_000;

/**
 * When the lease of a holder that vanished has ended for another process, by that one's clock: an
 * invocation that acquires, or an operator that writes an offset.
 */
export function endedFor(now: number): EndedBefore {
  return { endedBefore: now - TAKEOVER_MARGIN_MS, deadlineBefore: now - MAX_CLOCK_SKEW_MS };
}

/** May a holder still act under the lease, as far as another process can tell? */
export function mayBeHeld(lease: Lease | undefined, now: number): boolean {
  return lease !== undefined && !mayTakeOver(lease, endedFor(now));
}

/**
 * By how much the clock of a lease's holder is ahead, at least, ms; undefined: within MAX_CLOCK_SKEW_MS, as far as the
 * lease shows it. No lease ends later than LEASE_DURATION_MS from when it was written.
 */
export function holdersClockAhead(
  { leaseUntil }: Pick<Lease, 'leaseUntil'>,
  now: number,
): number | undefined {
  const aheadMs = leaseUntil - now - LEASE_DURATION_MS;
  return aheadMs > MAX_CLOCK_SKEW_MS ? aheadMs : undefined;
}

/**
 * By how much the clock of the invocation that took a lease over is ahead, at least, ms; undefined: the lease could be
 * taken over by the clock of the holder that lost it, too.
 */
export function takersClockAhead(
  { leaseUntil }: Pick<Lease, 'leaseUntil'>,
  now: number,
): number | undefined {
  const aheadMs = leaseUntil - endedFor(now).endedBefore;
  return aheadMs > 0 ? aheadMs : undefined;
}

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
