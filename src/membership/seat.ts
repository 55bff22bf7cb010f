import { leaseUntil, mayAct } from '../decide/lease/lease.ts';
import type { CrashRecord, Lease } from '../model/assignment.ts';
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
  /** What the holder before has left behind. */
  readonly #crash: CrashRecord | undefined;
  #lease: Lease;

  private constructor(
    deps: PullerDeps,
    key: LeaseKey,
    lease: Lease,
    crash: CrashRecord | undefined,
  ) {
    this.#crash = crash;
    this.#deps = deps;
    this.#key = key;
    this.#lease = lease;
  }

  /** Waits for the holder to leave, as its successor. Undefined: it is not to be had. */
  static async take(
    deps: PullerDeps,
    options: PullerOptions,
    source: SourceConfig,
    slot: number,
  ): Promise<Seat | undefined> {
    const queue = seatOf(slot);
    const answer = await acquireLease(deps, options, seatGroup(source), slot, queue);
    const lease = answer.applied ? answer.assignment.lease : undefined;
    if (lease === undefined) return undefined;
    const { cluster, consumerGroup } = seatGroup(source);
    return new Seat(
      deps,
      { cluster, consumerGroup, queue, holder: lease.holder, fence: lease.fence },
      lease,
      answer.applied ? answer.assignment.crash : undefined,
    );
  }

  mayAct(): boolean {
    return mayAct(this.#lease, this.#deps.clock.now());
  }

  async renew(): Promise<SeatNews> {
    const now = this.#deps.clock.now();
    const until = leaseUntil(now, this.#lease.endsAt);
    // A table that cannot be reached leaves the lease as it is, until it ends.
    const answer = await this.#deps.store
      .renew({ ...this.#key, leaseUntil: until })
      .catch(() => undefined);
    if (answer === undefined) return this.mayAct() ? 'kept' : 'lost';
    if (!answer.applied) return 'lost';
    this.#lease = { ...this.#lease, leaseUntil: until };
    const { successor, pausedUntil } = answer.assignment;
    if (pausedUntil !== undefined && pausedUntil > now) return 'paused';
    return successor !== undefined && successor.until > now && successor.holder !== this.#key.holder
      ? 'successor'
      : 'kept';
  }

  /**
   * Until when functions that earlier holders had called may still be at work, epoch ms: one died, or left without waiting for them. Undefined: none is.
   * @param longestMs the longest that one may run
   */
  othersRunUntil(longestMs: number): number | undefined {
    if (this.#crash === undefined) return undefined;
    const { count, isolateUntil } = this.#crash;
    return count === 0 && isolateUntil > 0n
      ? Number(isolateUntil)
      : this.#lease.acquiredAt + longestMs;
  }

  /** @param runUntil see othersRunUntil, for whoever comes next; 'unknown': as long as they may from then on */
  async release(runUntil?: number | 'unknown'): Promise<void> {
    // Without a death the record, which has no offsets to tell of a seat, has the time.
    const isolateUntil = typeof runUntil === 'number' ? BigInt(Math.ceil(runUntil)) : 0n;
    const crash = runUntil === undefined ? {} : { crash: { offset: 0n, count: 0, isolateUntil } };
    await this.#deps.store.release({ ...this.#key, ...crash }).catch((error: unknown) => {
      this.#deps.logger.warn(
        { err: error },
        'could not release the seat: its lease ends by itself',
      );
    });
  }
}
