import { fitsHandler } from '../decide/budget/time-budget.ts';
import { suspect } from '../decide/crash/crash-record.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { type CallOutcome, readOutcome } from '../delivery/read-outcome.ts';
import { RocketMQError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { windowEnd } from './batching-window.ts';
import { bisect } from './bisect-batch.ts';
import { commitOffset } from './commit-offset.ts';
import { confirmDelivery, waitsSince } from './confirm-delivery.ts';
import { renewLease } from './hold-lease.ts';
import { messageSubscription } from './message-subscription.ts';
import { nextBatch, partOf } from './next-batch.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ } from './send-back.ts';
import { settleInOrder, splitInOrder } from './settle-in-order.ts';
import { settleBatch, settleFilteredOut, settleUnhandled } from './settle-messages.ts';
import { storeBodies } from './store-bodies.ts';
import { traceCall } from './trace-calls.ts';
import type { Batch, Delivery, HandlerCall, NextWork } from './work.ts';

/** How often a deliverer looks for messages that wait for their next try. */
const LOOK_MS = 500;
const UNAVAILABLE_BACKOFF = { firstMs: 200, longestMs: 10_000 };
/** On the way out a handler that could not be called is called again after this. */
const UNAVAILABLE_AGAIN_MS = 1_000;
/** Lambda's answer beyond the function's or the account's concurrency. */
const THROTTLED = 'TooManyRequestsException';
/** A suspect that could not be announced waits for the table. */
const ANNOUNCE_AGAIN_MS = 1_000;

/** One of the queue's parallel deliverers: takes a batch, calls the handler, settles, until the session ends. Mirrors ConsumeMessageConcurrentlyService. */
export async function deliverBatches(session: QueueSession): Promise<void> {
  while (session.delivers) {
    const work = session.mayDeliver() ? nextBatch(session) : undefined;
    const filtered = settleFilteredOut(session);
    if (work === undefined && filtered === undefined) {
      // Wakes nobody: idle deliverers would wake each other without end.
      await session.wakeup.wait(lookAgainMs(session));
      continue;
    }
    await Promise.all([filtered, work && carryOut(session, work)]);
    session.wakeup.all();
  }
  await deliverWhatWaits(session);
}

/** @param flush see deliver */
async function carryOut(session: QueueSession, work: NextWork, flush = false): Promise<void> {
  if (work.kind === 'unhandled') await settleUnhandled(session, work);
  else await deliver(session, work, flush).finally(() => work.memory.release());
}

/** The last batch of a queue that is on its way out: whoever comes next would make its messages wait a second window. */
async function deliverWhatWaits(session: QueueSession): Promise<void> {
  if (session.stopPolicy?.flushWindow !== true || !session.mayDeliver()) return;
  const entry = session.messages.peek(session.deps.clock.now());
  if (entry?.message === undefined) return;
  const subscription = messageSubscription(session, entry.message);
  const { count } = session.messages.waiting(session.deps.clock.now());
  // More than one batch did not wait for its window.
  if (subscription?.maximumBatchingWindow === undefined || count >= subscription.batchSize) return;
  const work = nextBatch(session);
  await settleFilteredOut(session);
  if (work?.kind === 'batch') await carryOut(session, work, true);
  else if (work !== undefined) session.messages.giveBack(work.entry, 0, false);
}

/** Until then nothing changes by itself: the next message that waits for its time is due, or it is time to look for others. */
function lookAgainMs(session: QueueSession): number {
  const { messages, deps } = session;
  const now = deps.clock.now();
  return Math.min(
    LOOK_MS,
    (messages.nextDue(now) ?? Number.POSITIVE_INFINITY) - now,
    (windowEnd(session) ?? Number.POSITIVE_INFINITY) - now,
  );
}

/** @param flush the queue is on its way out, and this batch still goes to its handler */
async function deliver(session: QueueSession, batch: Batch, flush = false): Promise<void> {
  const { clock } = session.deps;
  const startedAt = clock.now();
  session.isolating = batch.alone;
  const outcome = await invoke(session, batch, flush).finally(() => {
    session.isolating = false;
  });
  if (outcome === undefined) return;
  session.logger.debug(
    {
      batchId: batch.batchId,
      outcome: outcome.kind,
      messages: batch.deliveries.length,
      ms: clock.now() - startedAt,
    },
    'the handler was called',
  );
  // The lease may have ended while the handler ran: then the next holder delivers again, and nothing of this counts.
  if (!session.mayAct()) return session.noteRepeated(batch.deliveries.length);
  if (outcome.kind === 'too-large') return splitTooLarge(session, batch, outcome.error);
  if (session.order !== undefined) return settleInOrder(session, session.order, batch, outcome);
  if (outcome.kind === 'failed') {
    await failWhole(session, batch, outcome);
    return;
  }
  const { verdict } = outcome;
  if (verdict.kind === 'invalid') {
    session.count('InvalidResponseCount');
    session.count('FailedInvokeEventCount', batch.deliveries.length);
    session.logger.warn(
      {
        batchId: batch.batchId,
        code: 'ROCKETMQ_INVALID_ANSWER',
        messages: batch.deliveries.length,
      },
      `${verdict.reason}: the whole batch is sent back`,
    );
    await settleBatch(session, batch, () => 'default');
    return;
  }
  session.count('FailedInvokeEventCount', verdict.failures.size);
  await settleBatch(session, batch, (position) => verdict.failures.get(position));
}

/** The handler threw, timed out or died. Which message it was, its parts tell; a single one has failed. */
async function failWhole(
  session: QueueSession,
  batch: Batch,
  outcome: Extract<CallOutcome, { kind: 'failed' }>,
): Promise<void> {
  const { errorType, errorMessage } = outcome;
  session.count('InvokeErrorCount');
  session.count('FailedInvokeEventCount', batch.deliveries.length);
  const told = {
    batchId: batch.batchId,
    errorType,
    errorMessage,
    messages: batch.deliveries.length,
  };
  const parts = bisect(session, batch);
  if (parts === 'fail') {
    session.logger.warn(told, 'the handler failed: its batch is sent back');
    return settleBatch(session, batch, () => 'default');
  }
  if (parts === 'leave') {
    session.end('deadline');
    return leave(session, batch);
  }
  session.logger.warn(
    told,
    'the handler failed: its batch is delivered again in two parts, no failure is counted',
  );
  await deliverParts(session, parts);
}

async function deliverParts(session: QueueSession, parts: readonly Batch[]): Promise<void> {
  for (const part of parts) {
    // The queue is on its way out, or its messages were dropped for another offset.
    if (session.delivers && part.deliveries.every(({ entry }) => session.messages.expects(entry)))
      await deliver(session, part);
    else leave(session, part);
  }
}

/** Lambda does not take the event. Its messages go in two events, without a failure; a single one has its end, because it stays as large. */
async function splitTooLarge(session: QueueSession, batch: Batch, error: Error): Promise<void> {
  const { deliveries, batchId } = batch;
  session.count('InvokeErrorCount');
  session.logger.warn(
    { err: error, batchId, code: 'ROCKETMQ_EVENT_TOO_LARGE', messages: deliveries.length },
    'event refused by Lambda, its messages are delivered in smaller events',
  );
  const [single] = deliveries;
  if (deliveries.length === 1 && single !== undefined)
    return settleUnhandled(session, {
      kind: 'unhandled',
      entry: single.entry,
      delayLevel: DLQ,
      condition: 'MaximumPayloadSizeExceeded',
      code: 'ROCKETMQ_EVENT_TOO_LARGE',
      reason: 'the event of a single message is larger than Lambda takes: set s3PointerThreshold',
    });
  if (session.order !== undefined) return splitInOrder(session, batch);
  const middle = Math.ceil(deliveries.length / 2);
  await deliverParts(session, [
    partOf(session, batch, 0, middle),
    partOf(session, batch, middle, deliveries.length),
  ]);
}

type VerdictOutcome = Extract<CallOutcome, { kind: 'answered' | 'failed' | 'too-large' }>;

/** Calls the handler until it gave a verdict. undefined: it could not be called; the messages stay unfinished. */
async function invoke(
  session: QueueSession,
  batch: Batch,
  flush: boolean,
): Promise<VerdictOutcome | undefined> {
  const { clock } = session.deps;
  let since = waitsSince(batch) ?? clock.now();
  if (!(await storeBodies(session, batch))) return undefined;
  for (let attempt = 1; ; attempt++) {
    const release = await session.permit(batch.subscription);
    if (release === undefined) return leave(session, batch);
    if (!(await confirmDelivery(session, batch, since)) || !(flush || session.delivers)) {
      release();
      return leave(session, batch);
    }
    const outcome = await tryToInvoke(session, batch, attempt)
      .then((told) => outlast(session, batch, told))
      .finally(release);
    if (outcome?.kind !== 'unavailable') return outcome;
    session.count(outcome.error.name === THROTTLED ? 'ThrottleCount' : 'InvokeErrorCount');
    if (outcome.mayRun === true) session.noteRepeated(batch.deliveries.length);
    if (outcome.mayRun === true && session.order !== undefined) {
      session.logger.warn(
        { err: outcome.error, batchId: batch.batchId },
        'the answer of the handler was lost: its order waits until it cannot run any more',
      );
      session.outlived(batch.subscription.handler.timeout * 1000);
      return leave(session, batch);
    }
    const waitMs = backoff(attempt, session.deps.random(), UNAVAILABLE_BACKOFF);
    session.logger.warn(
      { err: outcome.error, attempt, waitMs: Math.round(waitMs) },
      'the handler is throttled or out of reach: trying again, no failure is counted',
    );
    since = clock.now();
    await session.pause(waitMs);
  }
}

/** Where calls are limited, one whose answer got lost counts as long as its function may run. */
async function outlast<Outcome extends CallOutcome | undefined>(
  session: QueueSession,
  { subscription }: Batch,
  outcome: Outcome,
): Promise<Outcome> {
  if (
    outcome?.kind !== 'unavailable' ||
    outcome.mayRun !== true ||
    subscription.maximumConcurrency === undefined
  )
    return outcome;
  const timeoutMs = subscription.handler.timeout * 1000;
  const signal = session.lifecycle.signal('handlers');
  session.logger.warn(
    { err: outcome.error, waitMs: timeoutMs },
    'the answer of the handler was lost: its call counts until it cannot run any more',
  );
  await session.deps.clock.sleep(timeoutMs, signal).catch(() => {});
  if (!signal.aborted) return { ...outcome, mayRun: false };
  session.outlived(timeoutMs);
  return outcome;
}

async function tryToInvoke(
  session: QueueSession,
  batch: Batch,
  attempt: number,
): Promise<VerdictOutcome | Extract<CallOutcome, { kind: 'unavailable' }> | undefined> {
  const { deps, options } = session;
  const { handler } = batch.subscription;
  const timeoutMs = handler.timeout * 1000;
  if (!fitsHandler(deps.remainingMs(), timeoutMs, options.reserveMs)) {
    session.end('deadline');
    return leave(session, batch);
  }
  if (!session.mayDeliver()) return leave(session, batch);
  // Popped messages are delivered even then, but not without the back-off that the end of the queue has cut short.
  if (attempt > 1 && session.ending !== undefined)
    return leave(session, batch, deps.clock.now() + UNAVAILABLE_AGAIN_MS);
  if (batch.alone && !(await announce(session, batch)))
    return leave(session, batch, deps.clock.now() + ANNOUNCE_AGAIN_MS);
  const abandon = new AbortController();
  const call: HandlerCall = { batch, startedAt: deps.clock.now(), abandon, expired: undefined };
  session.calls.add(call);
  const ends = linkSignals(session.lifecycle.signal('handlers'), abandon.signal);
  try {
    session.count('InvokedBatchCount');
    session.count('InvokedEventCount', batch.deliveries.length);
    session.noteCall((batch.deliveries[0] as Delivery).message);
    const payload = batch.payload(attempt, call.startedAt + timeoutMs);
    const ended = traceCall(session, batch);
    const outcome = readOutcome(
      await deps.handlers(handler).invoke(payload, { timeoutMs, signal: ends.signal }),
      batch.items,
      batch.subscription,
    );
    ended(call.expired === undefined ? outcome : 'expired');
    if (call.expired !== undefined) return await call.expired.then(() => undefined);
    if (outcome.kind !== 'misconfigured') return outcome;
    session.count('InvokeErrorCount');
    session.logger.error(
      { err: outcome.error, function: handler.functionName, code: errorCode(outcome.error) },
      'the handler cannot be invoked: its messages wait',
    );
    session.end('handler-misconfigured');
    return leave(session, batch);
  } catch (error) {
    if (call.expired !== undefined) return await call.expired.then(() => undefined);
    if (!session.lifecycle.signal('handlers').aborted) throw error;
    session.logger.warn(
      { batchId: batch.batchId, err: error },
      'the handler was not waited for any longer: no failure is counted',
    );
    session.noteRepeated(batch.deliveries.length);
    if (handler.invocation === 'function') session.outlived(timeoutMs);
    return leave(session, batch);
  } finally {
    ends.unlink();
    session.calls.delete(call);
  }
}

function errorCode(error: Error): string {
  return error instanceof RocketMQError ? error.code : 'ROCKETMQ_HANDLER_MISCONFIGURED';
}

/** Puts the batch back unfinished: whoever comes next delivers it. After a lost lease it stays as it is, see `mayRelease`. */
function leave(session: QueueSession, batch: Batch, notBefore = 0): undefined {
  if (session.lifecycle.isLost) return undefined;
  for (const { entry } of batch.deliveries) session.messages.giveBack(entry, notBefore, false);
  return undefined;
}

/**
 * Notes in the assignment which single message is about to be delivered, so that the next holder knows it if this one dies. What was settled is
 * committed first: the next holder then begins with the suspect, and does not count the harmless ones before it anew.
 */
async function announce(session: QueueSession, batch: Batch): Promise<boolean> {
  const [delivery] = batch.deliveries;
  if (session.crash === undefined || delivery === undefined) return true;
  await commitOffset(session);
  if (session.crash === undefined || !session.mayAct()) return session.mayAct();
  session.crash = suspect(session.crash, delivery.entry.offset);
  return (await renewLease(session)) && session.mayAct();
}
