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
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { type SourceConfig, slotClientId } from '../model/source.ts';
import type { PullerRequest } from '../ports/invoke.ts';
import { BrokerLocks } from './broker-locks.ts';
import { commitFinally, keepOffset } from './commit-offset.ts';
import { deliverBatches } from './deliver-batches.ts';
import { findStart } from './find-start.ts';
import { expireCalls } from './handler-calls.ts';
import {
  deliverFrom,
  holdBrokerLock,
  leaveBrokerLock,
  needsBrokerLock,
  untilOpen,
} from './hold-broker-lock.ts';
import { acquireLease, releaseLease, renewLease } from './hold-lease.ts';
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
import { returnPopped } from './settle-popped.ts';
import { Utilization } from './utilization.ts';

export const DEFAULT_OPTIONS: PullerOptions = {
  flowLimits: FLOW_LIMITS,
  idleTimeoutMs: 20_000,
  commitIntervalMs: 5_000,
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
  const options = { ...DEFAULT_OPTIONS, flowLimits, ...idleOption(source), ...given.options };
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
        : workQueue(deps, options, source, request.slot, queue, locks),
    ),
  );
  utilization?.finish();
  await deps.trace?.flush(Math.min(TRACE_FLUSH_MS, deps.remainingMs() - TRACE_FLUSH_MS));
  deps.logger.info({ queues }, 'puller ends');
  return { consumerGroup: request.consumerGroup, queues };
}

function idleOption({ idleTimeout }: Partial<SourceConfig> = {}): Partial<PullerOptions> {
  if (idleTimeout === undefined) return {};
  return { idleTimeoutMs: idleTimeout === 'never' ? Number.POSITIVE_INFINITY : idleTimeout * 1000 };
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
  try {
    const pops = isPopUnit(queue);
    const start = pops ? 0n : await findStart(deps, source, assignment);
    session = new QueueSession(deps, options, source, assignment, lease, start);
    if (pops) session.popped = new PoppedMessages(session);
    // Deaths while a popped message was in delivery are counted by the broker.
    else session.crash = refreshCrash(assignment.crash, start, options.flowLimits.maxSpan);
    if (session.crash !== undefined)
      session.logger.warn(
        { crash: printable(session.crash) },
        'the holder before died without releasing',
      );
    if (session.order !== undefined) session.order.deliverFrom = deliverFrom(session);
    session.logger.info({ offset: String(start), fence: lease.fence }, 'queue acquired');
    deps.onQueue?.(session);
    await work(session, locks);
  } catch (error) {
    logger.error({ err: error }, 'the queue cannot be worked now');
    session?.end('error', 'an unexpected error: draining');
  }
  // Also when the start failed: the next puller must not wait for the lease to end.
  const ending =
    session ??
    new QueueSession(
      deps,
      options,
      source,
      assignment,
      lease,
      assignment.committedOffset ?? assignment.startOffset,
    );
  if (session !== undefined)
    await (session.popped === undefined
      ? commitFinally(session)
      : returnPopped(session, session.popped));
  // What was popped has its end one by one.
  if (session !== undefined && session.popped === undefined)
    session.noteRepeated(session.messages.doneAhead);
  ending.memory.close();
  await leaveBrokerLock(ending);
  deps.share?.leave(queueKey(queue));
  if (ending.mayRelease)
    await releaseLease(ending).catch((error: unknown) =>
      logger.warn({ err: error }, 'could not release the lease: it ends by itself'),
    );
  return ending.report();
}

async function work(session: QueueSession, locks: BrokerLocks | undefined): Promise<void> {
  const subscriptions = session.source.subscriptions.filter(
    ({ topic }) => session.isRetryQueue || topic === session.queue.topic,
  );
  const parallel = Math.max(
    ...subscriptions.map(({ parallelizationFactor }) => parallelizationFactor),
    1,
  );
  const { signal } = session.deps;
  const onSignal = (): void =>
    signal?.reason === MOVED
      ? session.end('moved', 'the queue is another consumer’s: draining')
      : session.end('signal', 'asked to stop: draining');
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
      session.end('error', 'draining after an error');
    }),
  );
  const all = Promise.all(guarded);
  await maintain(session, all);
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

/** Renews the lease, commits what is settled, and watches the clock, until all loops have ended: also while they drain. */
async function maintain(session: QueueSession, loops: Promise<unknown>): Promise<void> {
  const { deps, options, messages } = session;
  let renewedAt = deps.clock.now();
  let committedAt = renewedAt;
  const againMs = Math.min(RENEW_AGAIN_MS, options.renewIntervalMs);
  let done = false;
  void loops.then(() => {
    done = true;
    session.wakeup.all();
  });
  while (!done) {
    await session.wakeup.wait(TICK_MS);
    // A handler may take minutes, in which nothing changes.
    session.noteLoad();
    const now = deps.clock.now();
    if (done || !session.mayAct()) continue;
    if (session.workMs() <= 0) session.end('deadline', 'the invocation nears its end: draining');
    if (mustGiveUp(deps.remainingMs(), options.reserveMs)) session.giveUpHandlerCalls();
    const idle =
      messages.count === 0 &&
      now - session.lastMessageAt >= options.idleTimeoutMs &&
      !session.resetPending &&
      !session.memory.waits;
    if ((deps.share?.allIdle(queueKey(session.queue), idle) ?? true) && idle) {
      if (session.pullFailures === 0) session.end('idle', 'no message for a while: draining');
      else session.end('unreachable', 'the broker gave no answer for a while: draining');
    }
    // Attempts that nobody else knows of are written within a second: a death forgets no more.
    const saves = session.order?.unsaved === true && now - renewedAt >= SAVE_ATTEMPTS_MS;
    if (saves || renewalDue(renewedAt, now, options.renewIntervalMs))
      renewedAt = (await renewLease(session)) ? now : now - options.renewIntervalMs + againMs;
    void session.popped?.prolong();
    expireCalls(session);
    if (now - committedAt >= options.commitIntervalMs) {
      committedAt = now;
      await keepOffset(session);
    }
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
