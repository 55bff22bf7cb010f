import type { Unhandled } from '../decide/batch/why-unhandled.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory } from '../decide/pull/memory-budget.ts';
import type { BatchItem } from '../delivery/batch.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { BatchPayload } from '../ports/invoke.ts';
import type { Split } from './split.ts';

/** An entry of the process queue that holds a message. */
export interface Delivery {
  readonly entry: QueueEntry;
  readonly message: Message;
}

/** What a deliverer does next. */
export type NextWork =
  | {
      readonly kind: 'batch';
      readonly batchId: string;
      readonly subscription: SubscriptionConfig;
      readonly deliveries: readonly Delivery[];
      /** By position those of the deliveries. */
      readonly items: readonly BatchItem[];
      /** Delivered alone because it may have killed holders before: announce it first. */
      readonly alone: boolean;
      /** Id of the batch that failed as a whole, of which this is a part. */
      readonly bisectedFrom: string | undefined;
      /** The split that it is a part of. */
      readonly split?: { readonly of: Split; readonly isLast: boolean } | undefined;
      /** Since when it waited for more of a backlog, epoch ms; undefined: it did not. */
      readonly filledSince?: number | undefined;
      /** What the call takes. Its parts take no more. */
      readonly memory: DeliveryMemory;
      payload(attempt: number, deadline: number): BatchPayload;
    }
  | (Unhandled & { readonly entry: QueueEntry });

export type Batch = Extract<NextWork, { kind: 'batch' }>;
