import type { Subscription } from '../../model/subscription.ts';

/** One TCP connection as the broker's tables see it. */
export interface Channel {
  readonly remoteAddress: string;
  /** Request 40: the group's members or subscriptions changed. One-way. */
  notifyConsumerIdsChanged(group: string): void;
  close(): void;
}

export interface Membership {
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
  readonly subscriptions: readonly Subscription[];
}

export interface Member {
  readonly clientId: string;
  readonly language: string;
  readonly version: number;
}

export interface GroupMembers extends Omit<Membership, 'subscriptions'> {
  readonly channels: ReadonlyMap<Channel, Member & { readonly lastHeartbeat: number }>;
  readonly subscriptions: ReadonlyMap<string, Subscription>;
}

/** Who is online. Membership is per channel: a client id on two connections counts twice. Mirrors ConsumerManager and ConsumerGroupInfo. */
export interface MemberTable {
  get(group: string): GroupMembers | undefined;
  register(
    group: string,
    channel: Channel,
    member: Member,
    membership: Membership,
    now: number,
    notify: boolean,
  ): void;
  /** Removes only this channel. */
  unregister(group: string, channel: Channel, notify: boolean): void;
  channelClosed(channel: Channel): void;
  /** Closes channels that have not sent a heartbeat for so long. */
  expire(now: number, maxIdleMs: number): void;
  clear(): void;
}

interface Group {
  consumeType: string;
  messageModel: string;
  consumeFromWhere: string;
  channels: Map<Channel, Member & { lastHeartbeat: number }>;
  subscriptions: Map<string, Subscription>;
}

/** New topics and topics that are gone count as a change; a newer version of a known one does not. */
function updateSubscriptions(group: Group, subscriptions: readonly Subscription[]): boolean {
  let changed = false;
  for (const subscription of subscriptions) {
    const old = group.subscriptions.get(subscription.topic);
    if (old === undefined) changed = true;
    if (old === undefined || subscription.subVersion > old.subVersion)
      group.subscriptions.set(subscription.topic, subscription);
  }
  const topics = new Set(subscriptions.map((subscription) => subscription.topic));
  for (const topic of group.subscriptions.keys()) {
    if (topics.has(topic)) continue;
    group.subscriptions.delete(topic);
    changed = true;
  }
  return changed;
}

export function createMemberTable(): MemberTable {
  const groups = new Map<string, Group>();

  function announce(name: string, group: Group): void {
    for (const channel of group.channels.keys()) channel.notifyConsumerIdsChanged(name);
  }

  function remove(name: string, channel: Channel): Group | undefined {
    const group = groups.get(name);
    if (!group?.channels.delete(channel)) return undefined;
    if (group.channels.size === 0) groups.delete(name);
    return group;
  }

  return {
    get: (group) => groups.get(group),
    register(name, channel, member, { subscriptions, ...rest }, now, notify) {
      const group: Group = groups.get(name) ?? {
        ...rest,
        channels: new Map(),
        subscriptions: new Map(),
      };
      groups.set(name, group);
      Object.assign(group, rest);
      const isNew = !group.channels.has(channel);
      group.channels.set(channel, { ...member, lastHeartbeat: now });
      const changed = updateSubscriptions(group, subscriptions);
      if ((isNew || changed) && notify && group.messageModel !== 'BROADCASTING')
        announce(name, group);
    },
    unregister(name, channel, notify) {
      const group = groups.get(name);
      if (group === undefined) return;
      remove(name, channel);
      if (notify && group.messageModel !== 'BROADCASTING') announce(name, group);
    },
    channelClosed(channel) {
      for (const name of groups.keys()) {
        const group = remove(name, channel);
        if (group && group.messageModel !== 'BROADCASTING') announce(name, group);
      }
    },
    expire(now, maxIdleMs) {
      for (const [name, group] of groups) {
        for (const [channel, member] of group.channels) {
          if (now - member.lastHeartbeat <= maxIdleMs) continue;
          remove(name, channel);
          channel.close();
        }
      }
    },
    clear: () => groups.clear(),
  };
}
