import type {
  Assignment,
  Attempts,
  BatchLimit,
  CrashRecord,
  LeasePlace,
  LifeMark,
  OperatorPause,
  SlotPlace,
  StandingPause,
} from '../model/assignment.ts';
import type { EndedBefore } from '../model/clock-skew.ts';
import type { AssignedSlot } from '../model/membership.ts';
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

export interface LeaseKey<Place extends LeasePlace = MessageQueue> extends GroupKey {
  readonly queue: Place;
  readonly holder: string;
  readonly fence: number;
}

/** Figures of the queue that its item mirrors. */
export interface QueueMirrors {
  readonly committedOffset: bigint;
  /** Epoch ms. */
  readonly confirmedAt: number;
  /** A write of `committedOffset` without it clears it. */
  readonly settledOffset: bigint;
  readonly maxOffset: bigint;
  /** null: the one that is stored is of another life of the queue. */
  readonly lifeMark: LifeMark | null;
  /** Epoch ms. */
  readonly progressAt: number;
}

/** An operator's offset. */
export interface OffsetWrite {
  readonly offset: bigint;
  /** When a lease has ended whose holder vanished. */
  readonly ended: EndedBefore;
  /** Failed attempts, batch limits and deaths that holders have counted are forgotten. */
  readonly forgetsCounts: boolean;
  /** As for `acquire`. */
  readonly handlerTimeoutMs?: number;
}

/** What a holder leaves in the item for the next one, see Assignment. */
export interface HolderRecords {
  readonly crash: CrashRecord;
  readonly attempts: Attempts;
  readonly begunEnds: Attempts;
  readonly batchLimits: readonly BatchLimit[];
  readonly handlersRunUntil: number;
}

/**
 * Why a conditional write was not applied; `current` is the item as it stands (undefined: no item).
 * - held: somebody else's lease has not ended; successor-waits: it is free, but another puller waits for it;
 * - other-slot, retired, paused, missing: the queue is not for this slot, or for nobody now;
 * - taken-over: the lease (holder, fence) does not stand any more: stop, commit nothing.
 */
export interface Lost<Place extends LeasePlace = MessageQueue> {
  readonly applied: false;
  readonly reason:
    | 'held'
    | 'successor-waits'
    | 'other-slot'
    | 'retired'
    | 'paused'
    | 'missing'
    | 'taken-over';
  readonly current: Assignment<Place> | undefined;
}

export interface Applied<Place extends LeasePlace = MessageQueue> {
  readonly applied: true;
  readonly assignment: Assignment<Place>;
  /** Of an acquisition: the last holder's lease had ended without a release. */
  readonly afterDeath?: boolean;
}

export type LeaseAnswer<Place extends LeasePlace = MessageQueue> = Applied<Place> | Lost<Place>;

/** Leases of queues, or of slots. */
export interface LeaseStore<Place extends LeasePlace = MessageQueue> {
  /**
   * Takes the lease of a queue of `slot`: released, or ended before `now` (the caller's clock). A successor that waits comes before all others.
   * On success fence is +1, `crash` counts a previous holder that never released, and `heldUntil` tells when the queue was held last.
   */
  acquire(
    request: GroupKey & {
      queue: Place;
      slot: number;
      holder: string;
      now: number;
      leaseUntil: number;
      endsAt: number;
      settings?: string;
      /** When a lease of another holder has ended. Default: now. */
      ended?: EndedBefore;
      /**
       * Longest timeout of the handler functions that a dead holder may have called, ms. The item then
       * gets `handlersRunUntil`: the end of the dead lease plus this. Absent: none is waited for.
       */
      handlerTimeoutMs?: number;
    },
  ): Promise<LeaseAnswer<Place>>;
  /**
   * Extends the lease while (holder, fence) stand, and mirrors the figures; null clears a record.
   * Works also after `leaseUntil` when nobody took over. The answer shows what the holder has to obey: slot, pausedUntil, retiredAt, successor.
   */
  renew(
    request: LeaseKey<Place> &
      Partial<QueueMirrors> & { leaseUntil: number } & {
        [Name in keyof HolderRecords]?: HolderRecords[Name] | null;
      },
  ): Promise<LeaseAnswer<Place>>;
  /**
   * Ends the lease; keeps fence, mirrors and the successor's wish (its turn is now); clears the records that are not given.
   * `heldUntil` is now, unless nobody is to come next.
   */
  release(
    request: LeaseKey<Place> &
      Partial<QueueMirrors> &
      Partial<HolderRecords> & { heldUntil?: number },
  ): Promise<LeaseAnswer<Place>>;
  /** Announces a waiting successor to the holder; the wish ends by itself at `until`, and may be repeated to go on. */
  announceSuccessor(
    request: GroupKey & {
      queue: Place;
      slot: number;
      holder: string;
      until: number;
      now: number;
    },
  ): Promise<LeaseAnswer<Place>>;
}

export interface SlotStore extends LeaseStore<SlotPlace> {
  /** Of those slots that have an item. */
  list(group: GroupKey): Promise<Assignment<SlotPlace>[]>;
  /** Makes the item of a slot that has none. */
  create(group: GroupKey, slot: number): Promise<void>;
  /** Pauses until then (undefined: resumes). Nothing happens when there is no item. */
  setPaused(group: GroupKey, slot: number, pausedUntil: number | undefined): Promise<void>;
}

/**
 * The table. Every write is conditional, carries a token so that a repeated or unanswered write of our own counts as applied,
 * and touches one item. Reads are strongly consistent. Times are epoch ms. A method throws only when the table cannot be reached
 * or refuses (the write may then have been applied).
 */
export interface AssignmentStore extends LeaseStore {
  list(group: GroupKey): Promise<Assignment[]>;
  /** One queue's item; undefined: it has none. */
  read(group: GroupKey, queue: MessageQueue): Promise<Assignment | undefined>;
  readPlan(group: GroupKey): Promise<Plan | undefined>;
  /** Writes the plan when `expectedVersion` still stands (undefined: no plan yet). False when another coordinator was first. */
  writePlan(group: GroupKey, plan: Plan, expectedVersion: number | undefined): Promise<boolean>;
  /** Makes the item of a queue that has none. False when it exists. */
  create(
    group: GroupKey,
    queue: MessageQueue,
    slot: AssignedSlot,
    startOffset: bigint,
    lifeMark?: LifeMark,
  ): Promise<boolean>;
  /** Changes the slot, generation +1, when the generation still stands. The lease is not touched: its holder drains. A waiting successor's wish ends, it is of the old slot. */
  move(
    group: GroupKey,
    queue: MessageQueue,
    slot: AssignedSlot,
    generation: number,
  ): Promise<boolean>;
  /** Notes since when passes do not find the queue in its route, or (undefined) that it is there again. */
  setAbsent(
    group: GroupKey,
    queue: MessageQueue,
    absentSince: number | undefined,
    generation: number,
  ): Promise<boolean>;
  /** Marks a queue that left the route, when it is still noted as absent. Its holder drains at the next renewal. */
  setRetired(
    group: GroupKey,
    queue: MessageQueue,
    retiredAt: number,
    generation: number,
  ): Promise<boolean>;
  /** Brings a retired queue back to a slot, generation +1. Everything that the item knows of the queue stays. */
  revive(
    group: GroupKey,
    queue: MessageQueue,
    slot: AssignedSlot,
    generation: number,
  ): Promise<boolean>;
  /** Pauses until then (undefined: resumes). Nothing happens when there is no item. */
  setPaused(group: GroupKey, queue: MessageQueue, pausedUntil: number | undefined): Promise<void>;
  /**
   * An operator's pause of a queue, apart from `setPaused` (undefined: ends it). False when there is
   * no item, or another pause than the one that it is to replace.
   */
  setOperatorPause(
    group: GroupKey,
    queue: MessageQueue,
    pause: OperatorPause | undefined,
    insteadOf?: OperatorPause,
  ): Promise<boolean>;
  /** The pauses that operators asked for; those that are over or were ended stay until the table forgets them. */
  standingPauses(group: GroupKey): Promise<StandingPause[]>;
  /** Notes what an operator asked for (`pause: undefined`: not any more). */
  writeStandingPause(
    group: GroupKey,
    scope: string,
    pause: OperatorPause | undefined,
  ): Promise<void>;
  /**
   * An operator's offset: of a BROADCASTING group the stored one, else the mirror of what is committed at
   * the broker. What holders had confirmed or settled does not count afterwards. The lease of a holder
   * that vanished is taken away. held: a holder has the queue; missing: it has no item.
   */
  writeOffset(
    group: GroupKey,
    queue: MessageQueue,
    request: OffsetWrite,
  ): Promise<'written' | 'held' | 'missing'>;
  /** The items of slots, where a slot has one invocation at a time. */
  readonly slots: SlotStore;
}
