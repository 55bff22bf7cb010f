import { runsUntil } from '../decide/budget/handler-run-time.ts';
import { fitsHandler } from '../decide/budget/time-budget.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { type CallOutcome, readOutcome } from '../delivery/read-outcome.ts';
import { RocketMQError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { AbsentHandlers } from './absent-handlers.ts';
import type { CallRights } from './call-rights.ts';
import type { Commits } from './commit-offset.ts';
import type { QueueReview } from './confirm-delivery.ts';
import { type ConsumeTimeouts, HandlerCall } from './consume-timeout.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { Fetching } from './fetching.ts';
import type { HandOverMeasure } from './hand-over-measure.ts';
import type { HandlerReach } from './handler-reach.ts';
import type { HeldLease } from './held-lease.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { OrderGate } from './queue-order.ts';
import type { BodyStorage } from './store-bodies.ts';
import { pause } from './time-left.ts';
import { type TraceParts, traceCall } from './trace-calls.ts';
import type { Batch, Delivery } from './work.ts';

const UNAVAILABLE_BACKOFF = { firstMs: 200, longestMs: 10_000 };
/** While the queue drains, a handler that could not be called is called again after this. */
const UNAVAILABLE_AGAIN_MS = 1_000;
/** Lambda's answer beyond the function's or the account's concurrency. */
const THROTTLED = 'TooManyRequestsException';
/** A suspect that could not be announced waits for the table. */
const ANNOUNCE_AGAIN_MS = 1_000;

export interface CallParts
  extends TraceParts,
    Pick<PullerDeps, 'handlers' | 'random' | 'remainingMs'> {
  readonly options: Pick<PullerOptions, 'reserveMs'>;
  readonly messages: Pick<ProcessQueue, 'expects'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'signal' | 'stop'>;
  readonly commits: Pick<Commits, 'commit'>;
  readonly crash: CrashKeeper;
  readonly rights: CallRights;
  readonly fetching: Pick<Fetching, 'delivers'>;
  readonly bodyStorage: BodyStorage;
  readonly review: QueueReview;
  readonly timeouts: Pick<ConsumeTimeouts, 'watch'>;
  readonly order: Pick<OrderGate, 'keepsOrder'>;
  readonly handOver: HandOverMeasure;
  readonly absent: Pick<AbsentHandlers, 'failed' | 'called'>;
  readonly counts: QueueCounts;
  readonly reach: HandlerReach;
  /** May a batch go to its handler right now? */
  readonly mayDeliver: () => boolean;
  /** False: it was popped, and its time is over. */
  readonly isOurs: (entry: QueueEntry) => boolean;
}

/** How the delivery of a batch ended. */
export type DeliveryResult =
  /** The handler, or Lambda about this event, has spoken. */
  | {
      readonly kind: 'verdict';
      readonly outcome: Extract<CallOutcome, { kind: 'answered' | 'failed' | 'too-large' }>;
      /** The call, without what it waited for. */
      readonly tookMs: number;
    }
  /** The messages have their end already: they took longer than `consumeTimeout`, or wait for their bodies. */
  | { readonly kind: 'settled' }
  /** The handler cannot be called now, and messages of other events wait behind these: they go to the end of the retry topic. */
  | { readonly kind: 'set-aside' }
  /** No verdict: the messages stay unfinished, and are not delivered again before `notBefore`, epoch ms. */
  | { readonly kind: 'no-verdict'; readonly notBefore: number };

type Unavailable = Extract<CallOutcome, { kind: 'unavailable' }> & {
  /** Epoch ms, when the handler was called. */
  readonly startedAt: number;
};

const SETTLED = { kind: 'settled' } as const;
const SET_ASIDE = { kind: 'set-aside' } as const;
const NO_VERDICT = { kind: 'no-verdict', notBefore: 0 } as const;

/**
 * Calls the handler until there is a verdict, or none can be had in this invocation: the queue drains,
 * its position was changed, or an order has to wait for a function whose answer was lost. Throttles
 * and lost networks count as no failure.
 * @param flush the queue is on its way out, and this batch still goes to its handler
 * @param waitsFrom since when its messages wait for more than their turn, epoch ms; undefined: they do not
 */
export async function callHandler(
  parts: CallParts,
  batch: Batch,
  flush: boolean,
  waitsFrom: number | undefined,
): Promise<DeliveryResult> {
  const { clock, bodyStorage, review, fetching } = parts;
  let since = waitsFrom ?? clock.now();
  if (!(await bodyStorage.storeBodies(batch))) return SETTLED;
  for (let attempt = 1; ; attempt++) {
    const result = await inPermit(parts, batch, async () => {
      const isWanted = await review.confirm(batch, since);
      if (!isWanted || !(flush || fetching.delivers)) return NO_VERDICT;
      const outcome = await callOnce(parts, batch, attempt, flush);
      return outcome.kind === 'unavailable' ? await countLostCall(parts, batch, outcome) : outcome;
    });
    if (result.kind !== 'unavailable') return result;
    // Due at once, but not before its queue opens again: what is known of the queue is old by then.
    if (waitsForLostCall(parts, batch, result))
      return { kind: 'no-verdict', notBefore: clock.now() };
    if (parts.absent.failed(batch.subscription, false)) return SET_ASIDE;
    since = clock.now();
    await backOff(parts, result, attempt);
  }
}

/** Within the right to call the handler, where calls are limited over all queues (`maximumConcurrency`). */
async function inPermit<Result>(
  parts: CallParts,
  batch: Batch,
  call: () => Promise<Result>,
): Promise<Result | DeliveryResult> {
  const release = await parts.rights.permit(batch.subscription, batch.alone);
  // A popping queue goes on while it drains: without a pause it would choose the batch again and again.
  return release === undefined
    ? noVerdictFor(parts, UNAVAILABLE_AGAIN_MS)
    : await call().finally(release);
}

/** Where calls are limited, one whose answer got lost counts as long as its function may run. */
async function countLostCall(
  parts: CallParts,
  { subscription }: Batch,
  outcome: Unavailable,
): Promise<Unavailable> {
  if (outcome.mayRun !== true || subscription.maximumConcurrency === undefined) return outcome;
  const { clock } = parts;
  const until = runsUntil(subscription.handler, outcome.startedAt);
  const waitMs = Math.max(0, until - clock.now());
  const signal = parts.lifecycle.signal('handlers');
  parts.logger.warn(
    { err: outcome.error, waitMs, code: 'ROCKETMQ_ANSWER_LOST' },
    'handler response lost, its call counts until the handler timeout has passed',
  );
  await clock.sleep(waitMs, signal).catch(() => {});
  if (!signal.aborted) return { ...outcome, mayRun: false };
  parts.rights.outlived(until);
  return outcome;
}

/** Nothing may overtake a function that may still be at work with messages of an ordered queue. */
function waitsForLostCall(
  parts: CallParts,
  { batchId, deliveries, subscription }: Batch,
  { error, mayRun = false, startedAt }: Unavailable,
): boolean {
  parts.counts.callFailed(deliveries.length);
  if (error.name === THROTTLED) parts.counts.count('ThrottleCount');
  parts.reach.missed(subscription);
  if (!mayRun) return false;
  parts.counts.repeated(deliveries.length);
  if (!parts.order.keepsOrder) return false;
  parts.logger.warn(
    { err: error, batchId, code: 'ROCKETMQ_ANSWER_LOST' },
    'handler response lost, ordered delivery paused until the handler timeout has passed',
  );
  parts.rights.outlived(runsUntil(subscription.handler, startedAt));
  return true;
}

async function backOff(parts: CallParts, { error }: Unavailable, attempt: number): Promise<void> {
  const waitMs = backoff(attempt, parts.random(), UNAVAILABLE_BACKOFF);
  parts.logger.warn(
    { err: error, attempt, waitMs: Math.round(waitMs), code: 'ROCKETMQ_HANDLER_UNAVAILABLE' },
    'handler throttled or not reachable, calling it again, no failure is counted',
  );
  await pause(parts, waitMs);
}

async function callOnce(
  parts: CallParts,
  batch: Batch,
  attempt: number,
  flush: boolean,
): Promise<DeliveryResult | Unavailable> {
  const refusal = whyNotCall(parts, batch, attempt) ?? (await prepareAlone(parts, batch, flush));
  if (refusal !== undefined) return refusal;
  const call = new HandlerCall(batch, parts.clock.now());
  try {
    const outcome = await parts.timeouts.watch(call, () => invoke(parts, call, attempt));
    if (outcome.kind === 'misconfigured') return refuse(parts, batch, outcome.error);
    if (outcome.kind === 'unavailable') return { ...outcome, startedAt: call.startedAt };
    parts.absent.called(batch.subscription);
    return { kind: 'verdict', outcome, tookMs: parts.clock.now() - call.startedAt };
  } catch (error) {
    if (call.expired === undefined) return abandoned(parts, call, error);
  }
  await call.expired;
  return SETTLED;
}

/** undefined: the handler may be called. */
function whyNotCall(
  parts: CallParts,
  { subscription, deliveries }: Batch,
  attempt: number,
): DeliveryResult | undefined {
  const { remainingMs, options, lifecycle } = parts;
  if (!fitsHandler(remainingMs(), subscription.handler.timeout * 1000, options.reserveMs)) {
    lifecycle.stop('deadline');
    return NO_VERDICT;
  }
  if (!parts.mayDeliver()) return NO_VERDICT;
  // A batch that waited for its call, or for the part before it, is chosen again without what the broker gives to others.
  if (!deliveries.every(({ entry }) => parts.isOurs(entry))) return NO_VERDICT;
  // Popped messages are delivered even then, but not without the back-off that the end of the queue has cut short.
  return attempt > 1 && lifecycle.ending !== undefined
    ? noVerdictFor(parts, UNAVAILABLE_AGAIN_MS)
    : undefined;
}

/** Announces a message that is delivered alone. undefined: the handler may be called. */
async function prepareAlone(
  parts: CallParts,
  batch: Batch,
  flush: boolean,
): Promise<DeliveryResult | undefined> {
  if (!batch.alone) return undefined;
  if (!(await announce(parts, batch))) return noVerdictFor(parts, ANNOUNCE_AGAIN_MS);
  // Its commit and its renewal tell of a reset, a pause, a move.
  const isExpected = batch.deliveries.every(({ entry }) => parts.messages.expects(entry));
  return isExpected && (flush || parts.fetching.delivers) ? undefined : NO_VERDICT;
}

/** @throws what ends the call before its outcome; also when its messages were sent back meanwhile */
async function invoke(parts: CallParts, call: HandlerCall, attempt: number): Promise<CallOutcome> {
  const { handOver, lifecycle, handlers } = parts;
  const { batch, startedAt } = call;
  const { handler } = batch.subscription;
  const timeoutMs = handler.timeout * 1000;
  const ends = linkSignals(lifecycle.signal('handlers'), call.signal);
  let outcome: CallOutcome | undefined;
  try {
    handOver.calling((batch.deliveries[0] as Delivery).message);
    const payload = batch.payload(attempt, startedAt + timeoutMs);
    const ended = traceCall(parts, batch);
    outcome = readOutcome(
      await handlers(handler).invoke(payload, { timeoutMs, signal: ends.signal }),
      batch.items,
      batch.subscription,
    );
    ended(call.expired === undefined ? outcome : 'expired');
    if (call.expired !== undefined) throw new Error('the messages of the call were sent back');
    return outcome;
  } finally {
    countCall(parts, batch, outcome);
    ends.unlink();
  }
}

/** @param outcome undefined: the call was given up */
function countCall(
  { counts, reach }: CallParts,
  { deliveries, subscription }: Batch,
  outcome: CallOutcome | undefined,
): void {
  // Lambda refused the call: it did not invoke the function.
  if (outcome?.kind === 'misconfigured' || outcome?.kind === 'too-large') return;
  counts.count('InvokedBatchCount');
  counts.count('InvokedEventCount', deliveries.length);
  if (outcome?.kind === 'answered' || outcome?.kind === 'failed') reach.reached(subscription);
}

function noVerdictFor({ clock }: Pick<CallParts, 'clock'>, ms: number): DeliveryResult {
  return { kind: 'no-verdict', notBefore: clock.now() + ms };
}

function refuse(
  parts: CallParts,
  { deliveries, subscription }: Batch,
  error: Error,
): DeliveryResult {
  parts.counts.callFailed(deliveries.length);
  parts.reach.refused();
  parts.logger.error(
    {
      err: error,
      function: subscription.handler.functionName,
      code: error instanceof RocketMQError ? error.code : 'ROCKETMQ_HANDLER_MISCONFIGURED',
    },
    'handler not callable, its messages wait',
  );
  if (parts.absent.failed(subscription, true)) return SET_ASIDE;
  parts.lifecycle.stop('handler-misconfigured');
  return NO_VERDICT;
}

/** The call was aborted: the lease is lost, or the rest of the time is needed to commit and release. */
function abandoned(
  parts: CallParts,
  { batch: { batchId, deliveries, subscription }, startedAt }: HandlerCall,
  error: unknown,
): DeliveryResult {
  if (!parts.lifecycle.signal('handlers').aborted) throw error;
  parts.logger.warn(
    { batchId, err: error, code: 'ROCKETMQ_CALL_ABANDONED' },
    'handler not waited for any longer, no failure is counted',
  );
  parts.counts.repeated(deliveries.length);
  const { handler } = subscription;
  if (handler.invocation === 'function') parts.rights.outlived(runsUntil(handler, startedAt));
  return NO_VERDICT;
}

/**
 * Notes in the assignment which single message is about to be delivered, so that the next holder
 * knows it if this one dies. What was settled is committed first: the next holder then begins with
 * the suspect, and does not count the harmless ones before it again.
 */
async function announce(
  { crash, commits, lease, leaseKeeper }: CallParts,
  { deliveries }: Batch,
): Promise<boolean> {
  const [delivery] = deliveries;
  if (crash.record === undefined || delivery === undefined) return true;
  await commits.commit();
  if (crash.record === undefined || !lease.mayAct()) return lease.mayAct();
  crash.suspect(delivery.entry.offset);
  return (await leaseKeeper.renew()) && lease.mayAct();
}
