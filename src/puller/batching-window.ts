import { waitsUntil } from '../decide/batch/batching-window.ts';
import { fitsHandler } from '../decide/budget/time-budget.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { MAX_EVENT_BYTES } from '../delivery/batch.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { areOfOneQueue, isDeliveredAlone } from './batch-borders.ts';
import type { BatchFill } from './batch-fill.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';

/** A window ends so long before its handler would no longer fit into the invocation. */
const MARGIN_MS = 2_000;

export interface WindowParts extends Pick<PullerDeps, 'clock' | 'remainingMs'> {
  readonly options: Pick<PullerOptions, 'flowLimits' | 'reserveMs'>;
  readonly subscriptions: Pick<QueueSubscriptions, 'all' | 'ofMessage'>;
  readonly source: SourceConfig;
  readonly messages: Pick<
    ProcessQueue,
    'batch' | 'waiting' | 'takeable' | 'count' | 'bytes' | 'span'
  >;
  readonly memory: Pick<QueueMemory, 'isFull'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending'>;
  readonly crash: Pick<CrashKeeper, 'isolation'>;
  readonly batchLimits: Pick<BatchLimits, 'maxMessagesAt'>;
  readonly fill: BatchFill;
  /** Has the broker more messages, which the next pulls bring at once? */
  readonly hasBacklog: () => boolean;
}

/**
 * Until when the next batch waits to become full, epoch ms; undefined: it goes now, or there is none.
 * It waits for its window (`maximumBatchingWindow`), and for the next pulls while there is a backlog.
 */
export function windowEnd(parts: WindowParts): number | undefined {
  const { messages, subscriptions, clock, lifecycle, fill } = parts;
  const hasBacklog = parts.hasBacklog();
  if (
    lifecycle.ending !== undefined ||
    !(
      hasBacklog ||
      subscriptions.all.some(({ maximumBatchingWindow = 0 }) => maximumBatchingWindow > 0)
    )
  )
    return undefined;
  const now = clock.now();
  const first = messages.batch(now)();
  if (first?.message === undefined) return undefined;
  const subscription = subscriptions.ofMessage(first.message);
  if (subscription === undefined || !mayWait(parts, first, subscription, now)) return undefined;
  const { handler, batchSize, maximumBatchingWindow = 0 } = subscription;
  if (batchSize <= 1 || !fitsLater(parts, handler.timeout * 1000)) return undefined;
  const waiting = waitingFor(parts, subscription, now);
  if (waiting === 'complete') return undefined;
  return waitsUntil(
    { ...waiting, since: first.since, fillsSince: hasBacklog ? fill.since(first, now) : undefined },
    {
      batchSize,
      maxBytes: handler.invocation === 'inline' ? undefined : MAX_EVENT_BYTES,
      windowMs: maximumBatchingWindow * 1000,
    },
    now,
  );
}

/** What was tried before has waited enough; what may have killed its puller goes alone; smaller batches are full. */
function mayWait(
  { crash, batchLimits, source }: Pick<WindowParts, 'crash' | 'batchLimits' | 'source'>,
  { offset, localRetries, message }: QueueEntry,
  subscription: SubscriptionConfig,
  now: number,
): boolean {
  return (
    localRetries === 0 &&
    message !== undefined &&
    crash.isolation(offset) === 'batch' &&
    batchLimits.maxMessagesAt(offset) === undefined &&
    !isDeliveredAlone(source, subscription, localRetries, message, now)
  );
}

type Waiting = ReturnType<ProcessQueue['waiting']>;

/** What the next batch could have; `complete`: it ends at a message that belongs into another one. */
function waitingFor(
  { messages, source, subscriptions }: Pick<WindowParts, 'messages' | 'source' | 'subscriptions'>,
  subscription: SubscriptionConfig,
  now: number,
): Waiting | 'complete' {
  const { batchSize, eventFormat } = subscription;
  const isOfOneQueue = eventFormat === 'kafka' && source.mode === 'pop';
  if (subscriptions.all.length === 1 && !isOfOneQueue) return messages.waiting(now, batchSize);
  let count = 0;
  let bytes = 0;
  let first: QueueEntry['message'];
  for (const { message, bytes: bodyBytes } of messages.takeable(now)) {
    if (message === undefined || subscriptions.ofMessage(message) !== subscription)
      return 'complete';
    first ??= message;
    if (isOfOneQueue && !areOfOneQueue(first, message)) return 'complete';
    count++;
    bytes += bodyBytes;
    if (count >= batchSize) break;
  }
  return { count, bytes };
}

/** More messages can come, and there will be time for their handler. */
function fitsLater(
  { memory, messages, options, remainingMs }: WindowParts,
  handlerTimeoutMs: number,
): boolean {
  return (
    !memory.isFull &&
    flowControl(messages, options.flowLimits) === undefined &&
    fitsHandler(remainingMs() - MARGIN_MS, handlerTimeoutMs, options.reserveMs)
  );
}
