import { waitsUntil } from '../decide/batch/batching-window.ts';
import { fitsHandler } from '../decide/budget/time-budget.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { MAX_EVENT_BYTES } from '../delivery/batch.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';

/** A window ends so long before its handler would no longer fit into the invocation. */
const MARGIN_MS = 2_000;

export interface WindowParts extends Pick<PullerDeps, 'clock' | 'remainingMs'> {
  readonly options: Pick<PullerOptions, 'flowLimits' | 'reserveMs'>;
  readonly subscriptions: Pick<QueueSubscriptions, 'all' | 'ofMessage'>;
  readonly messages: Pick<ProcessQueue, 'batch' | 'waiting' | 'count' | 'bytes' | 'span'>;
  readonly memory: Pick<QueueMemory, 'waits'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending'>;
  readonly crash: Pick<CrashKeeper, 'isolation'>;
  readonly batchLimits: Pick<BatchLimits, 'maxMessagesAt'>;
}

/** Until when the next batch waits to become full (`maximumBatchingWindow`), epoch ms; undefined: it goes now, or there is none. */
export function windowEnd(parts: WindowParts): number | undefined {
  const { messages, subscriptions, clock, lifecycle } = parts;
  if (
    lifecycle.ending !== undefined ||
    !subscriptions.all.some(({ maximumBatchingWindow = 0 }) => maximumBatchingWindow > 0)
  )
    return undefined;
  const now = clock.now();
  const entry = messages.batch(now)();
  if (entry?.message === undefined || !mayWait(parts, entry)) return undefined;
  const subscription = subscriptions.ofMessage(entry.message);
  if (subscription?.maximumBatchingWindow === undefined) return undefined;
  const { handler, batchSize, maximumBatchingWindow } = subscription;
  if (!fitsLater(parts, handler.timeout * 1000)) return undefined;
  const maxBytes = handler.invocation === 'inline' ? undefined : MAX_EVENT_BYTES;
  return waitsUntil(
    { ...messages.waiting(now), since: entry.since },
    { batchSize, maxBytes, windowMs: maximumBatchingWindow * 1000 },
    now,
  );
}

/** What was tried before has waited enough; what may have killed its puller goes alone; smaller batches are full. */
function mayWait(
  { crash, batchLimits }: Pick<WindowParts, 'crash' | 'batchLimits'>,
  { offset, localRetries }: { readonly offset: bigint; readonly localRetries: number },
): boolean {
  return (
    localRetries === 0 &&
    crash.isolation(offset) === 'batch' &&
    batchLimits.maxMessagesAt(offset) === undefined
  );
}

/** More messages can come, and there will be time for their handler. */
function fitsLater(
  { memory, messages, options, remainingMs }: WindowParts,
  handlerTimeoutMs: number,
): boolean {
  return (
    !memory.waits &&
    flowControl(messages, options.flowLimits) === undefined &&
    fitsHandler(remainingMs() - MARGIN_MS, handlerTimeoutMs, options.reserveMs)
  );
}
