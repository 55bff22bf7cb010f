import { refreshCrash } from '../decide/crash/crash-record.ts';
import { handOverOf } from '../decide/lease/hand-over.ts';
import { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { MemoryBudget, type QueueMemory } from '../decide/pull/memory-budget.ts';
import type { Assignment, Lease } from '../model/assignment.ts';
import type { MemberQueue } from '../model/membership.ts';
import { isPopUnit, queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { OffsetKeeper } from '../queue/offset-keeper.ts';
import { Wakeup } from '../queue/wakeup.ts';
import { absentHandlersOf } from './absent-handlers.ts';
import { BackgroundWrites } from './background-writes.ts';
import { BatchFill } from './batch-fill.ts';
import { windowEnd } from './batching-window.ts';
import { type CallParts, callHandler } from './call-handler.ts';
import { callRights } from './call-rights.ts';
import { NO_COMMITS, OffsetCommits } from './commit-offset.ts';
import { QueueReview } from './confirm-delivery.ts';
import { ConsumeTimeouts } from './consume-timeout.ts';
import { CountedAttempts, NO_LOCAL_ATTEMPTS } from './counted-attempts.ts';
import { CrashKeeper } from './crash-keeper.ts';
import type { EndCarrier } from './end-carrier.ts';
import { CountedEndIntents, NO_END_INTENTS } from './end-intents.ts';
import { endUnrevivable } from './end-unrevivable.ts';
import { FailedSends } from './failed-sends.ts';
import { fetchByPop, fetchByPull } from './fetching.ts';
import type { Start } from './find-start.ts';
import { HandOverMeasure } from './hand-over-measure.ts';
import { HandlerReach } from './handler-reach.ts';
import { HeldLease } from './held-lease.ts';
import { untilOpen } from './hold-broker-lock.ts';
import { KeptBatchLimits, NO_BATCH_LIMITS } from './kept-batch-limits.ts';
import { KnownQueue } from './known-queue.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { nextBatch } from './next-batch.ts';
import { performOffsetAction } from './offset-actions.ts';
import { offsetStoreOf } from './offset-store.ts';
import { PendingEnds } from './pending-ends.ts';
import { popMessages } from './pop-messages.ts';
import { poppedEnds } from './popped-ends.ts';
import { PoppedMessages } from './popped-messages.ts';
import { pullMessages } from './pull-messages.ts';
import { pulledEnds } from './pulled-ends.ts';
import type { PullerDeps, PullerOptions, QueueReport } from './puller-deps.ts';
import { QueueActivity } from './queue-activity.ts';
import { QueueCounts } from './queue-counts.ts';
import { mirrorsOf } from './queue-mirrors.ts';
import { NO_ORDER, QueueOrder } from './queue-order.ts';
import { queueSubscriptions } from './queue-subscriptions.ts';
import { LeaseRegain } from './regain-lease.ts';
import { Settlement } from './settlement.ts';
import { settlementModeOf } from './settlement-of.ts';
import { BodyStorage } from './store-bodies.ts';
import type { Batch } from './work.ts';

/** A queue that was acquired. */
export interface AcquiredQueue {
  readonly source: SourceConfig;
  /** As far as it is about the queue's present life. */
  readonly assignment: Assignment;
  readonly lease: Lease;
  readonly start: Pick<Start, 'offset' | 'mark' | 'committedAgainAt'>;
}

/**
 * Everything that works one queue while this puller holds it. Each part has its own state, which only
 * it writes. Loops and helpers take the parts that they use; only work-queue.ts has the whole record.
 */
export type HeldQueue = ReturnType<typeof holdQueue>;

export function holdQueue(deps: PullerDeps, options: PullerOptions, acquired: AcquiredQueue) {
  const state = queueState(deps, options, acquired);
  const mode = state.popped === undefined ? pullMode(state) : popMode(state, state.popped);
  const { source, clock, lifecycle, lease, leaseKeeper, messages, offsets, order } = state;
  const { commits } = mode;
  const settlement = new Settlement(settlementModeOf(source), { ...state, ...mode });
  const timeouts = new ConsumeTimeouts({ ...state, settlement });
  const regain = new LeaseRegain(state);
  const mayDeliver = (): boolean =>
    !offsets.resetPending && lease.mayAct() && order.isOpen(clock.now());
  const choice = { ...state, ...mode };
  const rights = callRights({ ...state, inlineTurns: deps.inlineTurns });
  const call: CallParts = {
    ...state,
    ...mode,
    ...{ timeouts, mayDeliver },
    reach: new HandlerReach(state),
    rights,
    bodyStorage: new BodyStorage(state),
    review: new QueueReview({ clock, messages, lease, leaseKeeper, commits }),
  };
  return {
    ...state,
    ...mode,
    ...{ settlement, timeouts, mayDeliver, rights },
    holdsLease: () => regain.holdsLease(),
    nextBatch: () => nextBatch(choice),
    windowEnd: () => windowEnd(choice),
    callHandler: (batch: Batch, flush: boolean, waitsFrom: number | undefined) =>
      callHandler(call, batch, flush, waitsFrom),
    writes: new BackgroundWrites(state),
    figures: () => figuresOf(state),
    report: (): QueueReport => ({
      queue: queueKey(state.queue),
      reason: lifecycle.ending ?? 'error',
      ...state.counts.totals,
      committedOffset: String(state.committedOffset()),
    }),
  };
}

/** What every mode has. */
function queueState(deps: PullerDeps, options: PullerOptions, acquired: AcquiredQueue) {
  const { source, assignment, start } = acquired;
  const { queue } = assignment;
  const { clock, meter } = deps;
  const isPopped = isPopUnit(queue);
  const { maxSpan } = options.flowLimits;
  const logger = deps.logger.child({ queue: queueKey(queue), fence: acquired.lease.fence });
  const counts = new QueueCounts(clock, meter);
  const pendingEnds = new PendingEnds();
  const known = new KnownQueue(start.mark, start.committedAgainAt);
  // Failures of popped messages, and the deaths of their holders, are counted by the broker.
  const attempts = isPopped ? NO_LOCAL_ATTEMPTS : new CountedAttempts(assignment);
  const batchLimits = isPopped ? NO_BATCH_LIMITS : new KeptBatchLimits(assignment.batchLimits);
  const crash = new CrashKeeper(
    isPopped ? undefined : refreshCrash(assignment.crash, start.offset, maxSpan),
    maxSpan,
    acquired.lease.fence,
  );
  const queueOrder = QueueOrder.of(source, assignment.handlersRunUntil);
  const order = queueOrder ?? NO_ORDER;
  const noteLoad = (): void => deps.utilization?.note(queueKey(queue), messages.count > 0);
  const wakeup = new Wakeup(noteLoad);
  const memory: QueueMemory = (deps.memory ?? new MemoryBudget()).open(() => wakeup.all());
  const attemptsAt = (offset: bigint): number => attempts.attemptsAt(offset);
  const messages: ProcessQueue = new ProcessQueue(
    start.offset,
    queueOrder && { laneOf: (message) => queueOrder.laneOf(message), attemptsAt },
    (bytes) => memory.note(bytes),
    attemptsAt,
  );
  const lifecycle = new LifecycleKeeper({
    log: (level, fields, message) => logger[level](fields, message),
    onChange: () => {
      // A popping puller goes on as long as it has messages: what only this puller delivers again, or stores as a dead
      // letter, gets one more try.
      messages.hasten((entry) =>
        pendingEnds.of(entry) !== undefined || popped?.isRevivable(entry) === false ? 0 : undefined,
      );
      wakeup.all();
    },
  });
  const lease = new HeldLease(acquired.lease, { clock, lifecycle, counts, logger });
  const popped = isPopped
    ? new PoppedMessages({ ...deps, options, source, queue, logger, messages, lifecycle, lease })
    : undefined;
  const committedOffset = (): bigint => offsets.confirmed ?? start.offset;
  const subscriptions = queueSubscriptions(source, queue);
  const parts = {
    ...deps,
    ...{ options, source, queue, logger, counts, pendingEnds, known, attempts, batchLimits, crash },
    ...{ queueOrder, order, noteLoad, wakeup, memory, messages, lifecycle, lease, popped },
    ...{ committedOffset, subscriptions },
    absent: absentHandlersOf(source, subscriptions, clock),
    fill: new BatchFill(),
    failedSends: new FailedSends(clock),
    activity: new QueueActivity(clock),
    handOver: new HandOverMeasure(
      handOverOf(source, assignment, acquired.lease, start.offset),
      clock,
      meter,
    ),
  };
  const offsets: OffsetKeeper = new OffsetKeeper(start.offset, {
    store: offsetStoreOf(parts),
    committable: () => messages.committable,
    perform: (action) => performOffsetAction(parts, action),
    mayWrite: () => lease.mayAct(),
    now: () => clock.now(),
  });
  // What members of another kind commit beside this holder cannot be told from lost commits.
  const isAlone = !isPopped && source.coexist !== true;
  const mirrors = () =>
    mirrorsOf({ ...parts, offsets }, isAlone, source.messageModel === 'BROADCASTING');
  return { ...parts, offsets, leaseKeeper: new LeaseKeeper({ ...parts, mirrors }) };
}

type QueueState = ReturnType<typeof queueState>;

/** Messages have their places in the queue, and its offset is committed. */
function pullMode(state: QueueState) {
  const { activity, crash, known, lifecycle, messages, queueOrder } = state;
  const commits = new OffsetCommits(state);
  return {
    commits,
    // Suspects are pulled one by one.
    hasBacklog: () =>
      activity.isReachable &&
      known.maxOffset !== undefined &&
      known.maxOffset > messages.nextOffset &&
      crash.isolation(messages.nextOffset) === 'batch',
    carrier: pulledEnds({ ...state, commits }),
    endIntents: new CountedEndIntents(state),
    fetching: fetchByPull(state, async () => {
      if (queueOrder !== undefined) await untilOpen(state, queueOrder);
      await pullMessages({ ...state, lifecycle, commits });
    }),
    isOurs: () => true,
    prolong: () => {},
  };
}

/** Messages are lent one by one. */
function popMode(state: QueueState, popped: PoppedMessages) {
  const endIntents = NO_END_INTENTS;
  const { activity } = state;
  let rest = 0;
  const carrier: EndCarrier = poppedEnds({
    ...state,
    popped,
    endUnrevivable: (entry) => endUnrevivable({ ...state, carrier, endIntents }, entry),
  });
  return {
    commits: NO_COMMITS,
    ...{ carrier, endIntents },
    hasBacklog: () => activity.isReachable && rest > 0,
    fetching: fetchByPop(state, (capacity) =>
      popMessages({ ...state, onRest: (count) => (rest = count) }, popped, capacity),
    ),
    isOurs: (entry: Parameters<PoppedMessages['isOurs']>[0]) => popped.isOurs(entry),
    prolong: () => popped.prolong(),
  };
}

function figuresOf({
  queue,
  messages,
  activity,
  counts,
  committedOffset,
}: Pick<
  QueueState,
  'queue' | 'messages' | 'activity' | 'counts' | 'committedOffset'
>): MemberQueue {
  return {
    queue,
    committedOffset: committedOffset(),
    cachedCount: messages.count,
    cachedBytes: messages.bytes,
    lastPullAt: activity.lastMessageAt,
    lastConsumeAt: counts.handledAt,
  };
}
