import { leaseUntil, mayAct } from '../decide/lease/lease.ts';
import type { Lease, SlotPlace } from '../model/assignment.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseKey } from '../ports/assignment-store.ts';
import { acquireLease, type MayReplace } from '../puller/hold-lease.ts';
import type { PullerDeps, PullerOptions } from '../puller/puller-deps.ts';

/** What the seat's item asks of its holder. */
export type SeatNews = 'kept' | 'successor' | 'paused' | 'lost';

/** The right to be the slot's member of the group: a lease like a queue's. */
export class Seat {
  readonly #deps: PullerDeps;
  readonly #key: LeaseKey<SlotPlace>;
  /**
   * Until when functions that earlier holders called may still run, epoch ms: one died, or could not
   * wait for them. undefined: none can.
   */
  readonly handlersRunUntil: number | undefined;
  #lease: Lease;

  private constructor(
    deps: PullerDeps,
    key: LeaseKey<SlotPlace>,
    lease: Lease,
    handlersRunUntil: number | undefined,
  ) {
    this.handlersRunUntil = handlersRunUntil;
    this.#deps = deps;
    this.#key = key;
    this.#lease = lease;
  }

  /**
   * Waits for the holder to leave, as its successor. undefined: lease not acquired.
   * @param mayReplace see acquireLease
   * @param handlerTimeoutMs how long functions that a dead holder called may run; undefined: they are not waited for
   */
  static async take(
    deps: PullerDeps,
    options: PullerOptions,
    source: SourceConfig,
    slot: number,
    handlerTimeoutMs?: number,
    mayReplace?: MayReplace,
  ): Promise<Seat | undefined> {
    const queue: SlotPlace = { slot };
    const answer = await acquireLease(
      { ...deps, store: deps.store.slots },
      options,
      source,
      slot,
      queue,
      handlerTimeoutMs,
      mayReplace,
    );
    const lease = answer.applied ? answer.assignment.lease : undefined;
    if (lease === undefined) return undefined;
    const { cluster, consumerGroup } = source;
    return new Seat(
      deps,
      { cluster, consumerGroup, queue, holder: lease.holder, fence: lease.fence },
      lease,
      answer.applied ? answer.assignment.handlersRunUntil : undefined,
    );
  }

  mayAct(): boolean {
    return mayAct(this.#lease, this.#deps.clock.now());
  }

  async renew(): Promise<SeatNews> {
    const now = this.#deps.clock.now();
    const until = leaseUntil(now, this.#lease.endsAt);
    // A table that cannot be reached leaves the lease as it is, until it ends.
    const answer = await this.#deps.store.slots
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

  /** @param handlersRunUntil for the next holder, see the field; undefined: no handler can still run */
  async release(handlersRunUntil?: number): Promise<void> {
    await this.#deps.store.slots
      .release({ ...this.#key, ...(handlersRunUntil === undefined ? {} : { handlersRunUntil }) })
      .catch((error: unknown) => {
        this.#deps.logger.warn({ err: error }, 'failed to release the slot lease, it will expire');
      });
  }
}
