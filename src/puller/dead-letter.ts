import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { afterFailedEnd, MAX_UNANSWERED } from '../decide/retry/send-steps.ts';
import { failureRecord } from '../delivery/failure-record.ts';
import type { FailureCondition, OnFailure } from '../model/failure.ts';
import type { DeadLetter, Message, UndecodableRecord } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import {
  deadLetterOf,
  fittingForm,
  loggedContent,
  undecodableMessage,
} from '../records/dead-letter-form.ts';
import { forwardedProperties } from '../records/forwarded-properties.ts';
import { failedDeliveries, isOwnRetry } from '../records/own-retry.ts';
import { Property } from '../records/properties.ts';
import { userTopic } from '../records/subscription.ts';
import { messageSubscription } from './message-subscription.ts';
import { recordOf } from './next-batch.ts';
import { openForEnd } from './open-entry.ts';
import type { PendingEnd } from './pending-ends.ts';
import type { QueueSession } from './queue-session.ts';
import {
  DLQ,
  messageFirst,
  messageWay,
  requestWay,
  type SendWay,
  sendInTurn,
} from './send-back.ts';
import { acknowledge, returnToBroker } from './settle-popped.ts';

/** What of a message is used for its end. */
export type Content = Pick<QueueEntry, 'message' | 'undecodable' | 'localRetries'>;

/**
 * Gives a message that failed for good its end: the destination of its event; else, and when that does not take it, `%DLQ%<group>`, as it is or in a
 * form that fits; else the log, with its content. While the broker cannot decide, the message waits here and no handler gets it again.
 */
export async function endForGood(
  session: QueueSession,
  entry: QueueEntry,
  condition: FailureCondition,
  content: Content = entry,
): Promise<void> {
  const { messages, popped, deps, logger, pendingEnds } = session;
  if (popped?.isOurs(entry) === false) {
    popped.forget(entry);
    messages.settle(entry);
    return;
  }
  // Pulled before the offset was dictated anew: it comes again, or never was to come.
  if (!messages.expects(entry)) return;
  const opened = await openForEnd(session, entry, content);
  if (opened === undefined) return leaveToNextHolder(session, entry);
  const end = await findEnd(session, opened.content, condition, pendingEnds.get(entry)).finally(
    () => opened.memory.release(),
  );
  if (end.kind === 'lease-lost') return leaveToNextHolder(session, entry);
  if (end.kind === 'again') {
    logger.error(
      {
        code: 'ROCKETMQ_END_NOT_STORED',
        offset: String(entry.offset),
        condition,
        failure: end.failure,
        waitMs: end.afterMs,
      },
      'dead letter not stored, trying again without another delivery',
    );
    session.count('SendBackErrorCount');
    // The first try counts, so that the next holder finds the message past its limit; later ones bound the tries of all holders together.
    const counts = !pendingEnds.has(entry) || end.failure !== 'unreachable';
    pendingEnds.set(entry, end.pending);
    // A puller on its way out does not wait for it: the message comes again, to whoever pops then.
    if (popped !== undefined && session.ending !== undefined)
      return returnToBroker(session, popped, entry);
    session.giveBackFailed(entry, deps.clock.now() + end.afterMs, counts);
    return;
  }
  pendingEnds.delete(entry);
  if (end.kind === 'logged') session.count('DiscardedEventCount');
  if (popped !== undefined) await acknowledge(session, popped, { entry });
  if (messages.settle(entry) && end.kind === 'stored') session.noteSentBack('dead-lettered');
}

/** The lease is lost: the message stays unfinished. */
export function leaveToNextHolder(session: QueueSession, entry: QueueEntry): void {
  const { popped, messages } = session;
  popped?.forget(entry);
  if (popped === undefined) messages.giveBack(entry, 0, false);
  else messages.settle(entry);
}

type End =
  | { readonly kind: 'stored' | 'logged' | 'lease-lost' }
  | {
      readonly kind: 'again';
      readonly failure: string;
      readonly afterMs: number;
      readonly pending: PendingEnd;
    };

async function findEnd(
  session: QueueSession,
  content: Content,
  condition: FailureCondition,
  before: PendingEnd | undefined,
): Promise<End> {
  const { localRetries = content.localRetries, unanswered = 0, tries = 0 } = before ?? {};
  const { message } = content;
  const record = message ?? (content.undecodable as UndecodableRecord);
  const failed: FailedForGood = {
    message: message ?? undecodableMessage(record as UndecodableRecord, session.queue),
    localRetries,
    condition,
  };
  if (!session.mayAct()) return { kind: 'lease-lost' };
  if (message !== undefined && (await deliverToDestination(session, failed)))
    return { kind: 'stored' };
  const sent = await sendInTurn(
    session,
    record,
    deadLetterWays(session, record, localRetries),
    unanswered > 0 ? 1 : MAX_UNANSWERED,
  );
  if (sent.kind === 'lease-lost') return sent;
  if (sent.kind === 'taken') return { kind: 'stored' };
  // The broker keeps a record that cannot be decoded as it is, which no destination does.
  if (message === undefined && (await deliverToDestination(session, failed)))
    return { kind: 'stored' };
  const answered = sent.failure !== 'unreachable';
  const pending = {
    condition,
    tries: tries + (answered ? 1 : 0),
    unanswered: unanswered + sent.unanswered,
    localRetries,
  };
  const step = afterFailedEnd(sent.failure, { ...pending, tries: Math.max(1, pending.tries) });
  if (step.kind === 'again')
    return { kind: 'again', failure: sent.failure, afterMs: step.afterMs, pending };
  logDiscarded(session, record, failed, sent.failure);
  return { kind: 'logged' };
}

interface FailedForGood {
  readonly message: Message;
  /** Failed deliveries that the broker has not counted. */
  readonly localRetries: number;
  readonly condition: FailureCondition;
}

/** True when the destination of `onFailure` has the message. Like every delivery it may arrive twice. */
async function deliverToDestination(
  session: QueueSession,
  failed: FailedForGood,
): Promise<boolean> {
  const { message } = failed;
  const subscription = messageSubscription(session, message);
  const onFailure = subscription?.onFailure;
  if (subscription === undefined || onFailure === undefined) return false;
  try {
    await deliver(session, failed, subscription, onFailure);
    session.count('OnFailureDestinationDeliveredEventCount');
    return true;
  } catch (error) {
    if (session.lifecycle.isLost) return false;
    session.count('OnFailureDestinationDeliveryErrorCount');
    session.logger.error(
      { err: error, code: 'ROCKETMQ_ON_FAILURE', onFailure, offset: String(message.queueOffset) },
      'dead letter not taken by the destination of onFailure, sending it to the DLQ of the group',
    );
    return false;
  }
}

/** As the broker stores it, as a message, in a form that fits, and without the retry topic. */
function deadLetterWays(
  session: QueueSession,
  record: Message | UndecodableRecord,
  localRetries: number,
): SendWay[] {
  const { source, queue, deps, lifecycle } = session;
  let made: DeadLetter | undefined;
  const letter = (): DeadLetter => {
    const message = 'topic' in record ? record : undecodableMessage(record, queue);
    const failures = failedDeliveries(message, source) + localRetries;
    made ??= deadLetterOf(message, originOf(session, message), failures);
    return made;
  };
  const letterWay = (to: 'retry-topic' | 'dead-letter-topic'): SendWay => ({
    name: `dead-letter by ${to}`,
    send: () =>
      deps.client
        .sendDeadLetter(source.consumerGroup, letter(), to, {
          signal: lifecycle.signal('requests'),
        })
        .then(() => true),
  });
  const back = requestWay(session, record, DLQ, 0);
  const ways = (): SendWay[] => {
    if (!('topic' in record)) return [back];
    const send = messageWay(session, record, DLQ, 0, localRetries);
    const why = messageFirst(session, record);
    if (why === undefined) return [back, send];
    // Request 36 keeps RETRY_TOPIC: the dead letter would name a topic that its producer chose.
    return why === 'misleading' ? [send] : [send, back];
  };
  return [...ways(), letterWay('retry-topic'), letterWay('dead-letter-topic')];
}

/** The topic that the user knows, and the id that the message was first stored under. */
function originOf(
  { source }: QueueSession,
  message: Message,
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
  { queue, source, logger }: QueueSession,
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
      failures: failedDeliveries(message, source) + localRetries + 1,
      condition,
      failure,
      ...loggedContent(message.body, message.properties),
    },
    'message discarded, neither onFailure nor the dead-letter queue takes it, this line has its content',
  );
}

async function deliver(
  { deps, lifecycle, source }: QueueSession,
  { message, localRetries, condition }: FailedForGood,
  subscription: SubscriptionConfig,
  to: OnFailure,
): Promise<void> {
  if (to.type === 'topic') {
    const properties = forwardedProperties(message);
    properties.set(Property.DLQ_ORIGIN_TOPIC, subscription.topic);
    properties.set(Property.DLQ_ORIGIN_MESSAGE_ID, message.offsetMsgId);
    await deps.client.send(
      { topic: to.topic, flag: message.flag, ...fittingForm(message.body, properties) },
      { signal: lifecycle.signal('requests'), forwarded: true },
    );
    return;
  }
  const destination = deps.destinations?.[to.type];
  if (destination === undefined)
    throw new Error(
      `no client for ${to.type}: deploy the service again, or name an endpoint for it in a local run (AWS_ENDPOINT_URL)`,
    );
  const record = recordOf({ deps, source }, message, subscription, localRetries);
  const why = {
    condition,
    requestId: deps.holder,
    functionArn: subscription.handler.functionName,
    now: deps.clock.now(),
  };
  await destination.deliver(to.arn, failureRecord(record, why));
}
