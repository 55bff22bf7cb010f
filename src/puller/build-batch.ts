import { randomUUID } from 'node:crypto';
import type { DeliveryMemory } from '../decide/pull/memory-budget.ts';
import { type BatchItem, batchPayload } from '../delivery/batch.ts';
import { commonTrace } from '../delivery/trace-header.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { KnownQueue } from './known-queue.ts';
import type { Batch, Delivery } from './work.ts';

export interface BatchParts {
  readonly known: Pick<KnownQueue, 'maxOffset'>;
}

/** What goes into a batch. */
interface BatchContent {
  readonly subscription: SubscriptionConfig;
  readonly deliveries: readonly Delivery[];
  /** By position those of the deliveries. */
  readonly items: readonly BatchItem[];
  readonly memory: DeliveryMemory;
  readonly alone: boolean;
  readonly split?: Batch['split'];
  readonly filledSince?: number | undefined;
}

/** A batch that was chosen just now. */
export function newBatch({ known }: BatchParts, content: BatchContent): Batch {
  return build(known, content, undefined);
}

/** A part of a batch, as a batch of its own: positions `from` to `to`, exclusive. */
export function partOf(
  { known }: BatchParts,
  whole: Batch,
  [from, to]: readonly [from: number, to: number],
  split: Batch['split'],
): Batch {
  const { subscription, deliveries, items, memory, batchId } = whole;
  const content = {
    subscription,
    deliveries: deliveries.slice(from, to),
    items: items.slice(from, to),
    memory,
    alone: false,
    split,
  };
  return build(known, content, batchId);
}

function build(
  { maxOffset }: BatchParts['known'],
  content: BatchContent,
  bisectedFrom: string | undefined,
): Batch {
  const { subscription, deliveries, items } = content;
  const batchId = randomUUID();
  const offsets = deliveries.map(({ entry }) => entry.offset);
  const [first = 0n, last = first] = [offsets[0], offsets[offsets.length - 1]];
  const lag = maxOffset === undefined ? 0 : Number(maxOffset - last - 1n);
  return {
    kind: 'batch',
    batchId,
    ...content,
    bisectedFrom,
    payload: (attempt, deadline) => ({
      ...batchPayload(items, subscription.eventFormat, {
        batchId,
        attempt,
        minOffset: String(first),
        maxOffset: String(last),
        lag: Math.max(0, lag),
        deadline,
        ...(subscription.order && { order: subscription.order.by }),
        ...(bisectedFrom === undefined ? {} : { bisectedFrom }),
      }),
      traceHeader:
        subscription.tracing === 'parent'
          ? commonTrace(items.map(({ traceHeader }) => traceHeader))
          : undefined,
    }),
  };
}
