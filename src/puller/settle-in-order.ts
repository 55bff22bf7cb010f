import { firstPart } from '../decide/batch/bisect.ts';
import { blocksForLong, endsInOrder, type OrderedResult } from '../decide/order/ends-in-order.ts';
import type { Redelivery } from '../decide/retry/redelivery.ts';
import type { CallOutcome } from '../delivery/read-outcome.ts';
import type { FailureCondition } from '../model/failure.ts';
import { failedDeliveries } from '../records/own-retry.ts';
import { callsLeft } from './bisect-batch.ts';
import { endForGood } from './dead-letter.ts';
import { maxReconsumeTimes } from './next-batch.ts';
import type { QueueOrder } from './queue-order.ts';
import type { QueueSession } from './queue-session.ts';
import { endingItself, noteDropped } from './settle-messages.ts';
import type { Delivery, NextWork } from './work.ts';

type Batch = Extract<NextWork, { kind: 'batch' }>;
type Verdict = OrderedResult['verdict'];

/**
 * Gives the messages of an ordered batch their ends: done, or again in their place after the suspension, or (at the limit) to the DLQ. Nothing is sent
 * back to be redelivered: it would be overtaken. Mirrors ConsumeMessageOrderlyService.processConsumeResult.
 */
export async function settleInOrder(
  session: QueueSession,
  order: QueueOrder,
  batch: Batch,
  outcome: Extract<CallOutcome, { kind: 'answered' | 'failed' }>,
): Promise<void> {
  const reading = outcome.kind === 'answered' ? outcome.verdict : undefined;
  if (outcome.kind === 'answered' && reading?.kind === 'read') {
    const { suspension } = outcome;
    if (suspension === 'invalid')
      session.logger.warn(
        { batchId: batch.batchId, code: 'ROCKETMQ_INVALID_ANSWER' },
        'suspendCurrentQueueTimeMillis of the answer is not a whole number: the configured one counts',
      );
    session.count('FailedInvokeEventCount', reading.failures.size);
    return settle(
      session,
      order,
      batch,
      (position) => verdictOf(reading.failures.get(position)),
      suspension,
    );
  }
  const { batchId, deliveries } = batch;
  session.count(outcome.kind === 'failed' ? 'InvokeErrorCount' : 'InvalidResponseCount');
  session.count('FailedInvokeEventCount', deliveries.length);
  session.logger.warn(
    outcome.kind === 'failed'
      ? {
          batchId,
          errorType: outcome.errorType,
          errorMessage: outcome.errorMessage,
          messages: deliveries.length,
        }
      : { batchId, code: 'ROCKETMQ_INVALID_ANSWER', messages: deliveries.length },
    `${outcome.kind === 'failed' ? 'the handler failed' : reading?.kind === 'invalid' ? reading.reason : ''}: its batch is delivered again, in order`,
  );
  if (deliveries.length > 1 && batch.subscription.bisectBatchOnFunctionError !== false)
    return splitInOrder(session, batch);
  return settle(session, order, batch, () => 'failed', undefined);
}

/** When it comes again is the order's matter: delays that an answer gives do not count, its suspension does. */
function verdictOf(said: Redelivery | 'default' | undefined): Verdict {
  if (said === undefined) return 'done';
  return said !== 'default' && (said.kind === 'dlq' || said.kind === 'drop') ? said.kind : 'failed';
}

/**
 * A batch that failed as a whole does not tell which message it was: it comes again in halves until a single one fails, so that no other is counted
 * as failed in its place. A split uses no retry.
 */
export function splitInOrder(session: QueueSession, batch: Batch): void {
  session.limitBatches(
    batch.deliveries,
    firstPart(batch.deliveries.length, callsLeft(session, batch)),
  );
  for (const { entry } of batch.deliveries) session.messages.giveBack(entry, 0, false);
}

async function settle(
  session: QueueSession,
  order: QueueOrder,
  { deliveries, items, subscription, batchId }: Batch,
  resultOf: (position: number) => Verdict,
  suspension: number | 'invalid' | undefined,
): Promise<void> {
  const { messages, deps, logger } = session;
  const results = deliveries.map(({ entry, message }, position) => ({
    lane: entry.lane,
    failures: failedDeliveries(message, session.source) + entry.localRetries,
    maxFailures: maxReconsumeTimes(subscription, message),
    verdict: resultOf(position),
  }));
  const suspendMs =
    typeof suspension === 'number'
      ? suspension
      : (subscription.order?.suspendCurrentQueueTimeMillis ?? 0);
  const dead: { delivery: Delivery; condition: FailureCondition }[] = [];
  let handled = 0;
  for (const [position, end] of endsInOrder(results).entries()) {
    const delivery = deliveries[position] as Delivery;
    const { entry } = delivery;
    switch (end) {
      case 'drop':
        noteDropped(session, batchId, entry, items[position]);
        messages.settle(entry);
        break;
      case 'done':
        if (messages.settle(entry)) handled++;
        break;
      case 'untouched':
        messages.giveBack(entry, 0, false);
        break;
      case 'dlq':
        dead.push({
          delivery,
          condition:
            results[position]?.verdict === 'dlq' ? 'RejectedByHandler' : 'RetryAttemptsExhausted',
        });
        break;
      case 'again': {
        const failures = (results[position]?.failures ?? 0) + 1;
        const told = {
          batchId,
          offset: String(entry.offset),
          lane: entry.lane,
          failures,
          suspendMs,
        };
        if (blocksForLong(failures))
          logger.error(
            {
              ...told,
              code: 'ROCKETMQ_ORDER_BLOCKED',
              maximumRetryAttempts: subscription.maximumRetryAttempts,
            },
            'a message fails again and again, and all that is behind it in its order waits: mend its handler, or set maximumRetryAttempts to have it dead-lettered',
          );
        else
          logger.warn(
            told,
            'a message failed: what is behind it in its order waits until it is delivered again',
          );
        if (messages.giveBack(entry, deps.clock.now() + suspendMs, true)) {
          order.unsaved = true;
          session.count('RetriedEventCount');
        }
      }
    }
  }
  session.noteHandled(handled);
  // Their lanes wait for them: a message counts as with its handler until it is in the DLQ.
  await Promise.all(
    dead.map(
      endingItself(session, ({ delivery, condition }) => giveUp(session, delivery, condition)),
    ),
  );
}

async function giveUp(
  session: QueueSession,
  { entry }: Delivery,
  condition: FailureCondition,
): Promise<void> {
  await endForGood(session, entry, condition);
  if (entry.state === 'done')
    session.logger.error(
      { code: 'ROCKETMQ_DEAD_LETTERED', offset: String(entry.offset), lane: entry.lane },
      'a message is dead-lettered: its order goes on',
    );
}
