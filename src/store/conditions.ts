import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type {
  Assignment,
  CrashRecord,
  LeasePlace,
  LifeMark,
  OperatorPause,
} from '../model/assignment.ts';
import type { EndedBefore } from '../model/clock-skew.ts';
import type { AssignedSlot } from '../model/membership.ts';
import type {
  GroupKey,
  HolderRecords,
  LeaseKey,
  OffsetWrite,
  Plan,
  QueueMirrors,
} from '../ports/assignment-store.ts';
import {
  attemptsToAttribute,
  batchLimitsToAttribute,
  crashToAttribute,
  type Item,
  identity,
  lifeMarkToAttribute,
  N,
  planToItem,
  S,
} from './items.ts';
import { storedSlot } from './places.ts';

/**
 * One conditional write to one item. `token` names the attribute that keeps the write's token. Each kind of writer has its own,
 * so that a holder's renewal does not wipe out the proof that the coordinator's write was applied, nor the other way round.
 */
export interface ConditionalWrite {
  readonly token: 'planToken' | 'leaseToken' | 'successorToken' | 'operatorToken';
  readonly when: readonly string[];
  readonly set: Readonly<Record<string, AttributeValue | Expression>>;
  readonly remove?: readonly string[];
  readonly values?: Item;
}

export type Outcome = { readonly applied: boolean; readonly item: Item | undefined };

/** The right side of a SET that is no plain value. */
interface Expression {
  readonly expression: string;
}

/** The clauses that the conditions are made of. `#x` is the attribute x. */
export const clause = {
  /** No item: the first coordinator makes it, decides the start offset, and nobody decides it again. */
  noItem: 'attribute_not_exists(#pk)',
  /** An update never makes half an item of a queue that was removed by hand. */
  item: 'attribute_exists(#pk)',
  /** Nobody changed slot or life of the queue since it was read: of two coordinators one wins, the other reads again. */
  sameGeneration: '#generation = :generation',
  /** No coordinator replaced the plan since it was read. */
  sameVersion: '#version = :expectedVersion',
  /** A queue that was seen again in the meantime (the mark is gone) must not be retired. */
  stillAbsent: 'attribute_exists(#absentSince)',
  /** Retiring is done once: a second coordinator does not move the time. */
  notRetired: 'attribute_not_exists(#retiredAt)',
  /** Only what is retired comes back: the start offset of a living queue stays as it was decided. */
  retired: 'attribute_exists(#retiredAt)',
  /** The queue is this slot's. After a move the old slot's pullers cannot take it, however late they come. */
  ofSlot: '#slot = :slot',
  /** Paused queues are for nobody; a pause ends by itself. */
  notPaused:
    '(attribute_not_exists(#pausedUntil) OR #pausedUntil < :now) AND (attribute_not_exists(#operatorPausedUntil) OR #operatorPausedUntil < :now)',
  /** The last holder released. */
  free: 'attribute_not_exists(#holder)',
  /** Nobody renewed or took over since the item was read, so the crash that is counted is the one that was seen. */
  seenHolder: '#holder = :seenHolder AND #fence = :seenFence',
  /** No operator paused or resumed the queue since the item was read. */
  seenOperatorPause: '#operatorPausedUntil = :seenOperatorPause',
  /** The last holder's time is over by the acquirer's clock, less its margin for clocks that differ. The holder itself stopped earlier by its own. */
  ended:
    '(#leaseUntil < :deadlineBefore OR (#leaseUntil < :endedBefore AND #leaseUntil < #endsAt) OR #leaseUntil < #acquiredAt)',
  /** A successor that waits has precedence, until its wish ends. */
  noOtherSuccessor:
    '(attribute_not_exists(#successorHolder) OR #successorHolder = :holder OR #successorUntil < :now)',
  /** The lease is still ours: any acquisition in between raised the fence. The time does not matter, only whether somebody took over. */
  ours: '#holder = :holder AND #fence = :fence',
  /**
   * No later renewal of the same holder was applied. One that was given up and arrives after it would set an earlier end
   * and older figures: the holder would go on after another one may have acquired.
   */
  laterRenewal: '(attribute_not_exists(#renewal) OR #renewal < :renewal)',
} as const;

export function createQueue(
  group: GroupKey,
  queue: LeasePlace,
  slot: AssignedSlot,
  startOffset: bigint,
  lifeMark?: LifeMark,
): ConditionalWrite {
  return {
    token: 'planToken',
    when: [clause.noItem],
    set: {
      ...identity(group, queue),
      slot: N(storedSlot(slot)),
      generation: N(1),
      fence: N(0),
      startOffset: N(startOffset),
      ...(lifeMark !== undefined && { lifeMark: lifeMarkToAttribute(lifeMark) }),
    },
  };
}

/**
 * ```
 *   coordinator      move(slot 2, generation 4→5)
 *   holder (slot 1)  ── acts ────────────┊── renews, sees slot 2 ── drains, commits ── releases
 *   puller (slot 2)          acquire: other-slot ┊ acquire: held, announces itself, waits ┊─── acquire: applied, fence +1
 * ```
 * The lease is not touched: no instant exists in which both may act. The wish of a successor of the old slot would only block the new one.
 */
export function moveQueue(slot: AssignedSlot, generation: number): ConditionalWrite {
  return {
    token: 'planToken',
    when: [clause.sameGeneration],
    set: { slot: N(storedSlot(slot)), generation: N(generation + 1) },
    remove: ['successorHolder', 'successorUntil'],
    values: { generation: N(generation) },
  };
}

export function markAbsent(absentSince: number | undefined, generation: number): ConditionalWrite {
  const write = {
    token: 'planToken',
    when: [clause.sameGeneration, clause.notRetired],
    values: { generation: N(generation) },
  } as const;
  return absentSince === undefined
    ? { ...write, set: {}, remove: ['absentSince'] }
    : { ...write, set: { absentSince: N(absentSince) } };
}

const RETIRED_ITEM_LIFE_S = 30 * 24 * 3600;

export function retireQueue(retiredAt: number, generation: number): ConditionalWrite {
  return {
    token: 'planToken',
    when: [clause.sameGeneration, clause.stillAbsent, clause.notRetired],
    set: {
      retiredAt: N(retiredAt),
      expiresAt: N(Math.ceil(retiredAt / 1000) + RETIRED_ITEM_LIFE_S),
    },
    values: { generation: N(generation) },
  };
}

/**
 * The item keeps what it knows: offsets, attempts, crash record, pauses and the mark of the queue's life. Whether that is
 * of the queue as it is now, the next holder decides (decide/offset/start-offset). Only the end of the last lease is
 * forgotten: nobody waited for a puller while the queue was away.
 */
export function reviveQueue(slot: AssignedSlot, generation: number): ConditionalWrite {
  return {
    token: 'planToken',
    when: [clause.sameGeneration, clause.retired],
    set: { slot: N(storedSlot(slot)), generation: N(generation + 1) },
    remove: ['retiredAt', 'absentSince', 'expiresAt', 'heldUntil'],
    values: { generation: N(generation) },
  };
}

/**
 * Last writer wins: both writers want the queue to rest, and either end of the pause is right. What waits in a pause waits for no puller, so the
 * end of the last lease is forgotten.
 */
export function pauseQueue(pausedUntil: number | undefined): ConditionalWrite {
  return pausedUntil === undefined
    ? { token: 'planToken', when: [clause.item], set: {}, remove: ['pausedUntil'] }
    : {
        token: 'planToken',
        when: [clause.item],
        set: { pausedUntil: N(pausedUntil) },
        remove: ['heldUntil'],
      };
}

export const OPERATOR_PAUSE = ['operatorPausedUntil', 'operatorPausedSince', 'operatorPauseReason'];

/** Attributes of its own, so that a check of the group that pauses or resumes the queue does not touch an operator's wish, nor the other way round. */
export function pauseForOperator(
  pause: OperatorPause | undefined,
  insteadOf: OperatorPause | undefined,
): ConditionalWrite {
  const condition = {
    token: 'operatorToken',
    when: [clause.item, ...(insteadOf === undefined ? [] : [clause.seenOperatorPause])],
    ...(insteadOf !== undefined && { values: { seenOperatorPause: N(insteadOf.until) } }),
  } as const;
  if (pause === undefined) return { ...condition, set: {}, remove: OPERATOR_PAUSE };
  const { until, since, reason } = pause;
  return {
    ...condition,
    set: {
      operatorPausedUntil: N(until),
      operatorPausedSince: N(since),
      operatorPauseReason: S(reason),
    },
    remove: ['heldUntil'],
  };
}

/** Last writer wins: one operator's wish replaces another's for the same scope. */
export function putStandingPause(
  scope: string,
  { until, since, reason }: OperatorPause,
): ConditionalWrite {
  const expiresAt = N(Math.ceil(until / 1000));
  return {
    token: 'operatorToken',
    when: [],
    set: { scope: S(scope), until: N(until), since: N(since), reason: S(reason), expiresAt },
  };
}

type LeasedAssignment = Assignment<LeasePlace> & {
  readonly lease: NonNullable<Assignment['lease']>;
};

/** Only while nobody holds the queue: a holder would write its own over it. */
export function setStoredOffset({ offset, forgetsCounts }: OffsetWrite): ConditionalWrite {
  return {
    token: 'operatorToken',
    when: [clause.item, clause.free],
    set: { committedOffset: N(offset) },
    remove: ['confirmedAt', 'settledOffset', ...(forgetsCounts ? COUNTS : [])],
  };
}

/**
 * The same after a holder that vanished. Its lease is taken away, under a new fence: a holder that
 * was only frozen loses at its next renewal, and writes nothing over the operator's offset.
 */
export function setStoredOffsetAfterDeath(
  request: OffsetWrite,
  seen: LeasedAssignment,
): ConditionalWrite {
  const write = setStoredOffset(request);
  const { holder, fence } = seen.lease;
  return {
    ...write,
    when: [clause.item, clause.seenHolder, clause.ended],
    set: {
      ...write.set,
      fence: { expression: '#fence + :one' },
      ...orphanedHandlers(request, seen),
    },
    remove: [...(write.remove ?? []), ...LEASE],
    values: {
      one: N(1),
      seenHolder: S(holder),
      seenFence: N(fence),
      ...endsOf(request.ended),
    },
  };
}

export function putPlan(plan: Plan, expectedVersion: number | undefined): ConditionalWrite {
  return {
    token: 'planToken',
    when: [expectedVersion === undefined ? clause.noItem : clause.sameVersion],
    set: planToItem(plan),
    ...(expectedVersion !== undefined && { values: { expectedVersion: N(expectedVersion) } }),
  };
}

export interface Acquisition {
  readonly slot: number;
  readonly holder: string;
  readonly now: number;
  readonly leaseUntil: number;
  readonly endsAt: number;
  readonly settings?: string;
  readonly handlerTimeoutMs?: number;
  /** Default: now, for both. */
  readonly ended?: EndedBefore;
}

/** The ordinary acquisition, tried first: one write, nothing read. A new item and a released one look alike. */
export function acquireFree(request: Acquisition): ConditionalWrite {
  return { ...acquisition(request), when: [...mayTake, clause.free] };
}

/**
 * The acquisition after a holder that vanished, which needs the item as it was read.
 * ```
 *   holder's clock    ── acts ──┊ stops at leaseUntil − margin ┊· · · · · · · · · leaseUntil
 *   acquirer's clock (ahead or behind)  · · · leaseUntil + takeover margin < now ┊── acquires, fence +1
 *   holder, thawed late                                       renew or release: taken-over, since the fence is another
 * ```
 * Two acquirers: both read (holder A, fence 7), the first write makes fence 8, the second fails on `seenHolder`.
 */
export function takeOver(request: Acquisition, seen: LeasedAssignment): ConditionalWrite {
  const write = acquisition(request);
  return {
    ...write,
    when: [...mayTake, clause.seenHolder, clause.ended],
    set: {
      ...write.set,
      ...(diedBefore(request, seen) && {
        crash: crashToAttribute(countCrash(seen)),
        ...orphanedHandlers(request, seen),
      }),
      heldUntil: N(seen.lease.leaseUntil),
    },
    values: {
      ...write.values,
      seenHolder: S(seen.lease.holder),
      seenFence: N(seen.lease.fence),
      ...endsOf(request.ended ?? { endedBefore: request.now, deadlineBefore: request.now }),
    },
  };
}

function endsOf({ endedBefore, deadlineBefore }: EndedBefore): Item {
  return { endedBefore: N(endedBefore), deadlineBefore: N(deadlineBefore) };
}

/** Has the lease that is seen ended with its holder? One that takes its own again is alive. */
export function diedBefore(
  { holder }: Pick<Acquisition, 'holder'>,
  { lease }: Pick<Assignment<LeasePlace>, 'lease'>,
): boolean {
  return lease !== undefined && lease.holder !== holder;
}

/**
 * Functions that the dead holder called may run until their timeout after the end of its lease. A
 * holder that had to wait for those of another one until after its own lease has called none.
 */
function orphanedHandlers(
  { handlerTimeoutMs }: Pick<Acquisition, 'handlerTimeoutMs'>,
  {
    lease,
    handlersRunUntil = 0,
  }: Assignment<LeasePlace> & { readonly lease: { readonly leaseUntil: number } },
): Item {
  return handlerTimeoutMs === undefined || handlersRunUntil > lease.leaseUntil
    ? {}
    : { handlersRunUntil: N(lease.leaseUntil + handlerTimeoutMs) };
}

const mayTake = [
  clause.ofSlot,
  clause.notRetired,
  clause.notPaused,
  clause.noOtherSuccessor,
] as const;

function acquisition({ slot, holder, now, leaseUntil, endsAt, settings }: Acquisition) {
  return {
    token: 'leaseToken',
    set: {
      holder: S(holder),
      leaseSlot: N(slot),
      fence: { expression: '#fence + :one' },
      acquiredAt: N(now),
      leaseUntil: N(leaseUntil),
      endsAt: N(endsAt),
      ...(settings !== undefined && { leaseSettings: S(settings) }),
    },
    remove: [
      'successorHolder',
      'successorUntil',
      'renewal',
      ...(settings === undefined ? ['leaseSettings'] : []),
    ],
    values: { one: N(1), slot: N(slot), now: N(now), holder: S(holder) },
  } as const;
}

/** The mirror may be older than the broker's committed offset; see CrashRecord for how the new holder sets that right. */
function countCrash(seen: Assignment<LeasePlace>): CrashRecord {
  const { crash, committedOffset, startOffset, lease } = seen;
  const { suspectedBy = lease?.fence } = crash ?? {};
  // The holder died before it delivered the suspect, or afterwards.
  if (crash?.suspect !== undefined && suspectedBy !== lease?.fence) return crash;
  if (crash !== undefined) return { ...crash, count: crash.count + 1 };
  const offset = committedOffset ?? startOffset;
  return { offset, count: 1, isolateUntil: offset };
}

type NullableRecords = { readonly [Name in keyof HolderRecords]?: HolderRecords[Name] | null };

/**
 * ```
 *   holder   renewal 4 (until 40 s) ── no answer, given up ── renewal 5 (until 50 s): applied ── acts until 45 s
 *   table                                                                  ┊ renewal 4 arrives: refused, the end stays 50 s
 * ```
 * @param renewal number of this write, ascending within a holder's invocation
 */
export function renewLease(
  request: LeaseKey<LeasePlace> & { leaseUntil: number } & Partial<QueueMirrors> & NullableRecords,
  renewal: number,
): ConditionalWrite {
  return {
    token: 'leaseToken',
    when: [clause.ours, clause.laterRenewal],
    set: {
      leaseUntil: N(request.leaseUntil),
      renewal: N(renewal),
      ...mirrors(request),
      ...records(request),
    },
    remove: [
      ...[...RECORDS, 'lifeMark' as const].filter((name) => request[name] === null),
      ...outdatedMirrors(request),
    ],
    values: {
      holder: S(request.holder),
      fence: N(request.fence),
      renewal: N(renewal),
    },
  };
}

const RECORDS = [
  'crash',
  'attempts',
  'begunEnds',
  'batchLimits',
  'handlersRunUntil',
] as const satisfies readonly (keyof HolderRecords)[];

/** What holders have counted of messages. */
const COUNTS = [
  'crash',
  'attempts',
  'begunEnds',
  'batchLimits',
] as const satisfies readonly (typeof RECORDS)[number][];

/** Who holds a place, and until when. */
export const LEASE_TERMS = [
  'holder',
  'leaseSlot',
  'acquiredAt',
  'leaseUntil',
  'endsAt',
  'leaseSettings',
];
const LEASE = [...LEASE_TERMS, 'renewal'];

/** `releasedFence` proves a release whose answer was lost even after somebody else has acquired. */
export function releaseLease(
  request: LeaseKey<LeasePlace> &
    Partial<QueueMirrors> &
    Partial<HolderRecords> & { heldUntil?: number },
): ConditionalWrite {
  const { heldUntil } = request;
  return {
    token: 'leaseToken',
    when: [clause.ours],
    set: {
      releasedFence: N(request.fence),
      ...(heldUntil !== undefined && { heldUntil: N(heldUntil) }),
      ...mirrors(request),
      ...records(request),
    },
    remove: [
      ...LEASE,
      ...(heldUntil === undefined ? ['heldUntil'] : []),
      ...RECORDS.filter((name) => request[name] === undefined),
      ...(request.lifeMark === null ? ['lifeMark'] : []),
      ...outdatedMirrors(request),
    ],
    values: { holder: S(request.holder), fence: N(request.fence) },
  };
}

/**
 * ```
 *   coordinator  sees endsAt − now < window, invokes the next puller
 *   successor    connects ── announces itself, again and again ───────────────┊ acquires
 *   holder       ── acts ────────┊ renews, sees the wish ── drains ── releases ┊
 * ```
 * A successor that dies while it waits blocks nobody longer than its last `until`.
 */
export function announce(request: {
  slot: number;
  holder: string;
  until: number;
  now: number;
}): ConditionalWrite {
  return {
    token: 'successorToken',
    when: [clause.ofSlot, clause.notRetired, clause.notPaused, clause.noOtherSuccessor],
    set: { successorHolder: S(request.holder), successorUntil: N(request.until) },
    values: { slot: N(request.slot), now: N(request.now), holder: S(request.holder) },
  };
}

function records({
  crash,
  attempts,
  begunEnds,
  batchLimits,
  handlersRunUntil,
}: NullableRecords): Item {
  return {
    ...(crash && { crash: crashToAttribute(crash) }),
    ...(attempts && { attempts: attemptsToAttribute(attempts) }),
    ...(begunEnds && { begunEnds: attemptsToAttribute(begunEnds) }),
    ...(batchLimits && { batchLimits: batchLimitsToAttribute(batchLimits) }),
    ...(handlersRunUntil && { handlersRunUntil: N(Math.ceil(handlersRunUntil)) }),
  };
}

/** Holders write both offsets together: a settled one that is not written any more is committed or dropped. */
function outdatedMirrors({ committedOffset, settledOffset }: Partial<QueueMirrors>): string[] {
  return committedOffset !== undefined && settledOffset === undefined ? ['settledOffset'] : [];
}

function mirrors({
  committedOffset,
  confirmedAt,
  settledOffset,
  maxOffset,
  lifeMark,
  progressAt,
}: Partial<QueueMirrors>): Item {
  return {
    ...(lifeMark && { lifeMark: lifeMarkToAttribute(lifeMark) }),
    ...(committedOffset !== undefined && { committedOffset: N(committedOffset) }),
    ...(confirmedAt !== undefined && { confirmedAt: N(confirmedAt) }),
    ...(settledOffset !== undefined && { settledOffset: N(settledOffset) }),
    ...(maxOffset !== undefined && { maxOffset: N(maxOffset) }),
    ...(progressAt !== undefined && { progressAt: N(progressAt) }),
  };
}

/** The write as UpdateItem wants it, with the token in it. Every attribute goes by a placeholder, so that no reserved word can hurt. */
export function updateExpression(write: ConditionalWrite, token: string) {
  const values: Item = { ':token': S(token) };
  for (const [name, value] of Object.entries(write.values ?? {})) values[`:${name}`] = value;
  const sets = [`#${write.token} = :token`];
  for (const [name, value] of Object.entries(write.set)) {
    if ('expression' in value) {
      sets.push(`#${name} = ${value.expression}`);
    } else {
      sets.push(`#${name} = :set_${name}`);
      values[`:set_${name}`] = value as AttributeValue;
    }
  }
  const removes = (write.remove ?? []).map((name) => `#${name}`);
  const UpdateExpression = `SET ${sets.join(', ')}${removes.length > 0 ? ` REMOVE ${removes.join(', ')}` : ''}`;
  const ConditionExpression = write.when.join(' AND ');
  const names = `${UpdateExpression} ${ConditionExpression}`.matchAll(/#(\w+)/g);
  return {
    UpdateExpression,
    ...(ConditionExpression === '' ? {} : { ConditionExpression }),
    ExpressionAttributeNames: Object.fromEntries(
      [...names].map(([placeholder, name]) => [placeholder, name as string]),
    ),
    ExpressionAttributeValues: values,
  };
}
