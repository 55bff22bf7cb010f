import { EarlierItemsError } from '../errors.ts';
import type { LeasePlace, StandingPause } from '../model/assignment.ts';
import type { GroupKey } from '../ports/assignment-store.ts';
import {
  type ConditionalWrite,
  clause,
  type Outcome,
  putPlan,
  putStandingPause,
} from './conditions.ts';
import {
  claimKey,
  type Item,
  PAUSE_PREFIX,
  partitionOf,
  planFromItem,
  planKey,
  queueItemKey,
  standingPauseFromItem,
  standingPauseKey,
} from './items.ts';
import { slotsPart } from './places.ts';
import { claimGroup, closedFromTheStart, markPrepared, takeOverStep } from './take-over.ts';
import { type Tenant, WITHOUT_TENANT } from './tenant.ts';

export interface TakeOverDeps {
  readonly keys: Tenant;
  readonly now: () => number;
  readonly read: (key: Item) => Promise<Item | undefined>;
  readonly write: (key: Item, conditional: ConditionalWrite) => Promise<Outcome>;
  readonly query: <T>(
    group: GroupKey,
    prefix: string,
    read: (item: Item) => T,
    from: typeof WITHOUT_TENANT,
  ) => Promise<T[]>;
  /** Has an earlier build written anything into the partition? */
  readonly hasItems: (group: GroupKey) => Promise<boolean>;
}

/** Seal, close, copy; more rounds only when others write in between. */
const ROUNDS = 8;

/** Items of earlier builds, whose keys had neither service nor stage. What each step writes stands in take-over.ts. */
export function createTakeOver(deps: TakeOverDeps) {
  const { keys, now, read, write, query, hasItems } = deps;
  const begun = new Map<string, Promise<'ours' | 'none'>>();

  /** `none`: no earlier build had the group. */
  const begin = async (group: GroupKey): Promise<'ours' | 'none'> => {
    if (!(await hasItems(group)) && !(await hasItems(slotsPart(group)))) return 'none';
    const { applied, item } = await write(claimKey(group), claimGroup(keys));
    if (!applied) throw new EarlierItemsError(group, 'of-another', item?.takenOverBy?.S);
    if (item?.preparedAt !== undefined) return 'ours';
    await prepare(group);
    await write(claimKey(group), markPrepared(now()));
    return 'ours';
  };

  /** Standing pauses first: the plan shows that they are there. */
  const prepare = async (group: GroupKey): Promise<void> => {
    const pauses = await query(group, PAUSE_PREFIX, standingPauseFromItem, WITHOUT_TENANT);
    const current = pauses.filter(({ until }: StandingPause) => until > now());
    for (const { scope, ...pause } of current)
      await write(standingPauseKey(keys, group, scope), {
        ...putStandingPause(scope, pause),
        when: [clause.noItem],
      });
    const plan = await read(planKey(WITHOUT_TENANT, group));
    if (plan !== undefined)
      await write(planKey(keys, group), putPlan(planFromItem(plan), undefined));
  };

  return {
    /** The group's plan as an earlier build left it, copied to its new key. */
    async plan(group: GroupKey, key: Item): Promise<Item | undefined> {
      const found = await once(begun, partitionOf(keys, group).S!, () => begin(group));
      return found === 'none' ? undefined : await read(key);
    },

    /**
     * `absent`: there was no earlier build, and the item is the caller's to make. `created`: made, also under its old key,
     * where the earlier build cannot make it any more. `held`: by a holder of the earlier build, which drains.
     */
    async item(
      group: GroupKey,
      place: LeasePlace,
      creation: ConditionalWrite,
    ): Promise<'absent' | 'created' | 'taken-over' | 'held'> {
      const found = await once(begun, partitionOf(keys, group).S!, () => begin(group));
      if (found === 'none') return 'absent';
      const oldKey = queueItemKey(WITHOUT_TENANT, group, place);
      let isOurs = false;
      for (let round = 0; round < ROUNDS; round++) {
        const old = await read(oldKey);
        if (old === undefined) {
          isOurs = (await write(oldKey, closedFromTheStart(creation, now()))).applied;
          continue;
        }
        const step = takeOverStep(old, now());
        if (step.kind === 'wait') return 'held';
        if (step.kind === 'copy') {
          const { applied } = await write(queueItemKey(keys, group, place), step.write);
          return applied && isOurs ? 'created' : 'taken-over';
        }
        await write(oldKey, step.write);
      }
      return 'held';
    },
  };
}

/** A failed attempt is tried again. */
async function once<T>(
  done: Map<string, Promise<T>>,
  key: string,
  work: () => Promise<T>,
): Promise<T> {
  const attempt = done.get(key) ?? work();
  done.set(key, attempt);
  try {
    return await attempt;
  } catch (error) {
    done.delete(key);
    throw error;
  }
}
