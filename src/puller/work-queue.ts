import { codeOf } from '../errors.ts';
import type { Assignment, Lease } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { onAbort } from '../model/on-abort.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import { printable } from '../queue/printable.ts';
import { beforeTheEnd, drainOnError, endStep } from './background-writes.ts';
import type { BrokerLocks } from './broker-locks.ts';
import { deliverBatches } from './deliver-batches.ts';
import { findStart, type Start } from './find-start.ts';
import { holdBrokerLock, leaveBrokerLock } from './hold-broker-lock.ts';
import { acquireLease, returnLease } from './hold-lease.ts';
import { type HeldQueue, holdQueue } from './hold-queue.ts';
import {
  MOVED,
  type PullerDeps,
  type PullerOptions,
  type QueueReport,
  type StopReason,
} from './puller-deps.ts';
import { watchQueue } from './watch-queue.ts';

/** What the last writes leave of the invocation for what comes after them: the release, the return. */
const RELEASE_RESERVE_MS = 2_000;
const RETURN_RESERVE_MS = 500;
/** Popped messages have no place in the queue. */
const POP_START: Start = {
  ...{ offset: 0n, mark: undefined },
  ...{ anotherLife: false, isSetBack: false, outdatesItem: false },
};

/** One queue of an invocation. */
interface QueueRequest {
  readonly source: SourceConfig;
  readonly slot: number;
  readonly queue: MessageQueue;
  /** undefined: the source needs none. */
  readonly locks: BrokerLocks | undefined;
}

/** queue → lease → start offset → fetch, deliver and watch side by side → settle → commit → release. */
export async function workQueue(
  deps: PullerDeps,
  options: PullerOptions,
  request: QueueRequest,
): Promise<QueueReport> {
  const { source, queue } = request;
  const logger = deps.logger.child({ queue: queueKey(queue) });
  const acquired = await acquire(deps, options, request, logger);
  if (typeof acquired === 'string') return notWorked(queue, acquired);
  const { assignment, lease } = acquired;
  let start: Start;
  let known: Assignment;
  let held: HeldQueue;
  try {
    start = isPopUnit(queue) ? POP_START : await findStart(deps, source, assignment, logger);
    known = knownAt(start, assignment);
    held = holdQueue(deps, options, { source, assignment: known, lease, start });
  } catch (error) {
    logger.error({ err: error, code: codeOf(error) }, 'the queue cannot be worked now');
    await giveUp(deps, acquired, logger);
    return notWorked(queue, 'error');
  }
  try {
    await begin(held, start, known);
    deps.onQueue?.({ figures: held.figures, adopt: (offset) => held.offsets.rewind(offset) });
    await runLoops(held, request.locks);
  } catch (error) {
    logger.error({ err: error, code: codeOf(error) }, 'the queue cannot be worked now');
    held.lifecycle.stop('error');
  }
  await close(held);
  return held.report();
}

interface Acquired {
  readonly assignment: Assignment;
  readonly lease: Lease;
}

/** Why the queue is not worked, where it could not be acquired. */
async function acquire(
  deps: PullerDeps,
  options: PullerOptions,
  { source, slot, queue }: QueueRequest,
  logger: Logger,
): Promise<Acquired | 'error' | 'not-acquired'> {
  const answer = await acquireLease(deps, options, source, slot, queue).catch((error: unknown) => {
    logger.error({ err: error }, 'the table cannot be asked for the lease');
    return undefined;
  });
  if (answer === undefined) return 'error';
  if (!answer.applied) {
    if (answer.reason === 'held' || answer.reason === 'successor-waits')
      deps.meter?.count('LeaseConflicts');
    const { reason, current } = answer;
    logger.info({ reason, holder: current?.lease?.holder }, 'lease not acquired');
    return 'not-acquired';
  }
  const { assignment, afterDeath } = answer;
  if (afterDeath === true) deps.meter?.count('ExpiredLeases');
  if (assignment.lease === undefined) throw new Error('an acquisition without a lease');
  return { assignment, lease: assignment.lease };
}

/** The next puller must not wait for the lease to end. */
async function giveUp(
  deps: PullerDeps,
  { assignment, lease }: Acquired,
  logger: Logger,
): Promise<void> {
  deps.share?.leave(queueKey(assignment.queue));
  await returnLease(deps, assignment, lease).catch((error: unknown) =>
    logger.warn({ err: error }, 'could not release the lease: it ends by itself'),
  );
}

/**
 * What of the item counts from the start offset on: of a queue that is another one now, neither
 * offsets nor deaths; of one whose offset was set back, what a reset at work leaves (offset-actions).
 */
function knownAt({ anotherLife, isSetBack }: Start, assignment: Assignment): Assignment {
  if (!anotherLife && !isSetBack) return assignment;
  const { attempts: _attempts, begunEnds: _ends, batchLimits: _limits, ...kept } = assignment;
  if (!anotherLife) return kept;
  const { committedOffset: _committed, maxOffset: _max, crash: _crash, ...rest } = kept;
  return rest;
}

/** Before the first delivery: the next holder must not take the queue for a new one again, nor count from the offset of an older death. */
async function begin(
  {
    crash,
    lease,
    leaseKeeper,
    logger,
  }: Pick<HeldQueue, 'crash' | 'lease' | 'leaseKeeper' | 'logger'>,
  start: Start,
  known: Assignment,
): Promise<void> {
  const { record } = crash;
  const outdatesCrash = !isPopUnit(known.queue) && record !== known.crash;
  if (start.outdatesItem || outdatesCrash) await leaseKeeper.renew();
  if (record !== undefined)
    logger.warn({ crash: printable(record) }, 'the holder before died without releasing');
  const { fence } = lease.current;
  logger.info({ offset: String(start.offset), fence }, 'queue acquired');
}

async function runLoops(held: HeldQueue, locks: BrokerLocks | undefined): Promise<void> {
  const { queueOrder, subscriptions } = held;
  const parallel = Math.max(
    ...subscriptions.all.map(({ parallelizationFactor }) => parallelizationFactor),
    1,
  );
  const largestBatch = Math.max(...subscriptions.all.map(({ batchSize }) => batchSize), 1);
  const forget = stopOnSignal(held);
  const loops = [
    ...(locks === undefined || queueOrder === undefined
      ? []
      : [holdBrokerLock(held, queueOrder, locks)]),
    held.fetching.run(parallel * largestBatch),
    ...Array.from({ length: parallel }, () => deliverBatches(held)),
  ];
  const guard = (loop: Promise<void>): Promise<void> => drainOnError(held, loop);
  const all = Promise.all(loops.map(guard));
  // The queue ends when the last loop has ended, also when the watch or the commits failed before.
  await Promise.all([all, ...[watchQueue(held, all), held.commits.keep(all)].map(guard)]);
  forget();
}

/** @returns forgets the signal */
function stopOnSignal({ lifecycle, signal }: Pick<HeldQueue, 'lifecycle' | 'signal'>): () => void {
  const onSignal = (): void => lifecycle.stop(signal?.reason === MOVED ? 'moved' : 'signal');
  if (signal?.aborted === true) onSignal();
  return onAbort(signal, onSignal);
}

/** Settles and commits what is left, then gives the broker's lock and the lease back. A step that fails leaves the others their turn. */
async function close(held: HeldQueue): Promise<void> {
  const { leaseKeeper, logger, memory, queue, queueOrder, settlement, share, writes } = held;
  const inTime = (step: string, reserveMs: number, work: () => Promise<void>): Promise<void> =>
    endStep(logger, step, () => beforeTheEnd(held, reserveMs, work()));
  await inTime('settle', RELEASE_RESERVE_MS, () => settlement.close());
  if (queueOrder !== undefined)
    await inTime('unlock', RELEASE_RESERVE_MS, () => leaveBrokerLock(held, queueOrder));
  await endStep(logger, 'leave the slot', () => share?.leave(queueKey(queue)));
  await inTime('release', RETURN_RESERVE_MS, () => leaseKeeper.close());
  await inTime('finish writes', RETURN_RESERVE_MS, () => writes.settled());
  await inTime('finish renewals', RETURN_RESERVE_MS, () => leaseKeeper.settled());
  await endStep(logger, 'count', () => held.utilization?.note(queueKey(queue), false));
  await endStep(logger, 'free memory', () => memory.close());
}

export function notWorked(queue: MessageQueue, reason: StopReason): QueueReport {
  return {
    queue: queueKey(queue),
    reason,
    handled: 0,
    sentBack: 0,
    dropped: 0,
    committedOffset: undefined,
  };
}
