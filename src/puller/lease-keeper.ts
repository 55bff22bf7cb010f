import { leaseUntil } from '../decide/lease/lease.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { Assignment } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { AssignmentStore, HolderRecords, QueueMirrors } from '../ports/assignment-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { type DrainReason, stopPolicy } from '../queue/stop-reasons.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import type { OrderGate } from './queue-order.ts';
import { SharedTurns } from './shared-turns.ts';

interface LeaseKeeperParts {
  readonly store: AssignmentStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly lease: HeldLease;
  readonly lifecycle: Pick<LifecycleKeeper, 'state' | 'ending' | 'stop'>;
  readonly crash: CrashKeeper;
  readonly attempts: LocalAttempts;
  readonly batchLimits: BatchLimits;
  readonly order: OrderGate;
  readonly messages: Pick<ProcessQueue, 'unfinished' | 'nextOffset' | 'committable' | 'taken'>;
  readonly committedOffset: () => bigint;
  /** What else the assignment is to show of the queue. */
  readonly mirrors: () => Partial<QueueMirrors>;
}

/** Keeps what the assignment says of a queue up to date while it is held, and obeys what others write there. */
export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  /** An older renewal must not write its figures over those of a newer one. */
  readonly #renewals = new SharedTurns(() => this.#renew());

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  /**
   * Extends the lease, mirrors the figures, and obeys what the item says: moved, paused, retired, a successor waits.
   * Renewals take turns: one that is requested while another is under way is written after it, with the figures of then.
   * False: the table could not be reached, and the item is as it was or as it should be.
   */
  renew(): Promise<boolean> {
    return this.#renewals.run();
  }

  /** Resolves when no renewal is under way: what outlives its invocation is frozen with it. */
  settled(): Promise<void> {
    return this.#renewals.settled();
  }

  async #renew(): Promise<boolean> {
    const { store, clock, logger, source, queue, lease, crash, attempts } = this.#parts;
    if (lease.isOver) return true;
    const { holder, fence, endsAt } = lease.current;
    const until = leaseUntil(clock.now(), endsAt);
    const before = crash.record;
    const current = crash.current(this.#parts.committedOffset());
    attempts.saving();
    const kept = this.#attempts;
    const answer = await store
      .renew({
        cluster: source.cluster,
        consumerGroup: source.consumerGroup,
        queue,
        holder,
        fence,
        leaseUntil: until,
        ...this.#parts.mirrors(),
        crash: current ?? null,
        attempts: kept?.attempts ?? null,
        begunEnds: kept?.begunEnds ?? null,
        batchLimits: this.#batchLimits ?? null,
        handlersRunUntil: this.#handlersRunUntil ?? null,
      })
      .catch((error: unknown) => {
        attempts.notSaved();
        // The lease still stands until its end; the next attempt comes soon.
        logger.warn({ err: error }, 'could not renew the lease');
        return undefined;
      });
    if (answer === undefined) return false;
    // An answer that comes so late means nothing any more.
    if (lease.isOver) return true;
    if (!answer.applied) {
      lease.lose(answer.reason, true);
      return true;
    }
    if (current === undefined) crash.forget(before);
    // Never later than what the table has.
    lease.extend(Math.min(until, answer.assignment.lease?.leaseUntil ?? until));
    this.#follow(answer.assignment);
    return true;
  }

  /**
   * Reads the item between two renewals. False: the queue was moved, paused or retired, or its lease
   * taken over, so that nothing is delivered any more.
   */
  async review(): Promise<boolean> {
    const { store, logger, source, queue, lease } = this.#parts;
    const { cluster, consumerGroup } = source;
    const { holder, fence } = lease.current;
    try {
      const assignment = await store.read({ cluster, consumerGroup }, queue);
      if (assignment?.lease?.holder === holder && assignment.fence === fence) {
        const reason = this.#follow(assignment);
        return reason === undefined || reason === 'succession';
      }
      lease.lose(assignment === undefined ? 'missing' : 'taken-over', true);
      return false;
    } catch (error) {
      // As with a renewal that failed, the lease stands until its end.
      logger.warn({ err: error }, 'failed to read the assignment');
      return true;
    }
  }

  /** Gives the lease back with the final figures, if there is something to give back. From here on this holder does not act. */
  async close(): Promise<void> {
    this.#parts.lease.release();
    if (!this.#mayRelease) return;
    await this.#release().catch((error: unknown) =>
      this.#parts.logger.warn({ err: error }, 'could not release the lease: it ends by itself'),
    );
  }

  /**
   * Is there something to give back? Not after somebody took over. A lease that ran out while messages were with a handler stands as a crash,
   * so that a message that blocks its puller is counted.
   */
  get #mayRelease(): boolean {
    const { lifecycle, messages } = this.#parts;
    const { state } = lifecycle;
    return state.phase !== 'lost' || (!state.takenOver && messages.taken === 0);
  }

  /** Drains when the item says that the queue is not for this holder any more. Returns the reason. */
  #follow({ successor, pausedUntil, retiredAt, slot }: Assignment): DrainReason | undefined {
    const { lifecycle, lease, clock } = this.#parts;
    const now = clock.now();
    const own = lease.current;
    const drain = (
      reason: 'retired' | 'moved' | 'paused' | 'succession',
      fields = {},
    ): DrainReason => {
      lifecycle.stop(reason, fields);
      return reason;
    };
    if (retiredAt !== undefined) return drain('retired');
    if (slot !== own.slot) return drain('moved', { slot });
    if (pausedUntil !== undefined && pausedUntil > now) return drain('paused', { pausedUntil });
    if (successor !== undefined && successor.until > now && successor.holder !== own.holder)
      return drain('succession', { successor: successor.holder });
    return undefined;
  }

  /** A message that was delivered alone keeps its record while there is still reason to. */
  async #release(): Promise<void> {
    const { store, clock, logger, source, queue, lease, lifecycle, crash } = this.#parts;
    const { holder, fence } = lease.current;
    const { ending } = lifecycle;
    const measured = ending === undefined || stopPolicy(ending).measureHandOver;
    const runUntil = this.#handlersRunUntil;
    const left = crash.left(this.#parts.committedOffset(), {
      waits: runUntil !== undefined,
      unreachable: ending === 'unreachable' || ending === 'refused',
    });
    const kept = this.#attempts;
    const batchLimits = this.#batchLimits;
    const answer = await store.release({
      cluster: source.cluster,
      consumerGroup: source.consumerGroup,
      queue,
      holder,
      fence,
      // After a pause nobody is to be missed.
      ...(measured && { heldUntil: clock.now() }),
      ...this.#parts.mirrors(),
      ...(left && { crash: left }),
      ...kept,
      ...(batchLimits && { batchLimits }),
      ...(runUntil !== undefined && { handlersRunUntil: runUntil }),
    });
    if (!answer.applied)
      logger.warn({ reason: answer.reason }, 'the lease was gone at its release');
  }

  /** Failed deliveries that only this holder has counted, and the ends among them; undefined: none. */
  get #attempts(): Partial<Pick<HolderRecords, 'attempts' | 'begunEnds'>> | undefined {
    const { messages, committedOffset } = this.#parts;
    const attempts = this.#parts.attempts.toStore(messages, committedOffset());
    if (attempts.size === 0) return undefined;
    const begunEnds = this.#parts.attempts.endsOf(attempts);
    return { attempts, ...(begunEnds.size > 0 && { begunEnds }) };
  }

  get #batchLimits() {
    const limits = this.#parts.batchLimits.from(this.#parts.messages.committable);
    return limits.length === 0 ? undefined : limits;
  }

  /** Until when functions that were called and not waited for may run, epoch ms. */
  get #handlersRunUntil(): number | undefined {
    return this.#parts.order.handlersRunUntil(this.#parts.clock.now());
  }
}
