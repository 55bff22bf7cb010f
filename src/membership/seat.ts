import { leaseUntil, mayAct } from '../decide/lease/lease.ts';
import type { Lease } from '../model/assignment.ts';
import { seatGroup, seatOf } from '../model/membership.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseKey } from '../ports/assignment-store.ts';
import { acquireLease } from '../puller/hold-lease.ts';
import type { PullerDeps, PullerOptions } from '../puller/puller-deps.ts';

/** What the seat's item asks of its holder. */
export type SeatNews = 'kept' | 'successor' | 'paused' | 'lost';

/** The right to be the slot's member of the group: a lease like a queue's. */
export class Seat {
  readonly #deps: PullerDeps;
  readonly #key: LeaseKey;
  /** Functions that the holder before had called may still be at work: it died, or left without waiting for them. */
  readonly afterDeath: boolean;
  #lease: Lease;

  private constructor(deps: PullerDeps, key: LeaseKey, lease: Lease, afterDeath: boolean) {
    this.afterDeath = afterDeath;
    this.#deps = deps;
    this.#key = key;
    this.#lease = lease;
  }

  /** Waits for the holder to leave, as its successor. Undefined: it is not to be had. */
  static async take(deps: PullerDeps, options: PullerOptions, source: SourceConfig, slot: number): Promise<Seat | undefined> {
    const queue = seatOf(slot);
    const answer = await acquireLease(deps, options, seatGroup(source), slot, queue);
    const lease = answer.applied ? answer.assignment.lease : undefined;
    if (lease === undefined) return undefined;
    const { cluster, consumerGroup } = seatGroup(source);
    return new Seat(
      deps,
      { cluster, consumerGroup, queue, holder: lease.holder, fence: lease.fence },
      lease,
      answer.applied && answer.assignment.crash !== undefined,
    );
  }

  mayAct(): boolean {
    return mayAct(this.#lease, this.#deps.clock.now());
  }

  async renew(): Promise<SeatNews> {
    const now = this.#deps.clock.now();
    const until = leaseUntil(now, this.#lease.endsAt);
    // A table that cannot be reached leaves the lease as it is, until it ends.
    const answer = await this.#deps.store.renew({ ...this.#key, leaseUntil: until }).catch(() => undefined);
    if (answer === undefined) return this.mayAct() ? 'kept' : 'lost';
    if (!answer.applied) return 'lost';
    this.#lease = { ...this.#lease, leaseUntil: until };
    const { successor, pausedUntil } = answer.assignment;
    if (pausedUntil !== undefined && pausedUntil > now) return 'paused';
    return successor !== undefined && successor.until > now && successor.holder !== this.#key.holder ? 'successor' : 'kept';
  }

  /** @param mayStillRun see afterDeath, for whoever comes next */
  async release(mayStillRun = false): Promise<void> {
    const crash = mayStillRun ? { crash: { offset: 0n, count: 0, isolateUntil: 0n } } : {};
    await this.#deps.store.release({ ...this.#key, ...crash }).catch((error: unknown) => {
      this.#deps.logger.warn({ err: error }, 'could not release the seat: its lease ends by itself');
    });
  }
}
