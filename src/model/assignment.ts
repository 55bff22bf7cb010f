import type { AssignedSlot } from './membership.ts';
import { type MessageQueue, type PopUnit, queueKey } from './message-queue.ts';

/**
 * A slot as something to be leased: where a slot has one invocation at a time, the lease says which.
 * It has a lease, successors and fencing tokens like a queue.
 */
export interface SlotPlace {
  readonly slot: number;
}

/** What a lease is for. */
export type LeasePlace = MessageQueue | PopUnit | SlotPlace;

export function isSlotPlace(place: LeasePlace): place is SlotPlace {
  return !('queueId' in place);
}

/** As `queueKey`; `slot/0` for a slot. */
export function placeKey(place: LeasePlace): string {
  return isSlotPlace(place) ? `slot/${place.slot}` : queueKey(place);
}

/** Who works a queue now. Times are epoch milliseconds of the holder's clock. */
export interface Lease {
  /** Unique per puller invocation (Lambda's request id). */
  readonly holder: string;
  /** The slot that the holder works for. When the assignment's slot is another, the queue has moved: drain and release. */
  readonly slot: number;
  /** +1 at every acquisition. A writer with an older fence has lost. */
  readonly fence: number;
  readonly acquiredAt: number;
  /** The lease ends by itself at this time; never after `endsAt`. */
  readonly leaseUntil: number;
  /** When the holder's invocation ends at the latest. */
  readonly endsAt: number;
  /** Digest of the options that the holder works with (decide/dispatch/source-digest). */
  readonly settings?: string;
}

/**
 * Deliveries from one offset that ended with the puller's death, so that a message that kills it still reaches the DLQ.
 * An acquisition that finds a lease which ended without release adds 1 to `count`, or begins a record at the mirrored committed offset.
 * That mirror may be old: the new holder compares `offset` with the committed offset that the broker tells. Further on there: progress was
 * made, so it writes {offset: committed, count: 1} at its first renewal. Equal: the same head killed `count` holders.
 */
export interface CrashRecord {
  /** Lowest offset that was unfinished when the holder vanished, or the single message that was isolated. */
  readonly offset: bigint;
  readonly count: number;
  /** Up to this offset (exclusive) messages are delivered one at a time, each announced before its delivery. */
  readonly isolateUntil: bigint;
  /** Set while one message is delivered in isolation. */
  readonly suspect?: bigint;
  /**
   * Fence of the holder that delivers the suspect; 0: its delivery ended. The death of any other
   * holder is not the suspect's. Absent: written by an earlier build.
   */
  readonly suspectedBy?: number;
}

/**
 * Ordered sources: failed deliveries of unfinished messages that the broker does not know of, because they are tried again in place. By offset.
 * Kept in the item so that successions and deaths do not begin the count anew.
 */
export type Attempts = ReadonlyMap<bigint, number>;

/**
 * Batches that failed as a whole are delivered again in smaller ones. A step bounds the batches of
 * messages below `until`; steps are sorted by `until`, and the first one above an offset counts.
 */
export interface BatchLimit {
  /** Exclusive. */
  readonly until: bigint;
  /** At least 1. */
  readonly maxMessages: number;
}

/**
 * A message that was in the queue, by which its present life is recognised: a topic that was deleted and created again
 * under its name has other messages at the same offsets, all of them stored later.
 */
export interface LifeMark {
  readonly offset: bigint;
  /** Store time of the message at `offset`, by the broker's clock, epoch ms. */
  readonly storedAt: number;
}

/** A pause that an operator wanted. Times are epoch milliseconds. */
export interface OperatorPause {
  readonly until: number;
  readonly since: number;
  readonly reason: string;
}

/** A pause as it was asked for, so that queues that appear later have it too. */
export interface StandingPause extends OperatorPause {
  /** `*` is the whole group; else a topic, or a queue as `topic/broker/id`. */
  readonly scope: string;
}

/** The item of one queue (or slot) of one group: which slot it belongs to, who holds it, and what is known of it. */
export interface Assignment<Place extends LeasePlace = MessageQueue> {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly queue: Place;
  /** Virtual consumer instance, 0..n-1. */
  readonly slot: AssignedSlot;
  /** +1 at every change of slot. */
  readonly generation: number;
  /** Where to begin when the broker has no offset of the group: decided once, when the item was made. */
  readonly startOffset: bigint;
  /** Last acquisition's number, kept after release. */
  readonly fence: number;
  readonly lease?: Lease;
  /**
   * When the lease before the present one ended: its release, or the end of one that died. Epoch ms. Absent: nobody held the queue before, or it
   * was paused since, and what waited then waited because somebody wanted it.
   */
  readonly heldUntil?: number;
  /** Stays until a holder clears it by a renewal with null, or by a release without it. */
  readonly crash?: CrashRecord;
  /** Like `crash`: stays until a renewal with null or a release without it. */
  readonly attempts?: Attempts;
  /**
   * Messages whose end has begun and is not known to be stored: failed deliveries before it, by
   * offset. What `attempts` has beyond them, and beyond the last one, are tries of the end. Earlier
   * builds did not write it. Stays like `crash`.
   */
  readonly begunEnds?: Attempts;
  /** Like `crash`: stays until a renewal with null or a release without it. */
  readonly batchLimits?: readonly BatchLimit[];
  /**
   * Epoch ms until which handler functions that earlier holders called may still run. Set by the
   * acquisition that finds a holder dead, or by a holder that could not wait for its handlers; an
   * absolute time, so that it does not begin again with each holder. Like `crash`: stays until a
   * renewal with null or a release without it.
   */
  readonly handlersRunUntil?: number;
  /** A successor that waits for the lease, and until when its wish counts. */
  readonly successor?: { readonly holder: string; readonly until: number };
  /** No delivery until then, whoever wants it so: a check of the group, or an operator. Holders drain when they see it. */
  readonly pausedUntil?: number;
  /** An operator's pause, which ends by itself too. It stands beside the pauses of checks: neither undoes the other. */
  readonly operatorPause?: OperatorPause;
  /** First of the passes in a row that did not find the queue in its route. */
  readonly absentSince?: number;
  /** The queue left the route at that time; its offset stays at the broker. */
  readonly retiredAt?: number;
  /** Mirrors of the broker's figures at the last renewal or release, for people and for scaling. */
  readonly committedOffset?: bigint;
  /** When the broker confirmed `committedOffset` last, epoch ms. Absent: not known, or an operator wrote the offset. */
  readonly confirmedAt?: number;
  /** Everything below it is settled, but the last holder could not commit it. Above `committedOffset`. */
  readonly settledOffset?: bigint;
  readonly maxOffset?: bigint;
  /** The newest message that a holder was given, or the last one before `startOffset`. Absent: none is known. */
  readonly lifeMark?: LifeMark;
  /** When a holder moved the committed offset last, epoch ms. */
  readonly progressAt?: number;
}
