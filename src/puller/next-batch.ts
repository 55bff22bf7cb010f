import { randomUUID } from 'node:crypto';
import { isolation } from '../decide/crash/crash-record.ts';
import { matchesAny } from '../decide/filter/matches-pattern.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory } from '../decide/pull/memory-budget.ts';
import { BatchBuilder, MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { buildRecord, filterable } from '../delivery/build-record.ts';
import { addRecord } from '../delivery/offload-body.ts';
import { commonTrace } from '../delivery/trace-header.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { Property } from '../records/properties.ts';
import { userTopic } from '../records/subscription.ts';
import { windowEnd } from './batching-window.ts';
import { openEntry } from './open-entry.ts';
import type { QueueSession } from './queue-session.ts';
import type { Batch, Delivery, NextWork } from './work.ts';

/** Redeliveries before the DLQ, by the message's tag. −1: without end, as far as the protocol counts. */
export function maxReconsumeTimes(
  {
    maximumRetryAttempts,
    maximumRetryAttemptsByTag,
  }: Pick<SubscriptionConfig, 'maximumRetryAttempts' | 'maximumRetryAttemptsByTag'>,
  message?: Pick<Message, 'properties'>,
): number {
  const tag = message?.properties.get(Property.TAGS);
  const ofTag =
    tag !== undefined &&
    maximumRetryAttemptsByTag !== undefined &&
    Object.hasOwn(maximumRetryAttemptsByTag, tag);
  const attempts = ofTag ? (maximumRetryAttemptsByTag[tag] as number) : maximumRetryAttempts;
  return attempts < 0 ? 0x7fffffff : attempts;
}

/**
 * Takes the next messages that can go to one handler in one event: same user topic, up to batchSize, Lambda's payload and
 * the memory of the invocation. undefined: nothing to do now. A batch's memory is to be released when its call has ended.
 */
export function nextBatch(session: QueueSession): NextWork | undefined {
  const memory = session.memory.startDelivery();
  let work: NextWork | undefined;
  try {
    work = chooseBatch(session, memory);
  } finally {
    if (work?.kind !== 'batch') memory.release();
  }
  return work;
}

function chooseBatch(session: QueueSession, memory: DeliveryMemory): NextWork | undefined {
  if (session.isolating || windowEnd(session) !== undefined) return undefined;
  const { messages, deps, source } = session;
  const now = deps.clock.now();
  const deliveries: Delivery[] = [];
  let subscription: SubscriptionConfig | undefined;
  let builder: BatchBuilder | undefined;
  const next = messages.batch(now);
  let most = Number.POSITIVE_INFINITY;
  for (;;) {
    const entry = next();
    if (entry === undefined) break;
    most = Math.min(most, session.order?.limitOf(entry) ?? most);
    if (deliveries.length >= most) break;
    if (session.popped?.isOurs(entry) === false) {
      messages.take(entry);
      messages.settle(entry);
      session.popped.forget(entry);
      session.logger.warn(
        { topic: session.queue.topic },
        'a popped message waited longer than its time: the broker gives it to somebody again',
      );
      continue;
    }
    const how = isolation(session.crash, entry.offset);
    // A message that is delivered alone has the queue to itself, so that a death can only be its own.
    if (how !== 'batch' && messages.taken > 0) break;
    const unhandled = whyUnhandled(session, entry, how);
    if (unhandled !== undefined) {
      if (deliveries.length > 0) break;
      messages.take(entry);
      return { kind: 'unhandled', entry, ...unhandled };
    }
    const stored = entry.message as Message;
    const topic = userTopic(stored, source.consumerGroup);
    const own = session.subscriptionOf(topic) as SubscriptionConfig;
    if (subscription !== undefined && own !== subscription) break;
    const before = memory.held;
    const message = openEntry(session, entry, stored, memory, own);
    if (message === 'wait') break;
    if (message === 'undecodable') {
      if (deliveries.length > 0) break;
      const unreadable = whyUnhandled(session, entry, how) as Unhandled;
      session.logger.error(
        { err: entry.undecodable?.error, offset: String(entry.offset) },
        'a message cannot be decoded: it goes to the DLQ',
      );
      messages.take(entry);
      return { kind: 'unhandled', entry, ...unreadable };
    }
    if (own.filterPatterns !== undefined && !matchesAny(own.filterPatterns, filterable(message))) {
      messages.take(entry);
      session.filteredOut.push({ entry, message: stored });
      memory.give(memory.held - before);
      continue;
    }
    builder ??= builderFor(own);
    if (own.eventFormat === 'kafka' && !areOfOneQueue(deliveries[0]?.message ?? message, message))
      break;
    const fit = addRecord(
      builder,
      recordOf(session, message, own, entry.localRetries),
      message.body,
      deps.bodies && own.s3PointerThreshold,
    );
    if (fit === 'full' || (fit === 'too-large' && deliveries.length > 0)) {
      memory.give(memory.held - before);
      break;
    }
    if (fit === 'too-large') {
      messages.take(entry);
      messages.open(entry, message);
      return {
        kind: 'unhandled',
        entry,
        delayLevel: DLQ,
        condition: 'MaximumPayloadSizeExceeded',
        code: 'ROCKETMQ_EVENT_TOO_LARGE',
        reason: `the event of a single message is larger than Lambda's ${MAX_EVENT_BYTES} bytes: set s3PointerThreshold, or deliver it inline`,
      };
    }
    subscription = own;
    messages.take(entry);
    messages.open(entry, message);
    deliveries.push({ entry, message });
    if (deliveries.length >= own.batchSize || how === 'alone')
      return batch(session, own, deliveries, builder, memory, how === 'alone');
  }
  return subscription === undefined || builder === undefined
    ? undefined
    : batch(session, subscription, deliveries, builder, memory, false);
}

/** Events of format kafka have one name for the queue of all their messages; what is popped comes from many. */
function areOfOneQueue(one: Message, other: Message): boolean {
  return one.queueId === other.queueId && one.brokerName === other.brokerName;
}

/** A message as its handler sees it. */
export function recordOf(
  { deps, source }: QueueSession,
  message: Message,
  subscription: SubscriptionConfig,
  localRetries: number,
): RocketMQRecord {
  return buildRecord(message, {
    cluster: source.cluster,
    consumerGroup: source.consumerGroup,
    topic: subscription.topic,
    now: deps.clock.now(),
    localRetries,
    traced: subscription.tracing !== 'off',
    region: deps.region ?? 'local',
    accountId: deps.accountId ?? '000000000000',
    maxReconsumeTimes: maxReconsumeTimes(subscription, message),
  });
}

const DLQ = -1;
const BROKER_DECIDES = 0;

type Unhandled = Pick<
  Extract<NextWork, { kind: 'unhandled' }>,
  'delayLevel' | 'condition' | 'code' | 'reason'
>;

function whyUnhandled(
  session: QueueSession,
  entry: QueueEntry,
  how: ReturnType<typeof isolation>,
): Unhandled | undefined {
  if (entry.message === undefined)
    return {
      delayLevel: DLQ,
      condition: 'RejectedByHandler',
      code: 'ROCKETMQ_UNDECODABLE',
      reason: entry.undecodable?.error.message ?? 'the record cannot be decoded',
    };
  if (how === 'send-back')
    return {
      // In order it has its end here: behind the others of its lane it would be out of its place.
      delayLevel: session.order === undefined ? BROKER_DECIDES : DLQ,
      condition: 'RetryAttemptsExhausted',
      code: 'ROCKETMQ_KILLS_PULLER',
      reason: `the message was in delivery when its puller died ${session.crash?.count} times: it counts as failed`,
    };
  const topic = userTopic(entry.message, session.source.consumerGroup);
  if (session.subscriptionOf(topic) === undefined)
    return {
      delayLevel: DLQ,
      condition: 'RejectedByHandler',
      code: 'ROCKETMQ_NO_HANDLER',
      reason: `a redelivery of topic "${topic}", which no handler of the group takes any more`,
    };
  return whyTooOld(session, entry.message, topic);
}

function whyTooOld(
  session: QueueSession,
  { bornTimestamp }: Message,
  topic: string,
): Unhandled | undefined {
  const most = session.subscriptionOf(topic)?.maximumRecordAgeInSeconds;
  if (most === undefined) return undefined;
  const age = Math.floor((session.deps.clock.now() - bornTimestamp) / 1000);
  if (age <= most) return undefined;
  return {
    delayLevel: DLQ,
    condition: 'RecordAgeExceeded',
    code: 'ROCKETMQ_RECORD_AGE_EXCEEDED',
    reason: `the message was born ${age} s ago, and maximumRecordAgeInSeconds is ${most}: it goes to the DLQ`,
  };
}

/** An empty event for the subscription's handler. */
export function builderFor({ handler, eventFormat }: SubscriptionConfig): BatchBuilder {
  return new BatchBuilder(
    handler.invocation === 'inline' ? undefined : MAX_EVENT_BYTES,
    eventFormat,
  );
}

/** A part of a batch, as a batch of its own: positions `from` to `to`, exclusive. */
export function partOf(session: QueueSession, whole: Batch, from: number, to: number): Batch {
  const builder = builderFor(whole.subscription);
  for (const record of whole.records.slice(from, to)) builder.add(record);
  return batch(
    session,
    whole.subscription,
    whole.deliveries.slice(from, to),
    builder,
    whole.memory,
    false,
    whole.batchId,
  );
}

function batch(
  session: QueueSession,
  subscription: SubscriptionConfig,
  deliveries: readonly Delivery[],
  builder: BatchBuilder,
  memory: DeliveryMemory,
  alone: boolean,
  bisectedFrom?: string,
): Batch {
  const batchId = randomUUID();
  const offsets = deliveries.map(({ entry }) => entry.offset);
  const [first = 0n, last = first] = [offsets[0], offsets[offsets.length - 1]];
  const lag = session.maxOffset === undefined ? 0 : Number(session.maxOffset - last - 1n);
  return {
    kind: 'batch',
    batchId,
    subscription,
    deliveries,
    alone,
    bisectedFrom,
    memory,
    records: builder.records,
    payload: (attempt, deadline) => ({
      ...builder.finish({
        batchId,
        attempt,
        minOffset: String(first),
        maxOffset: String(last),
        lag: Math.max(0, lag),
        deadline,
        ...(bisectedFrom === undefined ? {} : { bisectedFrom }),
      }),
      traceHeader: subscription.tracing === 'parent' ? commonTrace(builder.records) : undefined,
    }),
  };
}
