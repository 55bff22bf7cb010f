import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type {
  Assignment,
  Attempts,
  BatchLimit,
  CrashRecord,
  Lease,
  LeasePlace,
  LifeMark,
  OperatorPause,
  StandingPause,
} from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { GroupKey, Plan } from '../ports/assignment-store.ts';
import {
  groupOfPart,
  partOf,
  placeFromStored,
  slotFromStored,
  sortKey,
  storedPlace,
} from './places.ts';
import { type KeySpace, partitionKey, WITHOUT_TENANT } from './tenant.ts';

export type Item = Record<string, AttributeValue>;

export const S = (text: string): AttributeValue => ({ S: text });
export const N = (number: number | bigint): AttributeValue => ({ N: String(number) });

export const PAUSE_PREFIX = 'PAUSE#';

export function standingPauseKey(keys: KeySpace, group: GroupKey, scope: string): Item {
  return { pk: partitionOf(keys, group), sk: S(`${PAUSE_PREFIX}${scope}`) };
}

export function planKey(keys: KeySpace, group: GroupKey): Item {
  return { pk: partitionOf(keys, group), sk: S('PLAN') };
}

/** Who took over the items that an earlier build wrote for the group. */
export function claimKey(group: GroupKey): Item {
  return { pk: partitionOf(WITHOUT_TENANT, group), sk: S('TAKEN-OVER') };
}

export const queueItemKey = (keys: KeySpace, group: GroupKey, place: LeasePlace): Item => ({
  pk: partitionOf(keys, partOf(group, place)),
  sk: S(sortKey(place)),
});

export function partitionOf(keys: KeySpace, group: GroupKey): AttributeValue {
  return S(partitionKey(keys, group));
}

/** What a queue's item says of itself, written when it is made. */
export function identity(group: GroupKey, place: LeasePlace): Item {
  const { cluster, consumerGroup } = partOf(group, place);
  const { topic, brokerName, queueId } = storedPlace(place);
  return {
    cluster: S(cluster),
    consumerGroup: S(consumerGroup),
    topic: S(topic),
    brokerName: S(brokerName),
    queueId: N(queueId),
  };
}

export function planToItem(plan: Plan): Item {
  return {
    version: N(plan.version),
    strategy: S(plan.strategy),
    slots: N(plan.slots),
    topologyHash: S(plan.topologyHash),
    metTopics: { L: plan.metTopics.map(S) },
    lastPassAt: N(plan.lastPassAt),
  };
}

export function planFromItem(item: Item): Plan {
  return {
    version: number(item, 'version'),
    strategy: text(item, 'strategy'),
    slots: number(item, 'slots'),
    topologyHash: text(item, 'topologyHash'),
    metTopics: (item.metTopics?.L ?? []).map((topic) => topic.S ?? ''),
    lastPassAt: number(item, 'lastPassAt'),
  };
}

export function crashToAttribute(crash: CrashRecord): AttributeValue {
  return {
    M: {
      offset: N(crash.offset),
      count: N(crash.count),
      isolateUntil: N(crash.isolateUntil),
      ...(crash.suspect !== undefined && { suspect: N(crash.suspect) }),
      ...(crash.suspectedBy !== undefined && { suspectedBy: N(crash.suspectedBy) }),
    },
  };
}

export function lifeMarkToAttribute({ offset, storedAt }: LifeMark): AttributeValue {
  return { M: { offset: N(offset), storedAt: N(storedAt) } };
}

/** Runs of neighbours with the same count, `<from>-<to>:<count>`: `"4711-4802:3 4805-4805:1"`. */
export function attemptsToAttribute(attempts: Attempts): AttributeValue {
  const runs: { from: bigint; to: bigint; count: number }[] = [];
  for (const [offset, count] of [...attempts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const last = runs.at(-1);
    if (last?.count === count && last.to === offset - 1n) last.to = offset;
    else runs.push({ from: offset, to: offset, count });
  }
  return S(runs.map(({ from, to, count }) => `${from}-${to}:${count}`).join(' '));
}

/** `[{ "until": 4711, "maxMessages": 16 }]`. */
export function batchLimitsToAttribute(limits: readonly BatchLimit[]): AttributeValue {
  return {
    L: limits.map(({ until, maxMessages }) => ({
      M: { until: N(until), maxMessages: N(maxMessages) },
    })),
  };
}

function batchLimitsFromList(list: readonly AttributeValue[]): BatchLimit[] {
  return list.map(({ M = {} }) => ({
    until: bigint(M, 'until'),
    maxMessages: number(M, 'maxMessages'),
  }));
}

/** Earlier versions wrote a map by offset, `{ "4711": 3 }`. */
function attemptsFromAttribute({ S: runs, M: byOffset }: AttributeValue): Attempts | undefined {
  if (byOffset !== undefined)
    return new Map(
      Object.keys(byOffset).map((offset) => [BigInt(offset), number(byOffset, offset)]),
    );
  if (runs === undefined) return undefined;
  const attempts = new Map<bigint, number>();
  for (const [, from, to, count] of runs.matchAll(/(\d+)-(\d+):(\d+)/g))
    for (let offset = BigInt(from ?? 0); offset <= BigInt(to ?? -1); offset++)
      attempts.set(offset, Number(count));
  return attempts;
}

/** The key of an item says what place it is of. */
export function assignmentFromItem<Place extends LeasePlace = MessageQueue>(
  item: Item,
): Assignment<Place> {
  const lease = leaseFromItem(item);
  const crash = item.crash?.M;
  const lifeMark = item.lifeMark?.M;
  const optional = {
    lease,
    heldUntil: maybeNumber(item, 'heldUntil'),
    crash: crash === undefined ? undefined : crashFromMap(crash),
    attempts: item.attempts === undefined ? undefined : attemptsFromAttribute(item.attempts),
    begunEnds: item.begunEnds === undefined ? undefined : attemptsFromAttribute(item.begunEnds),
    batchLimits:
      item.batchLimits?.L === undefined ? undefined : batchLimitsFromList(item.batchLimits.L),
    handlersRunUntil: maybeNumber(item, 'handlersRunUntil'),
    successor:
      item.successorHolder === undefined
        ? undefined
        : { holder: text(item, 'successorHolder'), until: number(item, 'successorUntil') },
    pausedUntil: latest(maybeNumber(item, 'pausedUntil'), maybeNumber(item, 'operatorPausedUntil')),
    operatorPause: operatorPauseFromItem(item),
    absentSince: maybeNumber(item, 'absentSince'),
    retiredAt: maybeNumber(item, 'retiredAt'),
    committedOffset: maybeBigint(item, 'committedOffset'),
    confirmedAt: maybeNumber(item, 'confirmedAt'),
    settledOffset: maybeBigint(item, 'settledOffset'),
    maxOffset: maybeBigint(item, 'maxOffset'),
    lifeMark:
      lifeMark === undefined
        ? undefined
        : { offset: bigint(lifeMark, 'offset'), storedAt: number(lifeMark, 'storedAt') },
    progressAt: maybeNumber(item, 'progressAt'),
  };
  return {
    cluster: text(item, 'cluster'),
    consumerGroup: groupOfPart(text(item, 'consumerGroup')),
    queue: placeFromStored({
      topic: text(item, 'topic'),
      brokerName: text(item, 'brokerName'),
      queueId: number(item, 'queueId'),
    }) as Place,
    slot: slotFromStored(number(item, 'slot')),
    generation: number(item, 'generation'),
    startOffset: bigint(item, 'startOffset'),
    fence: number(item, 'fence'),
    ...present(optional),
  };
}

/** The pause that counts is the longer one. */
function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}

function operatorPauseFromItem(item: Item): OperatorPause | undefined {
  if (item.operatorPausedUntil === undefined) return undefined;
  return {
    until: number(item, 'operatorPausedUntil'),
    since: number(item, 'operatorPausedSince'),
    reason: text(item, 'operatorPauseReason'),
  };
}

export function standingPauseFromItem(item: Item): StandingPause {
  return {
    scope: text(item, 'scope'),
    until: number(item, 'until'),
    since: number(item, 'since'),
    reason: text(item, 'reason'),
  };
}

function leaseFromItem(item: Item): Lease | undefined {
  if (item.holder === undefined) return undefined;
  return {
    holder: text(item, 'holder'),
    slot: number(item, 'leaseSlot'),
    fence: number(item, 'fence'),
    acquiredAt: number(item, 'acquiredAt'),
    leaseUntil: number(item, 'leaseUntil'),
    endsAt: number(item, 'endsAt'),
    ...(item.leaseSettings === undefined ? {} : { settings: text(item, 'leaseSettings') }),
  };
}

function crashFromMap(map: Item): CrashRecord {
  return {
    offset: bigint(map, 'offset'),
    count: number(map, 'count'),
    isolateUntil: bigint(map, 'isolateUntil'),
    ...present({
      suspect: maybeBigint(map, 'suspect'),
      suspectedBy: maybeNumber(map, 'suspectedBy'),
    }),
  };
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys that have no value: the types tell "no lease" from "lease: undefined". */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Present<T>;
}

function text(item: Item, name: string): string {
  return item[name]?.S ?? missing(name);
}

function number(item: Item, name: string): number {
  return Number(item[name]?.N ?? missing(name));
}

function bigint(item: Item, name: string): bigint {
  return BigInt(item[name]?.N ?? missing(name));
}

function maybeNumber(item: Item, name: string): number | undefined {
  return item[name] === undefined ? undefined : number(item, name);
}

function maybeBigint(item: Item, name: string): bigint | undefined {
  return item[name] === undefined ? undefined : bigint(item, name);
}

function missing(name: string): never {
  throw new Error(
    `an item of the assignment table has no "${name}": it was written by another program or version; remove the item, the next pass makes it anew`,
  );
}
