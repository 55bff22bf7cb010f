import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { afterFailedEnd } from '../decide/retry/send-steps.ts';
import { failureRecord } from '../delivery/failure-record.ts';
import type { FailureCondition, OnFailure } from '../model/failure.ts';
import type { DeadLetter, Message, UndecodableRecord } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import {
  deadLetterOf,
  fittingForm,
  loggedContent,
  undecodableMessage,
} from '../records/dead-letter-form.ts';
import { forwardedProperties } from '../records/forwarded-properties.ts';
import { isOwnRetry } from '../records/own-retry.ts';
import { Property } from '../records/properties.ts';
import { userTopic } from '../records/subscription.ts';
import { callInTime, NoTimeLeftError } from './call-in-time.ts';
import type { Content, EndCarrier } from './end-carrier.ts';
import type { EndIntents } from './end-intents.ts';
import { failuresBefore } from './failures-before.ts';
import { searchDeadLetter } from './find-dead-letter.ts';
import { type OpenForEndParts, openForEnd } from './open-entry.ts';
import { beginEnd, type PendingEnd, type PendingEnds } from './pending-ends.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import { type RecordParts, recordOf } from './record-of.ts';
import {
  messageFirst,
  messageWay,
  requestWay,
  type SendOutcome,
  type SendParts,
  type SendWay,
  sendInTurn,
} from './send-back.ts';

/** Most that the clocks of puller and broker differ, ms. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** What the end of a message that failed for good needs. */
export interface DeadLetterParts
  extends SendParts,
    RecordParts,
    OpenForEndParts,
    Pick<PullerDeps, 'destinations' | 'holder' | 'remainingMs'> {
  readonly memory: OpenForEndParts['memory'] & SendParts['memory'];
  readonly subscriptions: QueueSubscriptions;
  readonly carrier: EndCarrier;
  readonly pendingEnds: PendingEnds;
  readonly endIntents: EndIntents;
  readonly counts: QueueCounts;
  /** No other try follows: what is not taken now goes to the log. */
  readonly isLastTry?: true;
}

/**
 * Gives a message that failed for good its end: the destination of its event; else, and when that does not take it, `%DLQ%<group>`, as it is or in a
 * form that fits; else the log, with its content. While the broker cannot decide, the message waits here and no handler gets it again.
 */
export async function endForGood(
  parts: DeadLetterParts,
  entry: QueueEntry,
  condition: FailureCondition,
  content: Content = entry,
): Promise<void> {
  const { carrier, pendingEnds, counts } = parts;
  if (!carrier.owns(entry)) return;
  const opened = await openForEnd(parts, entry, content);
  if (opened === undefined) return carrier.abandon(entry);
  const tried = pendingEnds.of(entry) ?? beginEnd(entry, condition, content.localRetries);
  const end = await findEnd(parts, entry, opened.content, { ...tried, condition }).finally(() =>
    opened.memory.release(),
  );
  if (end.kind === 'lease-lost' || end.kind === 'no-time') return carrier.abandon(entry);
  if (end.kind === 'again') return postpone(parts, entry, condition, end);
  pendingEnds.stored(entry);
  if (end.kind === 'logged') counts.count('DiscardedEventCount');
  if ((await carrier.finish([entry])) > 0 && end.kind === 'stored') counts.deadLettered();
}

async function postpone(
  { carrier, pendingEnds, counts, logger, clock }: DeadLetterParts,
  entry: QueueEntry,
  condition: FailureCondition,
  { failure, afterMs, pending, isTry }: Extract<End, { kind: 'again' }>,
): Promise<void> {
  logger.error(
    {
      code: 'ROCKETMQ_END_NOT_STORED',
      offset: String(entry.offset),
      condition,
      failure,
      waitMs: afterMs,
    },
    'dead letter not stored, trying again without another delivery',
  );
  counts.count('SendBackErrorCount');
  // The first try was counted before it was sent; later ones bound the tries of all holders together.
  const counted = isTry && pendingEnds.of(entry) !== undefined;
  pendingEnds.postpone(entry, pending);
  await carrier.postpone(entry, clock.now() + afterMs, counted);
}

type End =
  /** `no-time`: the next holder ends it, which is counted in the assignment. */
  | { readonly kind: 'stored' | 'logged' | 'lease-lost' | 'no-time' }
  | {
      readonly kind: 'again';
      readonly failure: string;
      readonly afterMs: number;
      readonly pending: PendingEnd;
      /** A broker answered, or may have stored the message. */
      readonly isTry: boolean;
    };

async function findEnd(
  parts: DeadLetterParts,
  entry: QueueEntry,
  content: Content,
  before: PendingEnd,
): Promise<End> {
  const { clock, lease, endIntents, isLastTry } = parts;
  const { message } = content;
  const record = message ?? (content.undecodable as UndecodableRecord);
  const failed = failedForGood(record, parts.queue, before.localRetries, before.condition);
  const known = await searchDeadLetter(
    parts,
    { message: failed.message, originMessageId: originOf(parts, failed).messageId },
    before,
  );
  if (known.kind === 'stored') {
    // Until its offset is committed the count must stay in the assignment.
    await endIntents.begin(entry, true);
    return known;
  }
  if (!lease.mayAct()) return { kind: 'lease-lost' };
  if (known.kind === 'again' && isLastTry !== true) return known;
  const tried = known.pending;
  await endIntents.begin(entry, parts.pendingEnds.of(entry) !== undefined);
  if (!lease.mayAct()) return { kind: 'lease-lost' };
  const sentAt = clock.now();
  // The broker keeps a record that cannot be decoded as it is, which no destination does.
  const isFirst = message !== undefined;
  const given = isFirst ? await deliverToDestination(parts, failed) : 'not-taken';
  if (given === 'taken') return { kind: 'stored' };
  if (given === 'no-time' && isLastTry !== true) return { kind: 'no-time' };
  const sent = await sendDeadLetter(parts, record, failed, tried.unanswered);
  if (sent.kind === 'lease-lost') return sent;
  if (sent.kind === 'taken') return { kind: 'stored' };
  if (!isFirst && (await deliverToDestination(parts, failed)) === 'taken')
    return { kind: 'stored' };
  const end: End =
    isLastTry === true ? { kind: 'logged' } : afterNotTaken(tried, sent, sentAt - CLOCK_SKEW_MS);
  if (end.kind === 'logged') logDiscarded(parts, record, failed, sent.failure);
  return end;
}

function sendDeadLetter(
  parts: DeadLetterParts,
  record: Message | UndecodableRecord,
  failed: FailedForGood,
  unanswered: number,
): Promise<SendOutcome> {
  const ways = deadLetterWays(parts, record, failed);
  // One that has never an answer must not keep the others from their turn.
  const first = unanswered % ways.length;
  const inTurn = [...ways.slice(first), ...ways.slice(0, first)];
  // After one without an answer the dead letter is looked for, and that takes the broker a moment.
  return sendInTurn(parts, record, inTurn, 1);
}

/** The end was tried once more, and nothing took the message. */
function afterNotTaken(
  tried: PendingEnd,
  { failure, unanswered }: Extract<SendOutcome, { kind: 'not-taken' }>,
  since: number,
): Extract<End, { kind: 'again' }> | { readonly kind: 'logged' } {
  const isTry = failure !== 'unreachable';
  const pending = {
    ...tried,
    tries: tried.tries + (isTry ? 1 : 0),
    unanswered: tried.unanswered + unanswered,
    inDoubtSince: tried.inDoubtSince ?? (unanswered > 0 ? since : undefined),
  };
  const step = afterFailedEnd(failure, { ...pending, tries: Math.max(1, pending.tries) });
  return step.kind === 'again'
    ? { kind: 'again', failure, afterMs: step.afterMs, pending, isTry }
    : { kind: 'logged' };
}

interface FailedForGood {
  readonly message: Message;
  /** Failed deliveries that the broker has not counted. */
  readonly localRetries: number;
  readonly condition: FailureCondition;
}

function failedForGood(
  record: Message | UndecodableRecord,
  queue: MessageQueue,
  localRetries: number,
  condition: FailureCondition,
): FailedForGood {
  const message = 'topic' in record ? record : undecodableMessage(record, queue);
  return { message, localRetries, condition };
}

/** `taken`: the destination of `onFailure` has the message. Like every delivery it may arrive twice. */
async function deliverToDestination(
  parts: DeadLetterParts,
  failed: FailedForGood,
): Promise<'taken' | 'not-taken' | 'no-time'> {
  const { message } = failed;
  const subscription = parts.subscriptions.ofMessage(message);
  const onFailure = subscription?.onFailure;
  if (subscription === undefined || onFailure === undefined) return 'not-taken';
  try {
    await callInTime(
      parts,
      (signal) => deliver(parts, failed, subscription, onFailure, signal),
      // Its signal bounds the last try.
      ...(parts.isLastTry === true ? [0] : []),
    );
    parts.counts.count('OnFailureDestinationDeliveredEventCount');
    return 'taken';
  } catch (error) {
    if (parts.lifecycle.isLost) return 'not-taken';
    parts.counts.count('OnFailureDestinationDeliveryErrorCount');
    const fields = { err: error, code: 'ROCKETMQ_ON_FAILURE', onFailure };
    const offset = String(message.queueOffset);
    if (error instanceof NoTimeLeftError) {
      parts.logger.warn(
        { ...fields, offset },
        'destination of onFailure did not answer in time, dead letter left to the next holder',
      );
      return 'no-time';
    }
    parts.logger.error(
      { ...fields, offset },
      'dead letter not taken by the destination of onFailure, sending it to the DLQ of the group',
    );
    return 'not-taken';
  }
}

/** As the broker stores it, as a message, in a form that fits, and without the retry topic. */
function deadLetterWays(
  parts: DeadLetterParts,
  record: Message | UndecodableRecord,
  { message, localRetries }: FailedForGood,
): SendWay[] {
  const { source, client, lifecycle } = parts;
  let made: DeadLetter | undefined;
  const letter = (): DeadLetter => {
    const failures = failuresBefore(message, source, localRetries);
    made ??= deadLetterOf(message, originOf(parts, { message }), failures);
    return made;
  };
  const letterWay = (to: 'retry-topic' | 'dead-letter-topic'): SendWay => ({
    name: `dead-letter by ${to}`,
    send: () =>
      client
        .sendDeadLetter(source.consumerGroup, letter(), to, {
          signal: lifecycle.signal('requests'),
        })
        .then(() => true),
  });
  const back = requestWay(parts, record, 'dead-letter', 0);
  const ways = (): SendWay[] => {
    if (!('topic' in record))
      return record.unopened && messageFirst(parts, record.unopened) === 'misleading' ? [] : [back];
    const send = messageWay(parts, record, 'dead-letter', 0, localRetries);
    const why = messageFirst(parts, record);
    if (why === undefined) return [back, send];
    // Request 36 keeps RETRY_TOPIC: the dead letter would name a topic that its producer chose.
    return why === 'misleading' ? [send] : [send, back];
  };
  return [...ways(), letterWay('retry-topic'), letterWay('dead-letter-topic')];
}

/** The topic that the user knows, and the id that the message was first stored under. */
function originOf(
  { source }: Pick<SendParts, 'source'>,
  { message }: Pick<FailedForGood, 'message'>,
): { topic: string; messageId: string } {
  return {
    topic: userTopic(message, source.consumerGroup),
    messageId:
      (isOwnRetry(message, source.consumerGroup) &&
        message.properties.get(Property.ORIGIN_MESSAGE_ID)) ||
      message.offsetMsgId,
  };
}

/** The end that needs no other system. */
function logDiscarded(
  { queue, source, logger }: Pick<SendParts, 'queue' | 'source' | 'logger'>,
  record: Message | UndecodableRecord,
  { message, localRetries, condition }: FailedForGood,
  failure: string,
): void {
  logger.error(
    {
      code: 'ROCKETMQ_MESSAGE_DISCARDED',
      consumerGroup: source.consumerGroup,
      topic: userTopic(message, source.consumerGroup),
      brokerName: queue.brokerName,
      queueId: record.queueId,
      offset: String(record.queueOffset),
      offsetMsgId: record.offsetMsgId,
      msgId: message.msgId,
      undecodable: !('topic' in record),
      failures: failuresBefore(message, source, localRetries) + 1,
      condition,
      failure,
      ...loggedContent(message.body, message.properties),
    },
    'message discarded, neither onFailure nor the dead-letter queue takes it, this line has its content',
  );
}

async function deliver(
  parts: DeadLetterParts,
  { message, localRetries, condition }: FailedForGood,
  subscription: SubscriptionConfig,
  to: OnFailure,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock, destinations, holder } = parts;
  if (to.type === 'topic') {
    const properties = forwardedProperties(message);
    properties.set(Property.DLQ_ORIGIN_TOPIC, subscription.topic);
    properties.set(Property.DLQ_ORIGIN_MESSAGE_ID, message.offsetMsgId);
    await client.send(
      { topic: to.topic, flag: message.flag, ...fittingForm(message.body, properties) },
      { signal, forwarded: true },
    );
    return;
  }
  const destination = destinations?.[to.type];
  if (destination === undefined)
    throw new Error(
      `no client for ${to.type}: deploy the service again, or name an endpoint for it in a local run (AWS_ENDPOINT_URL)`,
    );
  const record = recordOf(parts, message, subscription, localRetries, parts.clock.now());
  const why = {
    condition,
    requestId: holder,
    functionArn: subscription.handler.functionName,
    now: clock.now(),
  };
  await destination.deliver(to.arn, failureRecord(record, why), { signal });
}
