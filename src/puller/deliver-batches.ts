import type { CallOutcome } from '../delivery/read-outcome.ts';
import { windowEnd } from './batching-window.ts';
import { bisect } from './bisect-batch.ts';
import { callHandler } from './call-handler.ts';
import { waitsSince } from './confirm-delivery.ts';
import { messageSubscription } from './message-subscription.ts';
import { nextBatch, partOf } from './next-batch.ts';
import type { QueueSession } from './queue-session.ts';
import { holdsLease } from './regain-lease.ts';
import { DLQ } from './send-back.ts';
import { settleInOrder, splitInOrder } from './settle-in-order.ts';
import { settleBatch, settleFilteredOut, settleUnhandled } from './settle-messages.ts';
import type { Batch, NextWork } from './work.ts';

/** How often a deliverer looks for messages that wait for their next try. */
const LOOK_MS = 500;

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

/**
 * @param flush the queue is on its way out, and this batch still goes to its handler
 * @param waitsFrom since when the messages wait for more than their turn, epoch ms; undefined: they do not
 */
async function deliver(
  session: QueueSession,
  batch: Batch,
  flush = false,
  waitsFrom = waitsSince(batch),
): Promise<void> {
  const { clock } = session.deps;
  const startedAt = clock.now();
  session.isolating = batch.alone;
  const result = await callHandler(session, batch, flush, waitsFrom).finally(() => {
    session.isolating = false;
  });
  if (result.kind === 'settled') return;
  if (result.kind === 'no-verdict') return requeueBatch(session, batch, result.notBefore);
  const { outcome } = result;
  session.logger.debug(
    {
      batchId: batch.batchId,
      outcome: outcome.kind,
      messages: batch.deliveries.length,
      ms: clock.now() - startedAt,
    },
    'the handler was called',
  );
  // Somebody may have taken over while the handler ran: then the next holder delivers again, and nothing of this counts.
  if (!(await holdsLease(session))) return session.noteRepeated(batch.deliveries.length);
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
  const failure = {
    code: 'ROCKETMQ_HANDLER_FAILED',
    batchId: batch.batchId,
    errorType,
    errorMessage,
    messages: batch.deliveries.length,
  };
  const parts = bisect(session, batch);
  if (parts === 'fail') {
    session.logger.warn(failure, 'handler failed, batch sent back');
    return settleBatch(session, batch, () => 'default');
  }
  if (parts === 'leave') {
    session.end('deadline');
    return requeueBatch(session, batch);
  }
  session.logger.warn(
    failure,
    'handler failed, batch delivered again in two parts, no failure is counted',
  );
  await deliverParts(session, parts);
}

async function deliverParts(session: QueueSession, parts: readonly Batch[]): Promise<void> {
  // A part waits while the handler has the one before it.
  const since = session.deps.clock.now();
  for (const part of parts) {
    // The queue is on its way out, or its messages were dropped for another offset.
    if (session.delivers && part.deliveries.every(({ entry }) => session.messages.expects(entry)))
      await deliver(session, part, false, since);
    else requeueBatch(session, part);
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

/** Puts the batch back unfinished. After a lost lease it stays as it is, see `mayRelease`. */
function requeueBatch(session: QueueSession, batch: Batch, notBefore = 0): void {
  if (session.lifecycle.isLost) return;
  for (const { entry } of batch.deliveries) session.messages.giveBack(entry, notBefore, false);
}
