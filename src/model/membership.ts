import type { MessageQueue } from './message-queue.ts';
import type { Subscription } from './subscription.ts';

/** One client of a consumer group as brokers know it (ConsumerData of a heartbeat). */
export interface GroupMember {
  readonly clientId: string;
  readonly consumerGroup: string;
  readonly messageModel: 'CLUSTERING' | 'BROADCASTING';
  readonly consumeFromWhere:
    | 'CONSUME_FROM_FIRST_OFFSET'
    | 'CONSUME_FROM_LAST_OFFSET'
    | 'CONSUME_FROM_TIMESTAMP';
  readonly subscriptions: readonly Subscription[];
}

/** A queue that a member works, as consoles show it (the part of ProcessQueueInfo that there is here). */
export interface MemberQueue {
  readonly queue: MessageQueue;
  readonly committedOffset: bigint;
  readonly cachedCount: number;
  readonly cachedBytes: number;
  /** Epoch ms; undefined: not yet. */
  readonly lastPullAt: number | undefined;
  readonly lastConsumeAt: number | undefined;
}

/** What a member tells of itself when a broker asks (ConsumerRunningInfo). */
export interface MemberInfo {
  /** Epoch ms. */
  readonly startedAt: number;
  readonly nameServers: readonly string[];
  readonly subscriptions: readonly Subscription[];
  readonly queues: readonly MemberQueue[];
  /** Shown as "User Consume Info". */
  readonly notes: Readonly<Record<string, string>>;
}

/** How one message fared that an operator had delivered directly (ConsumeMessageDirectlyResult). */
export interface DirectResult {
  readonly result: 'CR_SUCCESS' | 'CR_LATER' | 'CR_THROW_EXCEPTION';
  readonly remark?: string;
  readonly spentMs: number;
}

/** In the place of a slot: another member of the group owns the queue, and nobody here may take it. */
export const FOREIGN_SLOT = 'foreign';

/** The slot that a queue is assigned to. */
export type AssignedSlot = number | typeof FOREIGN_SLOT;
