import { bisection, firstPart } from '../decide/batch/bisect.ts';
import { workTime } from '../decide/budget/time-budget.ts';
import { partOf } from './next-batch.ts';
import type { QueueSession } from './queue-session.ts';
import type { Batch } from './work.ts';

/**
 * The two parts of a batch that failed as a whole, to be delivered at once, one after the other, without counting a retry: `bisectBatchOnFunctionError`.
 * 'fail': it is not split. 'leave': the next holder has the time for it.
 */
export function bisect(session: QueueSession, batch: Batch): readonly Batch[] | 'fail' | 'leave' {
  const { lease } = session;
  const { deliveries, subscription } = batch;
  if (deliveries.length < 2 || subscription.bisectBatchOnFunctionError === false) return 'fail';
  const left = callsLeft(session, batch);
  const decision = bisection(left, callsWithin(session, batch, lease.endsAt - lease.acquiredAt));
  // Whoever goes on, this invocation or the next one, does not begin with the whole batch again.
  if (decision !== 'fail') session.limitBatches(deliveries, Math.ceil(deliveries.length / 2));
  if (decision !== 'split') return decision;
  const middle = firstPart(deliveries.length, left);
  return [partOf(session, batch, 0, middle), partOf(session, batch, middle, deliveries.length)];
}

/** Calls of the batch's handler, each with its whole timeout, that fit into the rest of the invocation. */
export function callsLeft(session: QueueSession, batch: Batch): number {
  return callsWithin(session, batch, session.deps.remainingMs());
}

function callsWithin({ options }: QueueSession, { subscription }: Batch, ms: number): number {
  return Math.floor(workTime(ms, options.reserveMs) / (subscription.handler.timeout * 1000));
}
