import type { Assignment, CrashRecord } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';

export interface GroupKey {
  readonly cluster: string;
  readonly consumerGroup: string;
}

/** The group's own item. */
export interface Plan {
  /** +1 at every change of strategy, slots or topology. */
  readonly version: number;
  readonly strategy: string;
  readonly slots: number;
  /** Digest of the queues that the plan was made for. */
  readonly topologyHash: string;
  /** Topics that the group has met: their later queues start at the minimum offset. */
  readonly metTopics: readonly string[];
  /** Epoch ms. */
  readonly lastPassAt: number;
}

export interface LeaseKey extends GroupKey {
  readonly queue: MessageQueue;
  readonly holder: string;
  readonly fence: number;
}

/** Why a conditional write was not applied; `current` is the item as it stands (undefined: no item). */
export interface Lost {
  readonly applied: false;
  readonly reason: 'held' | 'other-slot' | 'retired' | 'paused' | 'missing' | 'taken-over';
  readonly current: Assignment | undefined;
}

export type LeaseAnswer = { readonly applied: true; readonly assignment: Assignment } | Lost;

/**
 * The table. Every write is conditional, carries a token so that a repeated or unanswered write of our own counts as applied,
 * and touches one item. Reads are strongly consistent.
 */
export interface AssignmentStore {
  list(group: GroupKey): Promise<Assignment[]>;
  readPlan(group: GroupKey): Promise<Plan | undefined>;
  /** Writes the plan when `expectedVersion` still stands (undefined: no plan yet). False when another coordinator was first. */
  writePlan(group: GroupKey, plan: Plan, expectedVersion: number | undefined): Promise<boolean>;
  /** Makes the item of a queue that has none. False when it exists. */
  create(group: GroupKey, queue: MessageQueue, slot: number, startOffset: bigint): Promise<boolean>;
  /** Changes the slot, generation +1, when the generation still stands. The lease is not touched: its holder drains. */
  move(group: GroupKey, queue: MessageQueue, slot: number, generation: number): Promise<boolean>;
  /** Marks a queue that left the route, or (undefined) one that came back. */
  setRetired(group: GroupKey, queue: MessageQueue, retiredAt: number | undefined, generation: number): Promise<boolean>;
  /** Pauses until then (undefined: resumes). */
  setPaused(group: GroupKey, queue: MessageQueue, pausedUntil: number | undefined): Promise<void>;
  /** Takes the lease of a queue of `slot`: free, or ended before `now`. On success fence is +1, and `crash` counts a previous holder that never released. */
  acquire(
    request: GroupKey & { queue: MessageQueue; slot: number; holder: string; now: number; leaseUntil: number; endsAt: number },
  ): Promise<LeaseAnswer>;
  /** Extends the lease while (holder, fence) stand, and mirrors the figures. */
  renew(
    request: LeaseKey & { leaseUntil: number; committedOffset?: bigint; maxOffset?: bigint; crash?: CrashRecord | null },
  ): Promise<LeaseAnswer>;
  /** Ends the lease; keeps fence and mirrors; clears the successor and, unless given, the crash record. */
  release(request: LeaseKey & { committedOffset?: bigint; maxOffset?: bigint; crash?: CrashRecord }): Promise<LeaseAnswer>;
  /** Announces a waiting successor to the holder; the wish ends by itself at `until`. */
  announceSuccessor(
    request: GroupKey & { queue: MessageQueue; slot: number; holder: string; until: number; now: number },
  ): Promise<LeaseAnswer>;
  /** Ends every lease of a holder that is known to be dead, as if it had expired now (counts as a crash). */
  expireHolder(group: GroupKey, holder: string): Promise<number>;
}
