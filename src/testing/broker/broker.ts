import { encodeRecord } from '../../records/encode-record.ts';
import { createUniqKeys, offsetMsgId } from '../../records/message-id.ts';
import { javaHashCode } from '../../records/subscription.ts';
import type { RemotingCommand } from '../../remoting/command.ts';
import { RequestCode } from '../../remoting/request-code.ts';
import type { ServerConnection } from '../tcp-server.ts';
import type { Answer } from './answer.ts';
import type { BrokerState } from './broker-state.ts';
import { createDelaySchedule } from './delay-schedule.ts';
import { dispatch } from './dispatch.ts';
import { createGroupTable } from './group-table.ts';
import { createHeldPulls } from './held-pulls.ts';
import { createLockTable } from './lock-table.ts';
import type { Channel } from './member-table.ts';
import { createMemberTable } from './member-table.ts';
import type { MessageStore } from './message-store.ts';
import { createMessageStore } from './message-store.ts';
import { createOffsetTable } from './offset-table.ts';
import { createTopicTable } from './topic-table.ts';

/** What a broker is made of; times in milliseconds. */
export interface BrokerSettings {
  readonly cluster: string;
  readonly brokerName: string;
  /** Announced, and part of every message id. */
  readonly storeHost: () => { readonly address: string; readonly port: number };
  readonly delayLevels: readonly number[];
  readonly autoCreateTopic: boolean;
  readonly autoCreateSubscriptionGroup: boolean;
  readonly defaultTopicQueueNums: number;
  readonly longPollTickMs: number;
  readonly lockMaxLiveMs: number;
  readonly channelExpiredMs: number;
}

/** A broker without its socket. */
export interface Broker {
  readonly state: BrokerState;
  readonly handle: (
    command: RemotingCommand,
    connection: ServerConnection,
    answer: (answer: Answer) => void,
  ) => void;
  readonly connectionClosed: (connection: ServerConnection) => void;
  /** Begins the work that is done by the clock. */
  start(): void;
  /** Ends it, and forgets what a real broker forgets: members, locks, held pulls, pending resets. */
  stop(): void;
}

/** The real broker looks at its delay queues as often. */
const SCHEDULE_TICK_MS = 100;
/** How often it looks for members that went silent; more often when they may be silent for less. */
const MEMBER_SCAN_MS = 10_000;

export function createBroker(settings: BrokerSettings): Broker {
  const { delayLevels, storeHost } = settings;
  const now = Date.now;
  let startedAt = now();
  const held = createHeldPulls((topic, queueId) => store.maxOffset(topic, queueId));
  const store: MessageStore = createMessageStore({
    delayLevels,
    now,
    tagsCode: (tags) => (tags === undefined ? 0 : javaHashCode(tags)),
    offsetMsgId: (physicalOffset) => offsetMsgId(storeHost(), BigInt(physicalOffset)),
    encode: ({ queueOffset, physicalOffset, ...message }) =>
      encodeRecord({
        ...message,
        queueOffset: BigInt(queueOffset),
        commitLogOffset: BigInt(physicalOffset),
        storeHost: storeHost(),
      }),
    onAppend: ({ topic, queueId, queueOffset, tagsCode }) =>
      held.arrived(topic, queueId, queueOffset + 1, tagsCode),
  });
  const schedule = createDelaySchedule(store, delayLevels);
  const state: BrokerState = {
    cluster: settings.cluster,
    brokerName: settings.brokerName,
    topics: createTopicTable({ ...settings, delayLevels: delayLevels.length }),
    groups: createGroupTable(settings),
    offsets: createOffsetTable(),
    store,
    locks: createLockTable(settings.lockMaxLiveMs),
    members: createMemberTable(),
    held,
    createUniqKey: createUniqKeys({
      address: '127.0.0.1',
      pid: process.pid,
      random: Math.trunc(Math.random() * 2 ** 31),
      now,
    }),
    now,
    uptimeMs: () => now() - startedAt,
  };

  const channels = new Map<ServerConnection, Channel>();
  function channelOf(connection: ServerConnection): Channel {
    const known = channels.get(connection);
    if (known) return known;
    const channel: Channel = {
      remoteAddress: connection.remoteAddress,
      notifyConsumerIdsChanged: (group) =>
        connection.push(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: group }),
      close: () => connection.close(),
    };
    channels.set(connection, channel);
    return channel;
  }

  let timers: NodeJS.Timeout[] = [];
  return {
    state,
    handle: (command, connection, answer) =>
      dispatch(state, { command, connection, channel: channelOf(connection), answer }),
    connectionClosed(connection) {
      const channel = channels.get(connection);
      if (channel === undefined) return;
      channels.delete(connection);
      state.members.channelClosed(channel);
    },
    start() {
      startedAt = now();
      timers = [
        setInterval(() => held.tick(now()), settings.longPollTickMs),
        setInterval(() => schedule.tick(now()), SCHEDULE_TICK_MS),
        setInterval(
          () => state.members.expire(now(), settings.channelExpiredMs),
          Math.min(MEMBER_SCAN_MS, settings.channelExpiredMs),
        ),
      ];
      for (const timer of timers) timer.unref();
    },
    stop() {
      for (const timer of timers) clearInterval(timer);
      held.clear();
      state.members.clear();
      state.locks.clear();
      state.offsets.forgetVolatile();
      channels.clear();
    },
  };
}
