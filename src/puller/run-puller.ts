import {
  fitsHandler,
  MAX_SUSPEND_MS,
  mustGiveUp,
  RESERVE_MS,
} from '../decide/budget/time-budget.ts';
import { refreshCrash } from '../decide/crash/crash-record.ts';
import { RENEW_INTERVAL_MS, renewalDue } from '../decide/lease/lease.ts';
import { LOCK_WAIT_MS } from '../decide/order/lock-time.ts';
import { INVISIBLE_MS } from '../decide/pop/invisible-time.ts';
import { FLOW_LIMITS, limitsFor } from '../decide/pull/flow-control.ts';
import { MemoryBudget } from '../decide/pull/memory-budget.ts';
import type { Assignment } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { type SourceConfig, slotClientId } from '../model/source.ts';
import type { PullerRequest } from '../ports/invoke.ts';
import { BackgroundWrites, beforeTheEnd } from './background-writes.ts';
import { BrokerLocks } from './broker-locks.ts';
import {
  BROADCAST_COMMIT_INTERVAL_MS,
  COMMIT_INTERVAL_MS,
  commitFinally,
  keepOffset,
} from './commit-offset.ts';
import { deliverBatches } from './deliver-batches.ts';
import { findStart } from './find-start.ts';
import { expireCalls } from './handler-calls.ts';
import { holdBrokerLock, leaveBrokerLock, needsBrokerLock, untilOpen } from './hold-broker-lock.ts';
import { acquireLease, releaseLease, renewLease, returnLease } from './hold-lease.ts';
import { createMessageTrace } from './message-trace.ts';
import { popMessages } from './pop-messages.ts';
import { PoppedMessages } from './popped-messages.ts';
import { pullMessages } from './pull-messages.ts';
import {
  MOVED,
  type PullerDeps,
  type PullerOptions,
  type PullerReport,
  type QueueReport,
  type StopReason,
} from './puller-deps.ts';
import { QueueSession } from './queue-session.ts';
import { holdsLease } from './regain-lease.ts';
import { returnPopped } from './settle-popped.ts';
import { Utilization } from './utilization.ts';

export const DEFAULT_OPTIONS: PullerOptions = {
  flowLimits: FLOW_LIMITS,
  idleTimeoutMs: 20_000,
  commitIntervalMs: COMMIT_INTERVAL_MS,
  renewIntervalMs: RENEW_INTERVAL_MS,
  reserveMs: RESERVE_MS,
  maxSuspendMs: MAX_SUSPEND_MS,
  successionWaitMs: 30_000,
  lockWaitMs: LOCK_WAIT_MS,
  popInvisibleMs: INVISIBLE_MS,
};
/** How often a session looks at its clock. */
const TICK_MS = 250;
/** A renewal that failed is tried again soon. */
const RENEW_AGAIN_MS = 2_000;
const SAVE_ATTEMPTS_MS = 1_000;
/** What the last writes leave of the invocation for what comes after them: the release, the return. */
const RELEASE_RESERVE_MS = 2_000;
const RETURN_RESERVE_MS = 500;
/** So long the end of an invocation waits for its traces to be sent, and so much time it leaves. */
const TRACE_FLUSH_MS = 2_000;

/**
 * One puller invocation: works its queues side by side until they are idle, the time is over, or somebody else is to go on.
 * Whatever ends it, each queue is drained, settled, committed and released before it returns.
 */
export async function runPuller(request: PullerRequest, given: PullerDeps): Promise<PullerReport> {
  const { consumerGroup, slot } = request;
  const logger = given.logger.child({ consumerGroup, slot, holder: given.holder });
  const source = given.service.sources.find(
    ({ cluster, consumerGroup }) =>
      cluster === request.cluster && consumerGroup === request.consumerGroup,
  );
  const traced = source?.trace && {
    trace: createMessageTrace({ ...given, logger }, source.trace.topic),
  };
  const utilization =
    given.meter === undefined ? undefined : new Utilization(given.clock, given.meter);
  const memory = given.memory ?? new MemoryBudget(given.memoryBytes);
  const deps: PullerDeps = {
    ...given,
    logger,
    memory,
    ...traced,
    ...(utilization && { utilization }),
  };
  const largestBatch = Math.max(
    0,
    ...(source?.subscriptions.map(({ batchSize }) => batchSize) ?? []),
  );
  const flowLimits = limitsFor(largestBatch);
  const options = { ...DEFAULT_OPTIONS, flowLimits, ...optionsOf(source), ...given.options };
  const refusal = whyNotStart(request, deps, options, source);
  const locks =
    source === undefined || !needsBrokerLock(source)
      ? undefined
      : new BrokerLocks(
          deps,
          consumerGroup,
          slotClientId(deps.service.service, deps.service.stage, consumerGroup, slot),
        );
  const queues = await Promise.all(
    request.queues.map((queue) =>
      refusal !== undefined || source === undefined
        ? Promise.resolve(notWorked(queue, refusal ?? 'unknown-source'))
        : workQueue(deps, options, source, request.slot, queue, locks).catch((error: unknown) => {
            // An error of one queue leaves the others at work.
            const fields = { err: error, code: 'ROCKETMQ_INTERNAL', queue: queueKey(queue) };
            logger.error(fields, 'queue ended by an unexpected error');
            return notWorked(queue, 'error');
          }),
    ),
  );
  utilization?.finish();
  await deps.trace?.flush(Math.min(TRACE_FLUSH_MS, deps.remainingMs() - TRACE_FLUSH_MS));
  deps.logger.info({ queues }, 'puller ends');
  return { consumerGroup: request.consumerGroup, queues };
}

function optionsOf({
  idleTimeout,
  messageModel,
}: Partial<SourceConfig> = {}): Partial<PullerOptions> {
  const idleTimeoutMs = idleTimeout === 'never' ? Number.POSITIVE_INFINITY : idleTimeout;
  return {
    ...(messageModel === 'BROADCASTING' && { commitIntervalMs: BROADCAST_COMMIT_INTERVAL_MS }),
    ...(idleTimeoutMs !== undefined && { idleTimeoutMs: idleTimeoutMs * 1000 }),
  };
}

function whyNotStart(
  request: PullerRequest,
  deps: PullerDeps,
  options: PullerOptions,
  source: SourceConfig | undefined,
): StopReason | undefined {
  const { logger, clock } = deps;
  if (clock.now() > request.notAfter) {
    logger.warn(
      { notAfter: request.notAfter },
      'the invocation came too late: the coordinator has invoked others since',
    );
    return 'too-late';
  }
  if (source === undefined) {
    logger.error(
      { consumerGroup: request.consumerGroup },
      'no source of this deployment has the group: an invocation from an older one',
    );
    return 'unknown-source';
  }
  const longest = Math.max(...source.subscriptions.map(({ handler }) => handler.timeout)) * 1000;
  if (!fitsHandler(deps.remainingMs(), longest, options.reserveMs)) {
    logger.error(
      { remainingMs: deps.remainingMs(), handlerTimeoutMs: longest },
      "too little time for one handler call: the puller's timeout must exceed the handler's by more than its reserve",
    );
    return 'too-little-time';
  }
  return undefined;
}

/** queue → lease → start offset → pull, deliver and maintain side by side → settle → commit → release. */
async function workQueue(
  deps: PullerDeps,
  options: PullerOptions,
  source: SourceConfig,
  slot: number,
  queue: MessageQueue,
  locks: BrokerLocks | undefined,
): Promise<QueueReport> {
  const logger = deps.logger.child({ queue: queueKey(queue) });
  const acquired = await acquireLease(deps, options, source, slot, queue).catch(
    (error: unknown) => {
      logger.error({ err: error }, 'the table cannot be asked for the lease');
      return undefined;
    },
  );
  if (acquired === undefined) return notWorked(queue, 'error');
  if (!acquired.applied) {
    if (acquired.reason === 'held' || acquired.reason === 'successor-waits')
      deps.meter?.count('LeaseConflicts');
    logger.info(
      { reason: acquired.reason, holder: acquired.current?.lease?.holder },
      'the lease was not to be had',
    );
    return notWorked(queue, 'not-acquired');
  }
  const { assignment, afterDeath } = acquired;
  if (afterDeath === true) deps.meter?.count('ExpiredLeases');
  const lease = assignment.lease;
  if (lease === undefined) throw new Error('an acquisition without a lease');
  let session: QueueSession | undefined;
  let writes: BackgroundWrites | undefined;
  let released = false;
  try {
    const pops = isPopUnit(queue);
    const start = pops
      ? { offset: 0n, mark: undefined, anotherLife: false, outdatesItem: false }
      : await findStart(deps, source, assignment, logger);
    const { offset } = start;
    const known = start.anotherLife ? withoutHistory(assignment) : assignment;
    session = new QueueSession(deps, options, source, known, lease, offset);
    session.lifeMark = start.mark;
    if (pops) session.popped = new PoppedMessages(session);
    // Deaths while a popped message was in delivery are counted by the broker.
    else session.crash = refreshCrash(known.crash, offset, options.flowLimits.maxSpan);
    // Before the first delivery: the next holder must not take the queue for a new one again, nor
    // count from the offset of an older death.
    if (start.outdatesItem || session.crash !== known.crash) await renewLease(session);
    if (session.crash !== undefined)
      session.logger.warn(
        { crash: printable(session.crash) },
        'the holder before died without releasing',
      );
    session.logger.info({ offset: String(offset), fence: lease.fence }, 'queue acquired');
    deps.onQueue?.(session);
    writes = new BackgroundWrites(session);
    await work(session, locks, writes, () => released);
  } catch (error) {
    logger.error({ err: error }, 'the queue cannot be worked now');
    session?.end('error');
  }
  if (session === undefined) {
    // The next puller must not wait for the lease to end.
    deps.share?.leave(queueKey(queue));
    await returnLease(deps, assignment, lease).catch((error: unknown) =>
      logger.warn({ err: error }, 'could not release the lease: it ends by itself'),
    );
    return notWorked(queue, 'error');
  }
  await beforeTheEnd(
    deps,
    RELEASE_RESERVE_MS,
    session.popped === undefined ? commitFinally(session) : returnPopped(session, session.popped),
  );
  // What was popped has its end one by one.
  if (session.popped === undefined) session.noteRepeated(session.messages.doneAhead);
  await beforeTheEnd(deps, RELEASE_RESERVE_MS, leaveBrokerLock(session));
  deps.share?.leave(queueKey(queue));
  released = true;
  if (session.mayRelease)
    await beforeTheEnd(
      deps,
      RETURN_RESERVE_MS,
      releaseLease(session).catch((error: unknown) =>
        logger.warn({ err: error }, 'could not release the lease: it ends by itself'),
      ),
    );
  if (writes !== undefined) await beforeTheEnd(deps, RETURN_RESERVE_MS, writes.settled());
  return session.report();
}

/** The item of a queue that is another one now: offsets, attempts and deaths were those of the earlier one. */
function withoutHistory(assignment: Assignment): Assignment {
  const {
    committedOffset: _committed,
    maxOffset: _max,
    attempts: _attempts,
    batchLimits: _limits,
    crash: _crash,
    ...rest
  } = assignment;
  return rest;
}

async function work(
  session: QueueSession,
  locks: BrokerLocks | undefined,
  writes: BackgroundWrites,
  isReleased: () => boolean,
): Promise<void> {
  const subscriptions = session.source.subscriptions.filter(
    ({ topic }) => session.isRetryQueue || topic === session.queue.topic,
  );
  const parallel = Math.max(
    ...subscriptions.map(({ parallelizationFactor }) => parallelizationFactor),
    1,
  );
  const { signal } = session.deps;
  const onSignal = (): void =>
    signal?.reason === MOVED ? session.end('moved') : session.end('signal');
  if (signal?.aborted === true) onSignal();
  signal?.addEventListener('abort', onSignal, { once: true });
  const loops = [
    ...(locks === undefined || session.order === undefined
      ? []
      : [holdBrokerLock(session, session.order, locks)]),
    fetch(session, parallel * Math.max(...subscriptions.map(({ batchSize }) => batchSize), 1)),
    ...Array.from({ length: parallel }, () => deliverBatches(session)),
  ];
  // An error in one loop drains the others; what they have in flight still gets its end.
  const guarded = loops.map((loop) =>
    loop.catch((error: unknown) => {
      session.logger.error({ err: error }, 'an unexpected error: draining');
      session.end('error');
    }),
  );
  const all = Promise.all(guarded);
  await Promise.all([maintain(session, all, writes, isReleased), keepOffset(session, all)]);
  await all;
  session.deps.utilization?.note(queueKey(session.queue), false);
  signal?.removeEventListener('abort', onSignal);
}

/** @param capacity messages that the deliverers can take at once */
async function fetch(session: QueueSession, capacity: number): Promise<void> {
  if (session.popped === undefined) {
    await untilOpen(session);
    return pullMessages(session);
  }
  session.popping = true;
  try {
    await popMessages(session, session.popped, capacity);
  } finally {
    session.popping = false;
    session.wakeup.all();
  }
}

/** Renews the lease and watches the clock, until all loops have ended: also while they drain. */
async function maintain(
  session: QueueSession,
  loops: Promise<unknown>,
  writes: BackgroundWrites,
  isReleased: () => boolean,
): Promise<void> {
  const { deps, options, messages } = session;
  let renewedAt = deps.clock.now();
  const againMs = Math.min(RENEW_AGAIN_MS, options.renewIntervalMs);
  let done = false;
  const onEnd = (): void => {
    done = true;
    session.wakeup.all();
  };
  // Whoever awaits the loops gets their error.
  loops.then(onEnd, onEnd);
  // The table may take seconds to answer, in which the clock is still watched.
  const renew = async (now: number): Promise<void> => {
    renewedAt = (await renewLease(session, isReleased))
      ? now
      : now - options.renewIntervalMs + againMs;
  };
  while (!done) {
    await session.wakeup.wait(TICK_MS);
    // A handler may take minutes, in which nothing changes.
    session.noteLoad();
    const now = deps.clock.now();
    if (done) continue;
    if (session.workMs() <= 0) session.end('deadline');
    if (mustGiveUp(deps.remainingMs(), options.reserveMs)) session.lifecycle.abortHandlers();
    if (!session.mayAct()) {
      writes.begin('regain', async () => void (await holdsLease(session)));
      continue;
    }
    const idle =
      messages.count === 0 &&
      now - session.lastMessageAt >= options.idleTimeoutMs &&
      !session.offsets.resetPending &&
      !session.memory.waits;
    if ((deps.share?.allIdle(queueKey(session.queue), idle) ?? true) && idle) {
      if (session.pullFailures === 0) session.end('idle');
      else session.end('unreachable');
    }
    // Attempts that nobody else knows of are written within a second: a death forgets no more.
    const { unsaved } = session.order ?? session.attempts;
    const saves = unsaved && now - renewedAt >= SAVE_ATTEMPTS_MS;
    if (saves || renewalDue(renewedAt, now, options.renewIntervalMs))
      writes.begin('renewal', () => renew(now));
    session.popped?.prolong();
    expireCalls(session);
  }
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

function printable(crash: object): object {
  return Object.fromEntries(
    Object.entries(crash).map(([key, value]) => [
      key,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  );
}
