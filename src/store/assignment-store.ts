import {
  type DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Assignment, LeasePlace, SlotPlace } from '../model/assignment.ts';
import { mayTakeOver } from '../model/clock-skew.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { EarlierItems } from '../model/source.ts';
import type {
  Applied,
  AssignmentStore,
  GroupKey,
  LeaseAnswer,
  LeaseStore,
  Lost,
} from '../ports/assignment-store.ts';
import {
  type Acquisition,
  acquireFree,
  announce,
  type ConditionalWrite,
  createQueue,
  diedBefore,
  markAbsent,
  moveQueue,
  type Outcome,
  pauseForOperator,
  pauseQueue,
  putPlan,
  putStandingPause,
  releaseLease,
  renewLease,
  retireQueue,
  reviveQueue,
  setStoredOffset,
  setStoredOffsetAfterDeath,
  takeOver,
  updateExpression,
} from './conditions.ts';
import { earlierItemsRule } from './earlier-items.ts';
import {
  assignmentFromItem,
  type Item,
  PAUSE_PREFIX,
  partitionOf,
  planFromItem,
  planKey,
  queueItemKey,
  S,
  standingPauseFromItem,
  standingPauseKey,
} from './items.ts';
import { QUEUE_PREFIX, slotsPart } from './places.ts';
import { type KeySpace, WITHOUT_TENANT } from './tenant.ts';

export interface StoreDeps {
  /** Whose items they are. */
  readonly keys: KeySpace;
  /** Default: `take-over`. */
  readonly earlierItems?: EarlierItems;
  /** Epoch ms. */
  readonly now?: () => number;
  /** Unique per write. */
  readonly newToken: () => string;
}

/** More rounds than one are only needed when somebody else writes between our write and our read. */
const ACQUIRE_ROUNDS = 3;

/** The table as the flows see it. See conditions.ts for what each write asks. */
export function createAssignmentStore(
  client: DynamoDBClient,
  tableName: string,
  { newToken, keys, earlierItems = 'take-over', now = Date.now }: StoreDeps,
): AssignmentStore {
  let renewals = 0;

  const read = async (key: Item): Promise<Item | undefined> =>
    (
      await client.send(
        new GetItemCommand({ TableName: tableName, Key: key, ConsistentRead: true }),
      )
    ).Item;

  /**
   * Writes under a fresh token. The SDK repeats a write that got no answer; when the first one was applied after all, the repetition fails
   * on its own effect. So a failed condition is no verdict yet: the item is read, and our own token in it says that the write was applied.
   */
  const write = async (key: Item, conditional: ConditionalWrite): Promise<Outcome> => {
    const token = newToken();
    try {
      const { Attributes } = await client.send(
        new UpdateItemCommand({
          TableName: tableName,
          Key: key,
          ReturnValues: 'ALL_NEW',
          ...updateExpression(conditional, token),
        }),
      );
      return { applied: true, item: Attributes };
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'ConditionalCheckFailedException')
        throw error;
      const item = await read(key);
      return { applied: item?.[conditional.token]?.S === token, item };
    }
  };

  const writeQueue = (group: GroupKey, queue: LeasePlace, conditional: ConditionalWrite) =>
    write(queueItemKey(keys, group, queue), conditional);

  const query = async <T>(
    group: GroupKey,
    prefix: string,
    read: (item: Item) => T,
    from: KeySpace = keys,
  ): Promise<T[]> => {
    const pages = paginateQuery(
      { client },
      {
        TableName: tableName,
        ConsistentRead: true,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': partitionOf(from, group), ':prefix': S(prefix) },
      },
    );
    const found: T[] = [];
    for await (const page of pages) for (const item of page.Items ?? []) found.push(read(item));
    return found;
  };

  const earlier =
    keys === WITHOUT_TENANT
      ? undefined
      : earlierItemsRule(earlierItems, { client, tableName, keys, now, read, write, query });

  /** Makes the item, unless an earlier build's is taken over, or is still held: then the next pass finds it or tries again. */
  const create = async (
    group: GroupKey,
    place: LeasePlace,
    creation: ConditionalWrite,
  ): Promise<boolean> => {
    const found = (await earlier?.item(group, place, creation)) ?? 'absent';
    if (found !== 'absent') return found === 'created';
    return (await writeQueue(group, place, creation)).applied;
  };

  const leases = <Place extends LeasePlace>(): LeaseStore<Place> => ({
    async acquire(request) {
      let seen: Assignment<Place> | undefined;
      for (let round = 0; round < ACQUIRE_ROUNDS; round++) {
        const outcome = await writeQueue(
          request,
          request.queue,
          hasLease(seen) ? takeOver(request, seen) : acquireFree(request),
        );
        if (outcome.applied)
          return {
            ...applied<Place>(outcome),
            ...(seen !== undefined && diedBefore(request, seen) && { afterDeath: true }),
          };
        seen = current(outcome);
        const reason = whyNotTakeable(seen, request);
        if (reason !== undefined) return { applied: false, reason, current: seen };
      }
      return { applied: false, reason: 'held', current: seen };
    },
    async renew(request) {
      const write = renewLease(request, ++renewals);
      const outcome = await writeQueue(request, request.queue, write);
      const lease = current<Place>(outcome)?.lease;
      // A later renewal of the same holder was first: the item has its end and its figures, and these are outdated.
      const isOvertaken = lease?.holder === request.holder && lease.fence === request.fence;
      return holderAnswer(isOvertaken ? { ...outcome, applied: true } : outcome);
    },
    async release(request) {
      const outcome = await writeQueue(request, request.queue, releaseLease(request));
      const releasedBefore = outcome.item?.releasedFence?.N === String(request.fence);
      return holderAnswer(releasedBefore ? { ...outcome, applied: true } : outcome);
    },
    async announceSuccessor(request) {
      const outcome = await writeQueue(request, request.queue, announce(request));
      if (outcome.applied) return applied<Place>(outcome);
      const assignment = current<Place>(outcome);
      return {
        applied: false,
        reason: whyNotFor(assignment, request) ?? 'successor-waits',
        current: assignment,
      };
    },
  });

  return {
    list: (group) => query(group, QUEUE_PREFIX, assignmentFromItem),
    ...leases<MessageQueue>(),
    async read(group, queue) {
      const item = await read(queueItemKey(keys, group, queue));
      return item === undefined ? undefined : assignmentFromItem(item);
    },
    async readPlan(group) {
      const item =
        (await read(planKey(keys, group))) ?? (await earlier?.plan(group, planKey(keys, group)));
      return item === undefined ? undefined : planFromItem(item);
    },
    writePlan: async (group, plan, expectedVersion) =>
      (await write(planKey(keys, group), putPlan(plan, expectedVersion))).applied,
    create: (group, queue, slot, startOffset, lifeMark) =>
      create(group, queue, createQueue(group, queue, slot, startOffset, lifeMark)),
    move: async (group, queue, slot, generation) =>
      (await writeQueue(group, queue, moveQueue(slot, generation))).applied,
    setAbsent: async (group, queue, absentSince, generation) =>
      (await writeQueue(group, queue, markAbsent(absentSince, generation))).applied,
    setRetired: async (group, queue, retiredAt, generation) =>
      (await writeQueue(group, queue, retireQueue(retiredAt, generation))).applied,
    revive: async (group, queue, slot, generation) =>
      (await writeQueue(group, queue, reviveQueue(slot, generation))).applied,
    async setPaused(group, queue, pausedUntil) {
      await writeQueue(group, queue, pauseQueue(pausedUntil));
    },
    setOperatorPause: async (group, queue, pause, insteadOf) =>
      (await writeQueue(group, queue, pauseForOperator(pause, insteadOf))).applied,
    standingPauses: (group) => query(group, PAUSE_PREFIX, standingPauseFromItem),
    async writeStandingPause(group, scope, pause) {
      // An item with an end in the past is no pause; nobody needs the right to delete.
      await write(
        standingPauseKey(keys, group, scope),
        putStandingPause(scope, pause ?? { until: 0, since: 0, reason: '' }),
      );
    },
    async writeOffset(group, queue, request) {
      const outcome = await writeQueue(group, queue, setStoredOffset(request));
      if (outcome.applied) return 'written';
      const seen = current(outcome);
      if (seen === undefined) return 'missing';
      if (!hasLease(seen) || !mayTakeOver(seen.lease, request.ended)) return 'held';
      const afterDeath = setStoredOffsetAfterDeath(request, seen);
      return (await writeQueue(group, queue, afterDeath)).applied ? 'written' : 'held';
    },
    slots: {
      ...leases<SlotPlace>(),
      list: (group) => query(slotsPart(group), QUEUE_PREFIX, assignmentFromItem<SlotPlace>),
      create: async (group, slot) => {
        await create(group, { slot }, createQueue(group, { slot }, slot, 0n));
      },
      setPaused: async (group, slot, pausedUntil) => {
        await writeQueue(group, { slot }, pauseQueue(pausedUntil));
      },
    },
  };
}

function hasLease<Place extends LeasePlace>(
  seen: Assignment<Place> | undefined,
): seen is Assignment<Place> & { lease: NonNullable<Assignment['lease']> } {
  return seen?.lease !== undefined;
}

function current<Place extends LeasePlace>({ item }: Outcome): Assignment<Place> | undefined {
  return item === undefined ? undefined : assignmentFromItem<Place>(item);
}

function applied<Place extends LeasePlace>({ item }: Outcome): Applied<Place> {
  return { applied: true, assignment: assignmentFromItem<Place>(item as Item) };
}

/** A holder's write loses for one reason only, unless the item itself is gone. */
function holderAnswer<Place extends LeasePlace>(outcome: Outcome): LeaseAnswer<Place> {
  if (outcome.applied) return applied<Place>(outcome);
  const assignment = current<Place>(outcome);
  return {
    applied: false,
    reason: assignment === undefined ? 'missing' : 'taken-over',
    current: assignment,
  };
}

type Applicant = Pick<Acquisition, 'slot' | 'holder' | 'now' | 'ended'>;

/** The failed clause that matters most to the loser; undefined when the item, as it is now, would allow it. */
function whyNotFor(
  item: Assignment<LeasePlace> | undefined,
  { slot, holder, now }: Applicant,
): Lost['reason'] | undefined {
  if (item === undefined) return 'missing';
  if (item.retiredAt !== undefined) return 'retired';
  if (item.slot !== slot) return 'other-slot';
  if (item.pausedUntil !== undefined && item.pausedUntil >= now) return 'paused';
  if (
    item.successor !== undefined &&
    item.successor.holder !== holder &&
    item.successor.until >= now
  )
    return 'successor-waits';
  return undefined;
}

function whyNotTakeable(
  item: Assignment<LeasePlace> | undefined,
  applicant: Applicant,
): Lost['reason'] | undefined {
  const reason = whyNotFor(item, applicant);
  if (reason !== undefined && reason !== 'successor-waits') return reason;
  const { now, ended = { endedBefore: now, deadlineBefore: now } } = applicant;
  return item?.lease !== undefined && !mayTakeOver(item.lease, ended) ? 'held' : reason;
}
