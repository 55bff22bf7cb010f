import { groupComplaint } from './names.ts';

/** Mirrors SubscriptionGroupConfig, as far as the embedded broker obeys it. */
export interface SubscriptionGroup {
  readonly groupName: string;
  readonly consumeEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly retryQueueNums: number;
  readonly retryMaxTimes: number;
  readonly groupSysFlag: number;
  readonly notifyConsumerIdsChangedEnable: boolean;
}

/** The subscription groups of one broker. Mirrors SubscriptionGroupManager. */
export interface GroupTable {
  has(group: string): boolean;
  put(group: SubscriptionGroup): void;
  /** Creates the group when the broker may and the name is legal. */
  findOrCreate(group: string): SubscriptionGroup | undefined;
}

export function subscriptionGroup(
  groupName: string,
  settings: Partial<SubscriptionGroup> = {},
): SubscriptionGroup {
  return {
    consumeEnable: true,
    consumeBroadcastEnable: true,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    groupSysFlag: 0,
    notifyConsumerIdsChangedEnable: true,
    ...settings,
    groupName,
  };
}

export function createGroupTable(options: { autoCreateSubscriptionGroup: boolean }): GroupTable {
  const groups = new Map<string, SubscriptionGroup>();
  return {
    has: (group) => groups.has(group),
    put: (group) => void groups.set(group.groupName, group),
    findOrCreate(name) {
      const known = groups.get(name);
      if (
        known !== undefined ||
        !options.autoCreateSubscriptionGroup ||
        groupComplaint(name) !== undefined
      )
        return known;
      const created = subscriptionGroup(name);
      groups.set(name, created);
      return created;
    },
  };
}
