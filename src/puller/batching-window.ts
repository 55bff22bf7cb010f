import { waitsUntil } from '../decide/batch/batching-window.ts';
import { fitsHandler } from '../decide/budget/time-budget.ts';
import { isolation } from '../decide/crash/crash-record.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import { MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { messageSubscription } from './message-subscription.ts';
import type { QueueSession } from './queue-session.ts';

/** A window ends so long before its handler would no longer fit into the invocation. */
const MARGIN_MS = 2_000;

/** Until when the next batch waits to become full (`maximumBatchingWindow`), epoch ms; undefined: it goes now, or there is none. */
export function windowEnd(session: QueueSession): number | undefined {
  const { messages, source, deps, options } = session;
  if (
    session.ending !== undefined ||
    !source.subscriptions.some(({ maximumBatchingWindow = 0 }) => maximumBatchingWindow > 0)
  )
    return undefined;
  const now = deps.clock.now();
  const entry = messages.batch(now)();
  // What was tried before has waited enough; what may have killed its puller goes alone.
  if (
    entry?.message === undefined ||
    entry.localRetries > 0 ||
    isolation(session.crash, entry.offset) !== 'batch'
  )
    return undefined;
  if (session.batchLimitOf(entry) !== undefined) return undefined;
  const subscription = messageSubscription(session, entry.message);
  if (subscription?.maximumBatchingWindow === undefined) return undefined;
  const { handler, batchSize, maximumBatchingWindow } = subscription;
  // No more can come.
  if (session.memory.waits || flowControl(messages, options.flowLimits) !== undefined)
    return undefined;
  if (!fitsHandler(deps.remainingMs() - MARGIN_MS, handler.timeout * 1000, options.reserveMs))
    return undefined;
  const maxBytes = handler.invocation === 'inline' ? Number.POSITIVE_INFINITY : MAX_EVENT_BYTES;
  return waitsUntil(
    { ...messages.waiting(now), since: entry.since },
    { batchSize, maxBytes, windowMs: maximumBatchingWindow * 1000 },
    now,
  );
}
