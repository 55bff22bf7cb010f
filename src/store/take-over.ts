import { MAX_CLOCK_SKEW_MS, mayTakeOver } from '../model/clock-skew.ts';
import { type ConditionalWrite, clause, LEASE_TERMS, OPERATOR_PAUSE } from './conditions.ts';
import { type Item, N, S } from './items.ts';
import { type Tenant, tenantPrefix } from './tenant.ts';

/*
 * Items that an earlier build wrote, without service and stage in their keys, are taken over one by one, by whoever would make
 * the item under its new key. Pullers of the old deployment may still run, and so may its coordinator for a minute:
 *
 *   old item   held ─ seal: paused ─┊ its holder drains, commits, releases ┊─ close: leased for good, fence +1
 *   new item                                                                ┊            └─ copy ┊ acquired by the new version
 *
 * Each step is one conditional write that repeats itself harmlessly. Between any two of them the process may die, or another
 * one may do the same: nobody holds the queue then, and the next attempt goes on from what it reads. After `close` no write of
 * the old version but an operator's pause is applied: acquisitions find a live lease, renewals another fence.
 */

/** Who has the lease of a closed item. */
export const TAKEN_OVER = 'taken over by a version with service and stage in its keys';
/** 9999-12-31 */
const FOREVER = 253_402_300_799_000;
const CLOSED_ITEM_LIFE_S = 30 * 24 * 3600;
/** Of the old item alone: proofs of writes, the wish of an old successor, and what sealing and closing keep. */
const NOT_COPIED = [
  ...['pk', 'sk', 'planToken', 'leaseToken', 'successorToken', 'operatorToken'],
  ...['successorHolder', 'successorUntil', 'renewal', 'releasedFence'],
  ...['sealedPause', 'closedLease'],
];

/** The next step for an old item; `wait`: its holder drains. */
export type TakeOverStep =
  | { readonly kind: 'seal' | 'close' | 'copy'; readonly write: ConditionalWrite }
  | { readonly kind: 'wait' };

export function takeOverStep(old: Item, now: number): TakeOverStep {
  if (old.holder?.S === TAKEN_OVER) return { kind: 'copy', write: copy(old) };
  if (!isHeld(old, now)) return { kind: 'close', write: close(old, now) };
  return isSealed(old) ? { kind: 'wait' } : { kind: 'seal', write: seal(old, now) };
}

/** By the clock of a coordinator, which may be ahead of the holder's. */
function isHeld(old: Item, now: number): boolean {
  if (old.holder === undefined) return false;
  const lease = {
    acquiredAt: Number(old.acquiredAt?.N),
    leaseUntil: Number(old.leaseUntil?.N),
    endsAt: Number(old.endsAt?.N),
  };
  const endedBefore = now - MAX_CLOCK_SKEW_MS;
  return !mayTakeOver(lease, { endedBefore, deadlineBefore: endedBefore });
}

/**
 * Written into the old partition before anything else: of two services with `table.takeOver: true` the first one gets
 * all items of the group, and the other one none.
 */
export function claimGroup(keys: Tenant): ConditionalWrite {
  return {
    token: 'planToken',
    when: ['(attribute_not_exists(#pk) OR #takenOverBy = :own)'],
    set: { takenOverBy: S(tenantPrefix(keys)) },
    values: { own: S(tenantPrefix(keys)) },
  };
}

/** Plan and standing pauses are copied once. Later ones under the old keys are older than those under the new keys. */
export function markPrepared(now: number): ConditionalWrite {
  return { token: 'planToken', when: [clause.item], set: { preparedAt: N(now) } };
}

/** The item of a queue that the old deployment has not met, closed before it can make it. */
export function closedFromTheStart(create: ConditionalWrite, now: number): ConditionalWrite {
  return {
    ...create,
    set: { ...create.set, ...lastLease(create.set.slot as Item[string], now), fence: N(1) },
  };
}

function isSealed(old: Item): boolean {
  return old.operatorPauseReason?.S === TAKEN_OVER;
}

/** Old holders see the pause at their next renewal, and nobody of the old deployment acquires. */
function seal(old: Item, now: number): ConditionalWrite {
  const prior = pick(old, OPERATOR_PAUSE);
  const hasPause = old.operatorPausedUntil !== undefined;
  return {
    token: 'operatorToken',
    when: [
      clause.seenHolder,
      hasPause ? clause.seenOperatorPause : 'attribute_not_exists(#operatorPausedUntil)',
    ],
    set: {
      operatorPausedUntil: N(FOREVER),
      operatorPausedSince: N(now),
      operatorPauseReason: S(TAKEN_OVER),
      ...(hasPause && { sealedPause: { M: prior } }),
    },
    ...(!hasPause && { remove: ['sealedPause'] }),
    values: {
      ...seen(old),
      ...(hasPause && { seenOperatorPause: old.operatorPausedUntil! }),
    },
  };
}

/** The lease that stood, if its holder died, is kept for the copy, so that its death is counted. */
function close(old: Item, now: number): ConditionalWrite {
  const prior = pick(old, LEASE_TERMS);
  const isHeld = old.holder !== undefined;
  const pause = isSealed(old) ? (old.sealedPause?.M ?? {}) : undefined;
  return {
    token: 'leaseToken',
    when: isHeld ? [clause.seenHolder] : [clause.item, clause.free, '#fence = :seenFence'],
    set: {
      ...lastLease(old.slot!, now),
      ...pause,
      fence: N(Number(old.fence?.N) + 1),
      closedLease: { M: prior },
      expiresAt: old.expiresAt ?? N(Math.ceil(now / 1000) + CLOSED_ITEM_LIFE_S),
    },
    remove: [
      'leaseSettings',
      'sealedPause',
      ...(pause === undefined ? [] : OPERATOR_PAUSE.filter((name) => pause[name] === undefined)),
    ],
    values: isHeld ? seen(old) : { seenFence: old.fence! },
  };
}

/** The first item under the new key. Any later one knows more. */
function copy(old: Item): ConditionalWrite {
  const dropped = [
    ...NOT_COPIED,
    ...LEASE_TERMS,
    ...(old.retiredAt === undefined ? ['expiresAt'] : []),
  ];
  const state = Object.entries(old).filter(([name]) => !dropped.includes(name));
  return {
    token: 'planToken',
    when: [clause.noItem],
    set: { ...Object.fromEntries(state), ...old.closedLease?.M },
  };
}

function lastLease(slot: Item[string], now: number): Item {
  return {
    holder: S(TAKEN_OVER),
    leaseSlot: slot,
    acquiredAt: N(now),
    leaseUntil: N(FOREVER),
    endsAt: N(FOREVER),
  };
}

function seen(old: Item): Item {
  return { seenHolder: old.holder!, seenFence: old.fence! };
}

function pick(item: Item, names: readonly string[]): Item {
  return Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name)));
}
