import { mayAct } from '../decide/lease/lease.ts';
import type { Lease } from '../model/assignment.ts';
import type { Clock } from '../ports/clock.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { QueueCounts } from './queue-counts.ts';

interface LeaseParts {
  readonly clock: Clock;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'loseLease'>;
  readonly counts: Pick<QueueCounts, 'count'>;
}

/** The lease of one queue, from its acquisition until it is lost or released. */
export class HeldLease {
  readonly #parts: LeaseParts;
  #lease: Lease;

  constructor(lease: Lease, parts: LeaseParts) {
    this.#lease = lease;
    this.#parts = parts;
  }

  get current(): Lease {
    return this.#lease;
  }

  /** May this holder pull, deliver, send back or commit right now? A lease that has ended may come back, see regain-lease. */
  mayAct(): boolean {
    const { clock, lifecycle } = this.#parts;
    return !lifecycle.isLost && mayAct(this.#lease, clock.now());
  }

  /** @param leaseUntil epoch ms */
  extend(leaseUntil: number): void {
    this.#lease = { ...this.#lease, leaseUntil };
  }

  /** Everything stops at once, nothing is committed or sent back. */
  lose(why: string, takenOver: boolean): void {
    const { lifecycle, counts } = this.#parts;
    if (lifecycle.isLost) return;
    counts.count('LostLeases');
    lifecycle.loseLease(takenOver, { why, code: 'ROCKETMQ_LEASE_LOST' });
  }
}
