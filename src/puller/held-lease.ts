import { mayAct, takersClockAhead } from '../decide/lease/lease.ts';
import type { Lease } from '../model/assignment.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { QueueCounts } from './queue-counts.ts';

interface LeaseParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'loseLease'>;
  readonly counts: Pick<QueueCounts, 'count'>;
}

/** The lease of one queue, from its acquisition until it is lost or released. */
export class HeldLease {
  readonly #parts: LeaseParts;
  #lease: Lease;
  #isReleased = false;

  constructor(lease: Lease, parts: LeaseParts) {
    this.#lease = lease;
    this.#parts = parts;
  }

  get current(): Lease {
    return this.#lease;
  }

  /** Lost or released: what is still under way neither uses nor renews it. */
  get isOver(): boolean {
    return this.#isReleased || this.#parts.lifecycle.isLost;
  }

  /** This holder does not act any more, because the release is written next. */
  release(): void {
    this.#isReleased = true;
  }

  /** May this holder pull, deliver, send back or commit right now? A lease that has ended may come back, see regain-lease. */
  mayAct(): boolean {
    return !this.isOver && mayAct(this.#lease, this.#parts.clock.now());
  }

  /** @param leaseUntil epoch ms */
  extend(leaseUntil: number): void {
    this.#lease = { ...this.#lease, leaseUntil };
  }

  /** Everything stops at once, nothing is committed or sent back. */
  lose(why: string, takenOver: boolean): void {
    const { lifecycle, counts } = this.#parts;
    if (this.isOver) return;
    counts.count('LostLeases');
    if (why === 'taken-over') this.#nameSkew();
    lifecycle.loseLease(takenOver, { why, code: 'ROCKETMQ_LEASE_LOST' });
  }

  /** By this clock nobody could take the lease over yet: what is delivered may be delivered again. */
  #nameSkew(): void {
    const { clock, counts, logger } = this.#parts;
    const aheadMs = takersClockAhead(this.#lease, clock.now());
    if (aheadMs === undefined) return;
    counts.count('ClockSkewCount');
    logger.error(
      { code: 'ROCKETMQ_CLOCK_SKEW', aheadMs },
      'lease taken over before its end, the clock of the other invocation is ahead',
    );
  }
}
