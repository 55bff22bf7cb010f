import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { QueryCommand } from '@aws-sdk/client-dynamodb';
import { EarlierItemsError } from '../errors.ts';
import type { LeasePlace } from '../model/assignment.ts';
import type { EarlierItems } from '../model/source.ts';
import type { GroupKey } from '../ports/assignment-store.ts';
import type { ConditionalWrite } from './conditions.ts';
import { claimKey, type Item, partitionOf, queueItemKey, S } from './items.ts';
import { QUEUE_PREFIX, slotsPart } from './places.ts';
import { createTakeOver, type TakeOverDeps } from './take-over-items.ts';
import { type KeySpace, tenantPrefix, WITHOUT_TENANT } from './tenant.ts';

interface EarlierItemsDeps extends Omit<TakeOverDeps, 'hasItems'> {
  readonly client: DynamoDBClient;
  readonly tableName: string;
}

/** What the store does about items of earlier builds before it makes its own. */
interface EarlierItemsRule {
  /** The group's plan, where an earlier build left one. */
  plan(group: GroupKey, key: Item): Promise<Item | undefined>;
  /** `absent`: the item is the caller's to make. */
  item(
    group: GroupKey,
    place: LeasePlace,
    creation: ConditionalWrite,
  ): Promise<'absent' | 'created' | 'taken-over' | 'held'>;
}

const IGNORE: EarlierItemsRule = { plan: async () => undefined, item: async () => 'absent' };

export function earlierItemsRule(mode: EarlierItems, deps: EarlierItemsDeps): EarlierItemsRule {
  /** Does the partition have items whose sort key begins so? */
  const hasItems = async (keys: KeySpace, group: GroupKey, prefix = ''): Promise<boolean> => {
    const { Items = [] } = await deps.client.send(
      new QueryCommand({
        TableName: deps.tableName,
        ConsistentRead: true,
        Limit: 1,
        KeyConditionExpression:
          prefix === '' ? 'pk = :pk' : 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: {
          ':pk': partitionOf(keys, group),
          ...(prefix !== '' && { ':prefix': S(prefix) }),
        },
      }),
    );
    return Items.length > 0;
  };
  const hasOldItems = (group: GroupKey) => hasItems(WITHOUT_TENANT, group);
  if (mode === 'ignore') return IGNORE;
  if (mode === 'take-over') return createTakeOver({ ...deps, hasItems: hasOldItems });

  /** A group that has begun under the new keys goes on, whatever stands under the old ones. */
  const check = async (group: GroupKey): Promise<void> => {
    for (const part of [group, slotsPart(group)])
      if (await hasItems(deps.keys, part, QUEUE_PREFIX)) return;
    for (const part of [group, slotsPart(group)])
      if (await hasOldItems(part)) throw new EarlierItemsError(group, 'of-unknown');
  };
  /** `takeOver` was taken out of the configuration before the place was taken over. */
  const checkPlace = async (group: GroupKey, place: LeasePlace): Promise<void> => {
    const claim = await deps.read(claimKey(group));
    if (claim?.takenOverBy?.S !== tenantPrefix(deps.keys)) return;
    if ((await deps.read(queueItemKey(WITHOUT_TENANT, group, place))) !== undefined)
      throw new EarlierItemsError(group, 'unfinished');
  };
  return {
    async plan(group) {
      await check(group);
      return undefined;
    },
    async item(group, place) {
      await check(group);
      await checkPlace(group, place);
      return 'absent';
    },
  };
}
