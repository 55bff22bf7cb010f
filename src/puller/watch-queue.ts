import { mustGiveUp, workTime } from '../decide/budget/time-budget.ts';
import { renewalDue } from '../decide/lease/lease.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { BackgroundWrites } from './background-writes.ts';
import type { ConsumeTimeouts } from './consume-timeout.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { HeldLease } from './held-lease.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueActivity } from './queue-activity.ts';

/** How often the clock is looked at. */
const TICK_MS = 250;
/** A renewal that failed is tried again soon. */
const RENEW_AGAIN_MS = 2_000;
const SAVE_ATTEMPTS_MS = 1_000;

interface WatchParts
  extends Pick<PullerDeps, 'clock' | 'remainingMs' | 'share'>,
    RenewalParts,
    IdleParts {
  readonly logger: Logger;
  readonly options: Pick<PullerOptions, 'idleTimeoutMs' | 'renewIntervalMs' | 'reserveMs'>;
  readonly wakeup: Wakeup;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'stop' | 'abortHandlers'>;
  /** Renews a lease that has ended. */
  readonly holdsLease: () => Promise<boolean>;
  readonly timeouts: Pick<ConsumeTimeouts, 'check'>;
  /** Prolongs the time of popped messages. */
  readonly prolong: () => void;
  /** Notes whether there are messages in hand. */
  readonly noteLoad: () => void;
}

/** Renews the lease and watches the clock, until all loops have ended: also while they drain. */
export async function watchQueue(parts: WatchParts, loops: Promise<unknown>): Promise<void> {
  const { wakeup, lifecycle, logger } = parts;
  const renewals = new Renewals(parts);
  let done = false;
  let hasFailed = false;
  const onEnd = (): void => {
    done = true;
    wakeup.all();
  };
  // Whoever awaits the loops gets their error.
  loops.then(onEnd, onEnd);
  while (!done) {
    await wakeup.wait(TICK_MS);
    if (done) continue;
    try {
      look(parts, renewals);
    } catch (error) {
      // The clock is watched all the same, until what is in flight has its end.
      if (!hasFailed)
        logger.error({ err: error, code: 'ROCKETMQ_INTERNAL' }, 'watch of the queue failed');
      hasFailed = true;
      lifecycle.stop('error');
    }
  }
}

function look(parts: WatchParts, renewals: Renewals): void {
  const { lease, timeouts, writes } = parts;
  checkTime(parts);
  if (lease.mayAct()) {
    renewals.renewWhenDue();
    checkIdle(parts);
    parts.prolong();
    timeouts.check();
  } else writes.begin('regain', async () => void (await parts.holdsLease()));
  // A handler may take minutes, in which nothing changes.
  parts.noteLoad();
}

function checkTime({ lifecycle, remainingMs, options }: WatchParts): void {
  if (workTime(remainingMs(), options.reserveMs) <= 0) lifecycle.stop('deadline');
  if (mustGiveUp(remainingMs(), options.reserveMs)) lifecycle.abortHandlers();
}

interface IdleParts extends Pick<PullerDeps, 'share'> {
  readonly options: Pick<PullerOptions, 'idleTimeoutMs'>;
  readonly queue: MessageQueue;
  readonly messages: Pick<ProcessQueue, 'count'>;
  readonly memory: Pick<QueueMemory, 'waits'>;
  readonly offsets: Pick<OffsetKeeper, 'resetPending'>;
  readonly activity: Pick<QueueActivity, 'isIdle' | 'isReachable'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'stop'>;
}

function checkIdle(parts: IdleParts): void {
  const { share, options, queue, messages, memory, offsets, activity, lifecycle } = parts;
  const idle =
    messages.count === 0 &&
    activity.isIdle(options.idleTimeoutMs) &&
    !offsets.resetPending &&
    !memory.waits;
  const mayEnd = share?.allIdle(queueKey(queue), idle) ?? true;
  if (idle && mayEnd) lifecycle.stop(activity.isReachable ? 'idle' : 'unreachable');
}

interface RenewalParts extends Pick<PullerDeps, 'clock'> {
  readonly options: Pick<PullerOptions, 'renewIntervalMs'>;
  readonly attempts: Pick<LocalAttempts, 'isUnsaved'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly writes: BackgroundWrites;
}

/** The table may take seconds to answer, in which the clock is still watched: renewals go on beside the watch. */
class Renewals {
  readonly #parts: RenewalParts;
  #renewedAt: number;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
    this.#renewedAt = parts.clock.now();
  }

  renewWhenDue(): void {
    const { attempts, clock, options, writes } = this.#parts;
    const now = clock.now();
    // Attempts that nobody else knows of are written within a second: a death forgets no more.
    const saves = attempts.isUnsaved && now - this.#renewedAt >= SAVE_ATTEMPTS_MS;
    if (saves || renewalDue(this.#renewedAt, now, options.renewIntervalMs))
      writes.begin('renewal', () => this.#renew(now));
  }

  async #renew(now: number): Promise<void> {
    const { leaseKeeper, options } = this.#parts;
    const intervalMs = options.renewIntervalMs;
    const isAnswered = await leaseKeeper.renew();
    this.#renewedAt = isAnswered ? now : now - intervalMs + Math.min(RENEW_AGAIN_MS, intervalMs);
  }
}
