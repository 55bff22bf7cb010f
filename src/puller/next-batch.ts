import { randomUUID } from 'node:crypto';
import { ageBeyondLimit } from '../decide/age/record-age.ts';
import { isolation } from '../decide/crash/crash-record.ts';
import { matchesAny } from '../decide/filter/matches-pattern.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory } from '../decide/pull/memory-budget.ts';
import { UNLIMITED_RECONSUME_TIMES } from '../decide/retry/redelivery.ts';
import { exceedsLimit } from '../decide/retry/send-steps.ts';
import { BatchBuilder, type BatchItem, batchPayload, MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { buildRecord, filterable } from '../delivery/build-record.ts';
import { addRecord } from '../delivery/offload-body.ts';
import { sharedMessageIds } from '../delivery/shared-ids.ts';
import { commonTrace } from '../delivery/trace-header.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { failedDeliveries, firstStoredAt } from '../records/own-retry.ts';
import { Property } from '../records/properties.ts';
import { userTopic } from '../records/subscription.ts';
import { windowEnd } from './batching-window.ts';
import { openEntry } from './open-entry.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ } from './send-back.ts';
import { unprocessable } from './unprocessable.ts';
import type { Batch, Delivery, NextWork, Unhandled } from './work.ts';

/** Redeliveries before the DLQ, by the message's tag. −1: without end, as far as the protocol counts. */
export function maxReconsumeTimes(
  {
    maximumRetryAttempts,
    maximumRetryAttemptsByTag,
  }: Pick<SubscriptionConfig, 'maximumRetryAttempts' | 'maximumRetryAttemptsByTag'>,
  message?: Pick<Message, 'properties'>,
): number {
  const tag = tagOf(message);
  const ofTag =
    tag !== undefined &&
    maximumRetryAttemptsByTag !== undefined &&
    Object.hasOwn(maximumRetryAttemptsByTag, tag);
  const attempts = ofTag ? (maximumRetryAttemptsByTag[tag] as number) : maximumRetryAttempts;
  return attempts < 0 ? UNLIMITED_RECONSUME_TIMES : attempts;
}

/** undefined: it has none, or it cannot be read; then the limit of all messages holds. */
function tagOf(message: Pick<Message, 'properties'> | undefined): string | undefined {
  try {
    return message?.properties.get(Property.TAGS);
  } catch {
    return undefined;
  }
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
  const { messages } = session;
  const now = session.deps.clock.now();
  const deliveries: Delivery[] = [];
  const draft: Draft = { subscription: undefined, builder: undefined, first: undefined };
  const next = messages.batch(now);
  let most = Number.POSITIVE_INFINITY;
  let alone = false;
  while (!alone && deliveries.length < (draft.subscription?.batchSize ?? 1)) {
    const entry = next();
    if (entry === undefined) break;
    most = Math.min(most, session.batchLimitOf(entry) ?? most);
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
    const step = tryToAdd(session, entry, how, draft, memory);
    if (step.kind === 'stop') break;
    if (step.kind === 'unhandled') {
      if (deliveries.length > 0) break;
      const { message, ...unhandled } = step;
      messages.take(entry);
      if (message !== undefined) messages.open(entry, message);
      return { ...unhandled, entry };
    }
    messages.take(entry);
    if (step.kind === 'added') {
      messages.open(entry, step.message);
      deliveries.push({ entry, message: step.message });
      alone = how === 'alone';
    } else session.filteredOut.push({ entry, message: entry.message as Message });
  }
  const { subscription, builder } = draft;
  return subscription === undefined || builder === undefined
    ? undefined
    : batch(session, subscription, deliveries, builder.items, memory, alone);
}

/** The event that messages are added to; empty before the first. */
interface Draft {
  subscription: SubscriptionConfig | undefined;
  builder: BatchBuilder | undefined;
  first: Message | undefined;
}

/** What becomes of a message; 'stop': it belongs into another event. */
type Step =
  | { readonly kind: 'added'; readonly message: Message }
  | { readonly kind: 'filtered-out' | 'stop' }
  | (Unhandled & { readonly message?: Message });

/**
 * All that reads a message before its handler does: topic, age, patterns, record. Producers choose
 * what stands there, so whatever is thrown gives this message its end, and the queue goes on.
 */
function tryToAdd(
  session: QueueSession,
  entry: QueueEntry,
  how: ReturnType<typeof isolation>,
  draft: Draft,
  memory: DeliveryMemory,
): Step {
  const before = memory.held;
  let step: Step;
  try {
    step = whyUnhandled(session, entry, how) ?? add(session, entry, draft, memory);
  } catch (error) {
    step = unprocessable(error);
  }
  if (step.kind !== 'added') memory.give(memory.held - before);
  return step;
}

function add(session: QueueSession, entry: QueueEntry, draft: Draft, memory: DeliveryMemory): Step {
  const { deps, source } = session;
  const stored = entry.message as Message;
  const topic = userTopic(stored, source.consumerGroup);
  const own = session.subscriptionOf(topic) as SubscriptionConfig;
  const { subscription = own, builder = builderFor(own), first = stored } = draft;
  if (own !== subscription) return { kind: 'stop' };
  const message = openEntry(session, entry, stored, memory, own);
  if (message === 'wait') return { kind: 'stop' };
  if (message === 'undecodable') {
    session.logger.error(
      { err: entry.undecodable?.error, offset: String(entry.offset) },
      'message not decodable, moving it to the DLQ',
    );
    return undecodable(entry);
  }
  if (own.filterPatterns !== undefined && !matchesAny(own.filterPatterns, filterable(message)))
    return { kind: 'filtered-out' };
  if (own.eventFormat === 'kafka' && !areOfOneQueue(first, message)) return { kind: 'stop' };
  const fit = addRecord(
    builder,
    () => recordOf(session, message, own, entry.localRetries),
    message.body,
    deps.bodies && own.s3PointerThreshold,
  );
  if (fit === 'full') return { kind: 'stop' };
  if (fit === 'too-large')
    return {
      kind: 'unhandled',
      message,
      delayLevel: DLQ,
      condition: 'MaximumPayloadSizeExceeded',
      code: 'ROCKETMQ_EVENT_TOO_LARGE',
      reason: `the event of a single message is larger than Lambda's ${MAX_EVENT_BYTES} bytes: set s3PointerThreshold, or deliver it inline`,
    };
  draft.subscription = own;
  draft.builder = builder;
  draft.first = first;
  return { kind: 'added', message };
}

/** Events of format kafka have one name for the queue of all their messages; what is popped comes from many. */
function areOfOneQueue(one: Message, other: Message): boolean {
  return one.queueId === other.queueId && one.brokerName === other.brokerName;
}

/** A message as its handler sees it. */
export function recordOf(
  { deps, source }: Pick<QueueSession, 'deps' | 'source'>,
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
    mode: source.mode ?? 'pull',
  });
}

const BROKER_DECIDES = 'broker-decides';

function whyUnhandled(
  session: QueueSession,
  entry: QueueEntry,
  how: ReturnType<typeof isolation>,
): Unhandled | undefined {
  const pending = session.pendingEnds.get(entry);
  if (pending !== undefined)
    return {
      kind: 'unhandled',
      delayLevel: DLQ,
      condition: pending.condition,
      code: 'ROCKETMQ_END_PENDING',
      reason: 'dead letter not stored yet, trying again',
    };
  if (entry.message === undefined) return undecodable(entry);
  if (how === 'send-back')
    return {
      kind: 'unhandled',
      // In order it has its end here: behind the others of its lane it would be out of its place.
      delayLevel: session.order === undefined ? BROKER_DECIDES : DLQ,
      condition: 'RetryAttemptsExhausted',
      code: 'ROCKETMQ_KILLS_PULLER',
      reason: `the message was in delivery when its puller died ${session.crash?.count} times: it counts as failed`,
    };
  const topic = userTopic(entry.message, session.source.consumerGroup);
  if (session.subscriptionOf(topic) === undefined)
    return {
      kind: 'unhandled',
      delayLevel: DLQ,
      condition: 'RejectedByHandler',
      code: 'ROCKETMQ_NO_HANDLER',
      reason: `a redelivery of topic "${topic}", which no handler of the group takes any more`,
    };
  return whyTooOld(session, entry.message, topic) ?? whyExhausted(session, entry, entry.message);
}

function undecodable(entry: QueueEntry): Unhandled {
  return {
    kind: 'unhandled',
    delayLevel: DLQ,
    condition: 'RejectedByHandler',
    code: 'ROCKETMQ_UNDECODABLE',
    reason: entry.undecodable?.error.message ?? 'the record cannot be decoded',
  };
}

/** The holder before delivered it as often as allowed, and could not store its end. */
function whyExhausted(
  session: QueueSession,
  entry: QueueEntry,
  message: Message,
): Unhandled | undefined {
  const subscription = session.subscriptionOf(userTopic(message, session.source.consumerGroup));
  const reconsumeTimes = failedDeliveries(message, session.source);
  const { localRetries } = entry;
  if (subscription === undefined || session.popped !== undefined) return undefined;
  const max = maxReconsumeTimes(subscription, message);
  if (!exceedsLimit(reconsumeTimes, localRetries, max)) return undefined;
  const condition = 'RetryAttemptsExhausted';
  const counted = Math.max(0, max - reconsumeTimes);
  const tries = localRetries - counted - 1;
  session.pendingEnds.set(entry, { condition, tries, unanswered: 0, localRetries: counted });
  return {
    kind: 'unhandled',
    delayLevel: DLQ,
    condition,
    code: 'ROCKETMQ_RETRIES_EXHAUSTED',
    reason: `message delivered ${reconsumeTimes + counted + 1} times, maximumRetryAttempts is ${max}`,
  };
}

function whyTooOld(session: QueueSession, message: Message, topic: string): Unhandled | undefined {
  const { deps, source } = session;
  const maxSeconds = session.subscriptionOf(topic)?.maximumRecordAgeInSeconds;
  const age = ageBeyondLimit(firstStoredAt(message, source), deps.clock.now(), maxSeconds);
  if (age === undefined) return undefined;
  return {
    kind: 'unhandled',
    delayLevel: DLQ,
    condition: 'RecordAgeExceeded',
    code: 'ROCKETMQ_RECORD_AGE_EXCEEDED',
    reason: `message is ${age} s old, maximumRecordAgeInSeconds is ${maxSeconds}: moved to the dead letters`,
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
  return batch(
    session,
    whole.subscription,
    whole.deliveries.slice(from, to),
    whole.items.slice(from, to),
    whole.memory,
    false,
    whole.batchId,
  );
}

function batch(
  session: QueueSession,
  subscription: SubscriptionConfig,
  deliveries: readonly Delivery[],
  items: readonly BatchItem[],
  memory: DeliveryMemory,
  alone: boolean,
  bisectedFrom?: string,
): Batch {
  const batchId = randomUUID();
  if (bisectedFrom === undefined) warnOfSharedIds(session, batchId, items);
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
    items,
    memory,
    payload: (attempt, deadline) => ({
      ...batchPayload(items, subscription.eventFormat, {
        batchId,
        attempt,
        minOffset: String(first),
        maxOffset: String(last),
        lag: Math.max(0, lag),
        deadline,
        ...(bisectedFrom === undefined ? {} : { bisectedFrom }),
      }),
      traceHeader:
        subscription.tracing === 'parent'
          ? commonTrace(items.map(({ traceHeader }) => traceHeader))
          : undefined,
    }),
  };
}

/** How many of them a log line names. */
const MAX_IDS_LOGGED = 5;

function warnOfSharedIds(
  { logger }: QueueSession,
  batchId: string,
  items: readonly BatchItem[],
): void {
  const shared = sharedMessageIds(items);
  if (shared.length > 0)
    logger.warn(
      {
        ...{ batchId, code: 'ROCKETMQ_SHARED_MESSAGE_ID', count: shared.length },
        messageIds: shared.slice(0, MAX_IDS_LOGGED),
      },
      'several records of the event have the same messageId, use receiptHandle as itemIdentifier',
    );
}
