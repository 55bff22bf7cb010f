import type { Assignment, Lease } from '../../src/model/assignment.ts';
import type { Message } from '../../src/model/message.ts';
import { type MessageQueue, type PopUnit, retryTopic } from '../../src/model/message-queue.ts';
import type { PoppedMessage } from '../../src/model/pop.ts';
import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { AssignmentStore } from '../../src/ports/assignment-store.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { type HeldQueue, holdQueue } from '../../src/puller/hold-queue.ts';
import type { PullerDeps } from '../../src/puller/puller-deps.ts';
import { DEFAULT_OPTIONS } from '../../src/puller/run-puller.ts';
import { source, subscription } from './coordinator-world.ts';
import { messageAt } from './records.ts';

export const HELD_GROUP = 'workers';
const TOPIC = 'orders';
/** Where the clock begins, epoch ms. */
export const HELD_AT = 1_700_000_100_000;
/** Of the invocation, and its length. */
const INVOCATION_MS = 900_000;

export interface HeldQueueSettings {
  readonly source?: Partial<SourceConfig>;
  readonly subscription?: Partial<SubscriptionConfig>;
  /** A retry queue of the group, instead of a queue of its topic. */
  readonly isRetryQueue?: boolean;
  readonly assignment?: Partial<Assignment>;
  readonly client?: Partial<RocketMQ>;
  readonly store?: Partial<AssignmentStore>;
  readonly deps?: Partial<PullerDeps>;
  /** What the invocation had when the lease was acquired, ms. */
  readonly leftMs?: number;
}

/** A queue under a puller, without sockets and timers: time passes only where something sleeps, or by `pass`. */
export interface HeldQueueWorld {
  readonly held: HeldQueue;
  readonly logs: readonly {
    readonly level: string;
    readonly code?: string;
    readonly message: string;
  }[];
  now(): number;
  pass(ms: number): void;
  /** What is left of the invocation, ms. */
  leave(ms: number): void;
}

export function createHeldQueue(settings: HeldQueueSettings = {}): HeldQueueWorld {
  let now = HELD_AT;
  let endsAt = HELD_AT + (settings.leftMs ?? INVOCATION_MS);
  const isPopped = settings.source?.mode === 'pop';
  const logs: { level: string; code?: string; message: string }[] = [];
  const log =
    (level: string) =>
    (fields: { code?: string }, message: string): void =>
      void logs.push({ level, message, ...(fields.code !== undefined && { code: fields.code }) });
  const logger: Logger = {
    ...{ debug: () => {}, info: log('info'), warn: log('warn'), error: log('error') },
    child: () => logger,
  };
  const of = source([subscription(TOPIC, settings.subscription)], settings.source);
  const queue: MessageQueue | PopUnit = {
    topic: settings.isRetryQueue === true ? retryTopic(HELD_GROUP) : TOPIC,
    ...{ brokerName: 'broker-a', queueId: 0 },
    ...(isPopped && { pops: true as const }),
  };
  const lease: Lease = {
    ...{ holder: 'holder-1', slot: 0, fence: 1, acquiredAt: HELD_AT, endsAt },
    leaseUntil: endsAt,
  };
  const assignment: Assignment = {
    ...{ cluster: 'default', consumerGroup: HELD_GROUP, queue, slot: 0, generation: 0, fence: 1 },
    ...{ startOffset: 0n, lease },
    ...settings.assignment,
  };
  const deps = {
    service: { service: 'shop', stage: 'dev', clusters: {}, sources: [of] },
    client: settings.client ?? {},
    store: { renew: async () => ({ applied: true, assignment }), ...settings.store },
    clock: {
      now: () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
    },
    ...{ logger, random: () => 0, holder: 'holder-1', handlers: () => ({}) },
    remainingMs: () => endsAt - now,
    ...settings.deps,
  } as unknown as PullerDeps;
  const start = { offset: 0n, mark: undefined };
  const acquired = { source: of, assignment, lease, start };
  return {
    held: holdQueue(deps, DEFAULT_OPTIONS, acquired),
    logs,
    now: () => now,
    pass(ms) {
      now += ms;
    },
    leave(ms) {
      endsAt = now + ms;
    },
  };
}

/** A message of the topic with its name as body and key. */
export function namedMessage(
  name: string,
  offset: number,
  fields: { readonly key?: string | undefined; readonly reconsumeTimes?: number } = {},
): Message {
  const { key, reconsumeTimes = 0 } = fields;
  return messageAt(offset, {
    ...{ topic: TOPIC, queueId: 0, flag: 0, reconsumeTimes },
    storeTimestamp: HELD_AT - 1_000,
    commitLogOffset: BigInt(offset),
    body: Buffer.from(name),
    properties: { UNIQ_KEY: name, ...(key !== undefined && { __SHARDINGKEY: key }) },
  });
}

export function poppedMessage(message: Message, now: number): PoppedMessage {
  const { brokerName, queueId, queueOffset } = message;
  return {
    message,
    handle: {
      ...{ ckQueueOffset: queueOffset, popTime: BigInt(now), invisibleTime: 60_000n },
      ...{ reviveQid: 0, retryMark: 0, brokerName, queueId, queueOffset },
    },
  };
}
