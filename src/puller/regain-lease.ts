import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { LeaseKeeper } from './lease-keeper.ts';

interface RegainParts {
  readonly lease: Pick<HeldLease, 'mayAct' | 'lose' | 'isOver'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'stop'>;
}

/**
 * Renews a lease that ended while the process stood still (an inline handler that blocks, a frozen
 * sandbox). It is still this holder's unless another one took over: every acquisition raises the
 * fencing token, so a renewal with the old one is applied only then. What was delivered may be
 * settled afterwards, and the queue drains.
 */
export class LeaseRegain {
  readonly #parts: RegainParts;
  #underWay: Promise<void> | undefined;

  constructor(parts: RegainParts) {
    this.#parts = parts;
  }

  /** Does this holder have its lease? One that has ended is renewed once, or it is lost. */
  async holdsLease(): Promise<boolean> {
    const { lease } = this.#parts;
    if (lease.mayAct()) return true;
    if (lease.isOver) return false;
    this.#underWay ??= this.#regain().finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
    return lease.mayAct();
  }

  async #regain(): Promise<void> {
    const { lease, leaseKeeper, lifecycle } = this.#parts;
    await leaseKeeper.renew();
    // Released meanwhile: it is not lost.
    if (lease.isOver) return;
    if (lease.mayAct()) lifecycle.stop('stalled');
    else lease.lose('it could not be renewed in time', false);
  }
}
