import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { KnownQueue } from './known-queue.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { PullerOptions } from './puller-deps.ts';
import type { QueueCounts } from './queue-counts.ts';
import { waitAtMost } from './wait-at-most.ts';

/** Settling to commit takes at most a second: this, and the two requests. */
export const COMMIT_INTERVAL_MS = 800;
/** BROADCASTING writes offsets into the table, where each write is paid for. */
export const BROADCAST_COMMIT_INTERVAL_MS = 5_000;
/** The stored offset is read that many times less often while the queue has no messages here. */
const QUIET_INTERVALS = 6;
/** An offset waits for its queue's mark that long. */
const MARK_WAIT_MS = 1_000;
const LAST_TRIES = 3;
const LAST_TRIES_PAUSE_MS = 200;

/** Brings the stored offset up to what is settled, and follows the offset that others store. */
export interface Commits {
  commit(): Promise<void>;
  /** The last commit before the release: what it cannot store is delivered again. */
  commitFinally(): Promise<void>;
  /** Goes on at the stored offset if somebody else changed it. False: it could not be read. */
  followStored(): Promise<boolean>;
  /** Commits again and again, until the loops have ended. */
  keep(loops: Promise<unknown>): Promise<void>;
}

/** The broker keeps account of what was popped. */
export const NO_COMMITS: Commits = {
  commit: async () => {},
  commitFinally: async () => {},
  followStored: async () => true,
  keep: async () => {},
};

interface CommitParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: Pick<PullerOptions, 'commitIntervalMs'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly known: Pick<KnownQueue, 'lifeMark'>;
  readonly source: Pick<SourceConfig, 'messageModel'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost'>;
  readonly counts: Pick<QueueCounts, 'count'>;
  readonly messages: Pick<ProcessQueue, 'count'>;
  readonly offsets: Pick<
    OffsetKeeper,
    'commit' | 'check' | 'moved' | 'resolveReset' | 'isCommitDue' | 'resetPending'
  >;
}

/**
 * Commits of what was pulled. Only while the lease allows, only forward, never over an operator's reset.
 * Mirrors RemoteBrokerOffsetStore.persist, with an answer that is read.
 */
export class OffsetCommits implements Commits {
  readonly #parts: CommitParts;
  /** The assignment has a mark of the queue's life, or it was tried to give it one. */
  #isMarked: boolean;

  constructor(parts: CommitParts) {
    this.#parts = parts;
    // BROADCASTING stores offsets in the assignment itself, no broker keeps them for another queue.
    this.#isMarked =
      parts.known.lifeMark !== undefined || parts.source.messageModel === 'BROADCASTING';
  }

  async commit(): Promise<void> {
    if (this.#isDue) await this.#markLife();
    await this.#store();
  }

  async #store(): Promise<void> {
    if (this.#isDue)
      await this.#attempt('commit failed, the next one repeats it', () =>
        this.#parts.offsets.commit(),
      );
  }

  async commitFinally(): Promise<void> {
    for (let tries = 1; ; tries++) {
      // The release brings the mark.
      await this.#store();
      if (!this.#isDue || tries === LAST_TRIES) return;
      await this.#parts.clock.sleep(LAST_TRIES_PAUSE_MS);
    }
  }

  followStored(): Promise<boolean> {
    const { offsets } = this.#parts;
    return this.#attempt('failed to read the stored offset', () => offsets.check());
  }

  /**
   * Commits what is settled within a second, so that a killed puller repeats no more than what was in
   * flight and that second, until the loops have ended: also while they drain. With nothing to commit
   * it reads the stored offset: brokers report a reset only with the answer to a pull, which a quiet
   * queue's long poll holds back for up to 20 s.
   */
  async keep(loops: Promise<unknown>): Promise<void> {
    const { clock, options, messages, offsets, lease } = this.#parts;
    const intervalMs = options.commitIntervalMs;
    const ended = new AbortController();
    const onEnd = (): void => ended.abort();
    const stopped = loops.then(onEnd, onEnd);
    let readAt = clock.now();
    while (!ended.signal.aborted) {
      await clock.sleep(intervalMs, ended.signal).catch(() => {});
      if (ended.signal.aborted || !lease.mayAct()) continue;
      const due = this.#isDue;
      // While nothing waits for its delivery here, a reset found later drops nothing but the poll.
      const readEveryMs = messages.count > 0 ? 0 : QUIET_INTERVALS * intervalMs;
      if (!due && (offsets.resetPending || clock.now() - readAt < readEveryMs)) continue;
      readAt = clock.now();
      await (due ? this.commit() : this.followStored());
    }
    await stopped;
  }

  /**
   * Goes on at an offset that a pull's answer dictates: everything pulled before is forgotten, in flight too, and the new offset is
   * stored before anything else is pulled. It may lie before the old one. Mirrors the OFFSET_ILLEGAL branch of DefaultMQPushConsumerImpl.
   * @param reset an operator's, which the broker has stored itself
   */
  async adopt(offset: bigint, reset: boolean): Promise<void> {
    this.#parts.offsets.moved(offset, reset);
    await this.commit();
  }

  /**
   * Resolves a pending reset from the stored offset, when the answer to the pull that was to report it
   * got lost: commits were dropped since, so the stored offset is the reset's.
   */
  async followReset(): Promise<void> {
    const { offsets } = this.#parts;
    await this.#attempt('failed to read the stored offset', () => offsets.resolveReset());
  }

  /**
   * The first offset of a queue is stored after the mark that shows which queue it is of. Should this
   * holder die and the topic be created again, the next one would skip messages otherwise. A table
   * that does not answer holds a commit back for a second, once: the mark comes with the next renewal.
   */
  async #markLife(): Promise<void> {
    const { known, leaseKeeper, clock } = this.#parts;
    if (this.#isMarked || known.lifeMark === undefined) return;
    this.#isMarked = true;
    await waitAtMost(clock, MARK_WAIT_MS, leaseKeeper.renew());
  }

  get #isDue(): boolean {
    const { offsets, lease } = this.#parts;
    return offsets.isCommitDue && lease.mayAct();
  }

  async #attempt(whenFailed: string, request: () => Promise<void>): Promise<boolean> {
    try {
      await request();
      return true;
    } catch (error) {
      const { lifecycle, counts, logger } = this.#parts;
      if (lifecycle.isLost) return false;
      counts.count('CommitErrorCount');
      logger.warn({ err: error, code: 'ROCKETMQ_COMMIT_FAILED' }, whenFailed);
      return false;
    }
  }
}
