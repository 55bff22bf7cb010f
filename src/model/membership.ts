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
  /** Epoch ms; 0: not yet. */
  readonly lastPullAt: number;
  readonly lastConsumeAt: number;
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

/** The topic of seats. No broker has it: a seat is an item of the table only. */
const SEAT_TOPIC = '%SEAT%';

/**
 * A slot's seat: its lease says which invocation is the slot's member of the group, so that two never heartbeat under one client id for long.
 * It looks like a queue, and so has a queue's leases, successors and fences.
 */
export function seatOf(slot: number): MessageQueue {
  return { topic: SEAT_TOPIC, brokerName: '', queueId: slot };
}

export function isSeat({ topic }: MessageQueue): boolean {
  return topic === SEAT_TOPIC;
}

/** Seats stand under a group of their own in the table, or they would be taken for queues that left the route. A group's name never contains `#`. */
export function seatGroup<Key extends { readonly consumerGroup: string }>(key: Key): Key {
  return { ...key, consumerGroup: `${key.consumerGroup}#seats` };
}

/** The slot of a queue that another member of the group owns: nobody here may take it. */
export const FOREIGN_SLOT = -1;
