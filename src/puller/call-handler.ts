import { fitsHandler } from '../decide/budget/time-budget.ts';
import { suspect } from '../decide/crash/crash-record.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { type CallOutcome, readOutcome } from '../delivery/read-outcome.ts';
import { RocketMQError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { commitOffset } from './commit-offset.ts';
import { confirmDelivery } from './confirm-delivery.ts';
import { renewLease } from './hold-lease.ts';
import type { QueueSession } from './queue-session.ts';
import { storeBodies } from './store-bodies.ts';
import { traceCall } from './trace-calls.ts';
import type { Batch, Delivery, HandlerCall } from './work.ts';

const UNAVAILABLE_BACKOFF = { firstMs: 200, longestMs: 10_000 };
/** While the queue drains, a handler that could not be called is called again after this. */
const UNAVAILABLE_AGAIN_MS = 1_000;
/** Lambda's answer beyond the function's or the account's concurrency. */
const THROTTLED = 'TooManyRequestsException';
/** A suspect that could not be announced waits for the table. */
const ANNOUNCE_AGAIN_MS = 1_000;

/** How the delivery of a batch ended. */
export type DeliveryResult =
  /** The handler, or Lambda about this event, has spoken. */
  | {
      readonly kind: 'verdict';
      readonly outcome: Extract<CallOutcome, { kind: 'answered' | 'failed' | 'too-large' }>;
    }
  /** The messages have their end already: they took longer than `consumeTimeout`, or wait for their bodies. */
  | { readonly kind: 'settled' }
  /** No verdict: the messages stay unfinished, and are not delivered again before `notBefore`, epoch ms. */
  | { readonly kind: 'no-verdict'; readonly notBefore: number };

type Unavailable = Extract<CallOutcome, { kind: 'unavailable' }>;

const SETTLED = { kind: 'settled' } as const;
const NO_VERDICT = { kind: 'no-verdict', notBefore: 0 } as const;

/**
 * Calls the handler until there is a verdict, or none can be had in this invocation: the queue drains,
 * its position was changed, or an order has to wait for a function whose answer was lost. Throttles
 * and lost networks count as no failure.
 * @param flush the queue is on its way out, and this batch still goes to its handler
 * @param waitsFrom since when its messages wait for more than their turn, epoch ms; undefined: they do not
 */
export async function callHandler(
  session: QueueSession,
  batch: Batch,
  flush: boolean,
  waitsFrom: number | undefined,
): Promise<DeliveryResult> {
  const { clock } = session.deps;
  let since = waitsFrom ?? clock.now();
  if (!(await storeBodies(session, batch))) return SETTLED;
  for (let attempt = 1; ; attempt++) {
    const result = await inPermit(session, batch, async () => {
      const isWanted = await confirmDelivery(session, batch, since);
      if (!isWanted || !(flush || session.delivers)) return NO_VERDICT;
      const outcome = await callOnce(session, batch, attempt, flush);
      return outcome.kind === 'unavailable'
        ? await countLostCall(session, batch, outcome)
        : outcome;
    });
    if (result.kind !== 'unavailable') return result;
    // Due at once, but not before its queue opens again: what is known of the queue is old by then.
    if (waitsForLostCall(session, batch, result))
      return { kind: 'no-verdict', notBefore: clock.now() };
    since = clock.now();
    await backOff(session, result, attempt);
  }
}

/** Within the right to call the handler, where calls are limited over all queues (`maximumConcurrency`). */
async function inPermit<Result>(
  session: QueueSession,
  batch: Batch,
  call: () => Promise<Result>,
): Promise<Result | typeof NO_VERDICT> {
  const release = await session.permit(batch.subscription);
  return release === undefined ? NO_VERDICT : await call().finally(release);
}

/** Where calls are limited, one whose answer got lost counts as long as its function may run. */
async function countLostCall(
  session: QueueSession,
  { subscription }: Batch,
  outcome: Unavailable,
): Promise<Unavailable> {
  if (outcome.mayRun !== true || subscription.maximumConcurrency === undefined) return outcome;
  const timeoutMs = subscription.handler.timeout * 1000;
  const signal = session.lifecycle.signal('handlers');
  session.logger.warn(
    { err: outcome.error, waitMs: timeoutMs, code: 'ROCKETMQ_ANSWER_LOST' },
    'handler response lost, its call counts until the handler timeout has passed',
  );
  await session.deps.clock.sleep(timeoutMs, signal).catch(() => {});
  if (!signal.aborted) return { ...outcome, mayRun: false };
  session.outlived(timeoutMs);
  return outcome;
}

/** Nothing may overtake a function that may still be at work with messages of an ordered queue. */
function waitsForLostCall(
  session: QueueSession,
  { batchId, deliveries, subscription }: Batch,
  { error, mayRun = false }: Unavailable,
): boolean {
  session.count(error.name === THROTTLED ? 'ThrottleCount' : 'InvokeErrorCount');
  if (!mayRun) return false;
  session.noteRepeated(deliveries.length);
  if (session.order === undefined) return false;
  session.logger.warn(
    { err: error, batchId, code: 'ROCKETMQ_ANSWER_LOST' },
    'handler response lost, ordered delivery paused until the handler timeout has passed',
  );
  session.outlived(subscription.handler.timeout * 1000);
  return true;
}

async function backOff(
  session: QueueSession,
  { error }: Unavailable,
  attempt: number,
): Promise<void> {
  const waitMs = backoff(attempt, session.deps.random(), UNAVAILABLE_BACKOFF);
  session.logger.warn(
    { err: error, attempt, waitMs: Math.round(waitMs), code: 'ROCKETMQ_HANDLER_UNAVAILABLE' },
    'handler throttled or not reachable, calling it again, no failure is counted',
  );
  await session.pause(waitMs);
}

async function callOnce(
  session: QueueSession,
  batch: Batch,
  attempt: number,
  flush: boolean,
): Promise<DeliveryResult | Unavailable> {
  const { deps, options } = session;
  const { handler } = batch.subscription;
  if (!fitsHandler(deps.remainingMs(), handler.timeout * 1000, options.reserveMs)) {
    session.end('deadline');
    return NO_VERDICT;
  }
  if (!session.mayDeliver()) return NO_VERDICT;
  // Popped messages are delivered even then, but not without the back-off that the end of the queue has cut short.
  if (attempt > 1 && session.ending !== undefined)
    return noVerdictFor(session, UNAVAILABLE_AGAIN_MS);
  if (batch.alone) {
    if (!(await announce(session, batch))) return noVerdictFor(session, ANNOUNCE_AGAIN_MS);
    // Its commit and its renewal tell of a reset, a pause, a move.
    const isExpected = batch.deliveries.every(({ entry }) => session.messages.expects(entry));
    if (!isExpected || !(flush || session.delivers)) return NO_VERDICT;
  }
  const abandon = new AbortController();
  const call: HandlerCall = { batch, startedAt: deps.clock.now(), abandon, expired: undefined };
  session.calls.add(call);
  try {
    const outcome = await invoke(session, call, attempt);
    if (outcome.kind === 'misconfigured') return refuse(session, batch, outcome.error);
    return outcome.kind === 'unavailable' ? outcome : { kind: 'verdict', outcome };
  } catch (error) {
    if (call.expired === undefined) return abandoned(session, batch, error);
  } finally {
    session.calls.delete(call);
  }
  await call.expired;
  return SETTLED;
}

/** @throws what ends the call before its outcome; also when its messages were sent back meanwhile */
async function invoke(
  session: QueueSession,
  call: HandlerCall,
  attempt: number,
): Promise<CallOutcome> {
  const { deps } = session;
  const { batch, startedAt, abandon } = call;
  const { handler } = batch.subscription;
  const timeoutMs = handler.timeout * 1000;
  const ends = linkSignals(session.lifecycle.signal('handlers'), abandon.signal);
  try {
    session.count('InvokedBatchCount');
    session.count('InvokedEventCount', batch.deliveries.length);
    session.noteCall((batch.deliveries[0] as Delivery).message);
    const payload = batch.payload(attempt, startedAt + timeoutMs);
    const ended = traceCall(session, batch);
    const outcome = readOutcome(
      await deps.handlers(handler).invoke(payload, { timeoutMs, signal: ends.signal }),
      batch.items,
      batch.subscription,
    );
    ended(call.expired === undefined ? outcome : 'expired');
    if (call.expired !== undefined) throw new Error('the messages of the call were sent back');
    return outcome;
  } finally {
    ends.unlink();
  }
}

function noVerdictFor({ deps }: QueueSession, ms: number): DeliveryResult {
  return { kind: 'no-verdict', notBefore: deps.clock.now() + ms };
}

function refuse(session: QueueSession, { subscription }: Batch, error: Error): DeliveryResult {
  session.count('InvokeErrorCount');
  session.logger.error(
    {
      err: error,
      function: subscription.handler.functionName,
      code: error instanceof RocketMQError ? error.code : 'ROCKETMQ_HANDLER_MISCONFIGURED',
    },
    'handler not callable, its messages wait',
  );
  session.end('handler-misconfigured');
  return NO_VERDICT;
}

/** The call was aborted: the lease is lost, or the rest of the time is needed to commit and release. */
function abandoned(
  session: QueueSession,
  { batchId, deliveries, subscription }: Batch,
  error: unknown,
): DeliveryResult {
  if (!session.lifecycle.signal('handlers').aborted) throw error;
  session.logger.warn(
    { batchId, err: error, code: 'ROCKETMQ_CALL_ABANDONED' },
    'handler not waited for any longer, no failure is counted',
  );
  session.noteRepeated(deliveries.length);
  const { handler } = subscription;
  if (handler.invocation === 'function') session.outlived(handler.timeout * 1000);
  return NO_VERDICT;
}

/**
 * Notes in the assignment which single message is about to be delivered, so that the next holder
 * knows it if this one dies. What was settled is committed first: the next holder then begins with
 * the suspect, and does not count the harmless ones before it again.
 */
async function announce(session: QueueSession, batch: Batch): Promise<boolean> {
  const [delivery] = batch.deliveries;
  if (session.crash === undefined || delivery === undefined) return true;
  await commitOffset(session);
  if (session.crash === undefined || !session.mayAct()) return session.mayAct();
  session.crash = suspect(session.crash, delivery.entry.offset);
  return (await renewLease(session)) && session.mayAct();
}
