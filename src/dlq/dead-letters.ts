import { DeadLettersUnreadableError, GroupNotFoundError, TopicNotFoundError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import {
  compareQueues,
  DLQ_TOPIC_PREFIX,
  dlqTopic,
  type MessageQueue,
} from '../model/message-queue.ts';
import { PERM_READ, type TopicRoute } from '../model/route.ts';
import type { CallOptions, PullResult, RocketMQ } from '../ports/rocketmq.ts';
import { Property } from '../records/properties.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { DeadLetter, DeadLetterQueue } from './dead-letter.ts';
import { namesLetter } from './letter-names.ts';

export type { DeadLetter, DeadLetterQueue } from './dead-letter.ts';

/** The group that reads dead letters, and whose offsets on a dead-letter topic tell what was redriven. */
export const REDRIVE_GROUP = 'serverless-rocketmq-redrive';

/** The dead letters of one consumer group. */
export interface DeadLetterTopic {
  readonly consumerGroup: string;
  readonly topic: string;
  readonly queues: readonly DeadLetterQueue[];
  /** Messages that are stored. */
  readonly count: bigint;
  /** Those of them that were not redriven as a whole. */
  readonly waiting: bigint;
}

/** Which dead letters; all of them when nothing is said. */
export interface DeadLetterSelection {
  /** Of one broker's queue only. */
  readonly brokerName?: string;
  /** Begin at this offset of each queue. */
  readonly offset?: bigint;
  /** Begin with what was dead-lettered then or later, epoch ms. */
  readonly since?: number;
  /**
   * Only these: places `BROKER/QUEUE/OFFSET`, or `msgId` (UNIQ_KEY) or `offsetMsgId` in the dead-letter queue, which
   * is searched for them. Producers choose ids: a redrive refuses one that names several letters.
   */
  readonly ids?: readonly string[];
  /** Only these offsets. */
  readonly offsets?: readonly bigint[];
}

const MOST_MESSAGES = 32;

/** The dead letters of all groups that have a dead-letter topic, or of one; sorted by group. Nothing is read or changed. */
export async function listDeadLetters(
  client: RocketMQ,
  options: CallOptions & { readonly consumerGroup?: string } = {},
): Promise<DeadLetterTopic[]> {
  const { consumerGroup, ...call } = options;
  const topics =
    consumerGroup === undefined
      ? (await client.topics(call)).filter((topic) => topic.startsWith(DLQ_TOPIC_PREFIX)).sort()
      : [dlqTopic(consumerGroup)];
  const found = await Promise.all(topics.map((topic) => describe(client, topic, call)));
  return found.filter((topic) => topic !== undefined);
}

/** A group's dead letters as texts of 64 bits: stored, and of those the ones that were neither redriven nor dropped. */
export async function countDeadLetters(
  client: RocketMQ,
  consumerGroup: string,
  options: CallOptions,
): Promise<{ readonly stored: string; readonly waiting: string }> {
  const [topic] = await listDeadLetters(client, { ...options, consumerGroup });
  return { stored: String(topic?.count ?? 0n), waiting: String(topic?.waiting ?? 0n) };
}

/** undefined: there is none (any more). */
async function describe(
  client: RocketMQ,
  topic: string,
  call: CallOptions,
): Promise<DeadLetterTopic | undefined> {
  const queues = await deadLetterQueues(client, topic, call);
  if (queues === undefined) return undefined;
  return {
    consumerGroup: topic.slice(DLQ_TOPIC_PREFIX.length),
    topic,
    queues,
    count: queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0n),
    waiting: queues.reduce(
      (sum, { redrivenUpTo, maxOffset }) => sum + maxOffset - redrivenUpTo,
      0n,
    ),
  };
}

/** @param of one broker only */
async function deadLetterQueues(
  client: RocketMQ,
  topic: string,
  call: CallOptions,
  of?: string,
): Promise<DeadLetterQueue[] | undefined> {
  let route: TopicRoute;
  try {
    route = await client.topicRoute(topic, { ...call, fresh: true });
  } catch (error) {
    if (error instanceof TopicNotFoundError) return undefined;
    throw error;
  }
  const queues = route.queues
    .filter(({ brokerName }) => of === undefined || brokerName === of)
    .flatMap(({ brokerName, readQueueNums, writeQueueNums, perm }) =>
      Array.from({ length: Math.max(readQueueNums, writeQueueNums) }, (_, queueId) => ({
        queue: { topic, brokerName, queueId },
        readable: (perm & PERM_READ) !== 0,
      })),
    );
  queues.sort((a, b) => compareQueues(a.queue, b.queue));
  return Promise.all(
    queues.map(async ({ queue, readable }) => {
      const [minOffset, maxOffset, redriven] = await Promise.all([
        client.minOffset(queue, call),
        client.maxOffset(queue, call),
        client.queryOffset(REDRIVE_GROUP, queue, call),
      ]);
      return {
        queue,
        minOffset,
        maxOffset,
        readable,
        redrivenUpTo: between(minOffset, redriven ?? minOffset, maxOffset),
      };
    }),
  );
}

function between(least: bigint, value: bigint, most: bigint): bigint {
  return value < least ? least : value > most ? most : value;
}

/**
 * The queues that a selection asks for. Empty: the group has no dead letters.
 * @throws DeadLettersUnreadableError where a broker lets nobody read them
 */
export async function selectedQueues(
  client: RocketMQ,
  consumerGroup: string,
  { brokerName }: DeadLetterSelection,
  call: CallOptions,
): Promise<DeadLetterQueue[]> {
  const topic = dlqTopic(consumerGroup);
  const queues = (await deadLetterQueues(client, topic, call, brokerName)) ?? [];
  const unreadable = [
    ...new Set(queues.filter(({ readable }) => !readable).map(({ queue }) => queue.brokerName)),
  ];
  if (unreadable.length > 0) throw new DeadLettersUnreadableError(topic, unreadable);
  return queues;
}

/**
 * Looks at dead letters, in the order of their queues. Nothing is committed: it may be repeated, and changes nothing for anybody.
 * @param options.limit most messages that are given; default without end
 * @throws DeadLettersUnreadableError
 */
export async function* peekDeadLetters(
  client: RocketMQ,
  consumerGroup: string,
  options: DeadLetterSelection & CallOptions & { readonly limit?: number } = {},
): AsyncGenerator<DeadLetter, void, undefined> {
  const { limit, signal } = options;
  const call = signal === undefined ? {} : { signal };
  let given = 0;
  if (isReached(limit, given)) return;
  for (const place of await selectedQueues(client, consumerGroup, options, call)) {
    const start = await startOf(client, place, options, place.minOffset, call);
    for await (const letters of readQueue(client, place, start, call))
      for (const letter of letters) {
        if (!isSelected(letter, options)) continue;
        yield letter;
        given++;
        if (isReached(limit, given)) return;
      }
  }
}

/** @param limit undefined: there is none */
export function isReached(limit: number | undefined, count: number): boolean {
  return limit !== undefined && count >= limit;
}

/** Where reading begins: as asked, else at `otherwise`. */
export async function startOf(
  client: RocketMQ,
  { queue, minOffset }: DeadLetterQueue,
  { offset, since, offsets }: DeadLetterSelection,
  otherwise: bigint,
  call: CallOptions,
): Promise<bigint> {
  const asked = [
    ...(offset === undefined ? [] : [offset]),
    ...(since === undefined ? [] : [await client.searchOffset(queue, since, call)]),
    ...(offsets === undefined || offsets.length === 0
      ? []
      : [offsets.reduce((least, one) => (one < least ? one : least))]),
  ];
  const start =
    asked.length === 0 ? otherwise : asked.reduce((most, one) => (one > most ? one : most));
  return start < minOffset ? minOffset : start;
}

/** The search by time of 4.9 takes the nearest message, also one from before. */
export function isSelected(
  letter: DeadLetter,
  { ids, offsets, since }: DeadLetterSelection,
): boolean {
  const { message, offset } = letter;
  if (offsets !== undefined && !offsets.includes(offset)) return false;
  if (since !== undefined && message !== undefined && message.storeTimestamp < since) return false;
  return ids === undefined || ids.some((id) => namesLetter(id, letter));
}

/** What stands in a queue now, from `start` up to the end that it had when it was looked at; pull by pull. */
export async function* readQueue(
  client: RocketMQ,
  { queue, maxOffset }: DeadLetterQueue,
  start: bigint,
  call: CallOptions,
): AsyncGenerator<DeadLetter[], void, undefined> {
  for (let next = start; next < maxOffset; ) {
    const result = await pull(client, queue, next, call);
    // A broker may take a moment until it gives what it has acknowledged; nothing there means that it is gone.
    if (result.nextBeginOffset === next) return;
    if (result.status === 'FOUND') {
      const letters = [
        ...result.messages.map((message) => letterOf(queue, message)),
        ...result.undecodable.map((undecodable) => ({
          ...{ queue, offset: undecodable.queueOffset, undecodable },
          ...{ message: undefined, originTopic: undefined, originMessageId: undefined },
        })),
      ].sort((a, b) => (a.offset < b.offset ? -1 : 1));
      yield letters.filter(({ offset }) => offset < maxOffset);
    }
    // Deleted meanwhile: on at what is there; never back.
    if (result.nextBeginOffset < next) return;
    next = result.nextBeginOffset;
  }
}

function letterOf(queue: MessageQueue, message: Message): DeadLetter {
  const { properties, queueOffset: offset } = message;
  return {
    queue,
    offset,
    message,
    undecodable: undefined,
    // The remoting path of brokers notes RETRY_TOPIC; the gRPC proxy has properties of its own.
    originTopic: properties.get(Property.RETRY_TOPIC) ?? properties.get(Property.DLQ_ORIGIN_TOPIC),
    originMessageId:
      properties.get(Property.ORIGIN_MESSAGE_ID) ?? properties.get(Property.DLQ_ORIGIN_MESSAGE_ID),
  };
}

async function pull(
  client: RocketMQ,
  queue: MessageQueue,
  offset: bigint,
  call: CallOptions,
): Promise<PullResult> {
  const subscription = buildSubscription(queue.topic, '*');
  const request = {
    consumerGroup: REDRIVE_GROUP,
    queue,
    offset,
    subscription,
    maxMessages: MOST_MESSAGES,
    suspendMs: 0,
  };
  try {
    return await client.pull(request, call);
  } catch (error) {
    // Where brokers make no groups by themselves.
    if (!(error instanceof GroupNotFoundError)) throw error;
    await client.createGroup(REDRIVE_GROUP, { brokerNames: [queue.brokerName] }, call);
    return client.pull(request, call);
  }
}
