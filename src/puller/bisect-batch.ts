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
  const { deps, options, lease } = session;
  const { deliveries, subscription } = batch;
  if (deliveries.length < 2 || subscription.bisectBatchOnFunctionError === false) return 'fail';
  const timeoutMs = subscription.handler.timeout * 1000;
  const calls = (ms: number): number => Math.floor(workTime(ms, options.reserveMs) / timeoutMs);
  const callsLeft = calls(deps.remainingMs());
  const decision = bisection(callsLeft, calls(lease.endsAt - lease.acquiredAt));
  if (decision !== 'split') return decision;
  const middle = firstPart(deliveries.length, callsLeft);
  return [partOf(session, batch, 0, middle), partOf(session, batch, middle, deliveries.length)];
}
