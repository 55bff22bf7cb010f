import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { failureRecord } from '../delivery/failure-record.ts';
import type { FailureCondition, OnFailure } from '../model/failure.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { forwardedProperties } from '../records/forwarded-properties.ts';
import { Property } from '../records/properties.ts';
import { messageSubscription } from './message-subscription.ts';
import { recordOf } from './next-batch.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ, sendBack } from './send-back.ts';

type Entry = Pick<QueueEntry, 'message' | 'undecodable' | 'localRetries'>;

/** Has the message a destination of its own for its end? Without one the broker's DLQ has it. */
export function destinationOf(session: QueueSession, { message }: Entry): OnFailure | undefined {
  return message === undefined ? undefined : messageSubscription(session, message)?.onFailure;
}

/**
 * A message that failed for good: to the destination of its event, else, and when that does not take it, to `%DLQ%<group>`. True when somebody has
 * it. Like every delivery it may arrive twice.
 */
export async function deadLetter(
  session: QueueSession,
  entry: Entry,
  condition: FailureCondition,
): Promise<boolean> {
  const { message } = entry;
  const onFailure = destinationOf(session, entry);
  if (message !== undefined && onFailure !== undefined && session.mayAct()) {
    try {
      await deliver(session, entry, message, onFailure, condition);
      session.count('OnFailureDestinationDeliveredEventCount');
      return true;
    } catch (error) {
      if (session.lost.signal.aborted) return false;
      session.count('OnFailureDestinationDeliveryErrorCount');
      session.logger.error(
        { err: error, code: 'ROCKETMQ_ON_FAILURE', onFailure, offset: String(message.queueOffset) },
        'the destination of onFailure does not take a message: it goes to the DLQ of the group instead',
      );
    }
  }
  const record = message ?? entry.undecodable;
  if (record === undefined) throw new Error('an entry without a record');
  return sendBack(session, record, DLQ, 0);
}

async function deliver(
  session: QueueSession,
  entry: Entry,
  message: Message,
  to: OnFailure,
  condition: FailureCondition,
): Promise<void> {
  const { deps, lost } = session;
  const subscription = messageSubscription(session, message) as SubscriptionConfig;
  if (to.type === 'topic') {
    const properties = forwardedProperties(message);
    properties.set(Property.DLQ_ORIGIN_TOPIC, subscription.topic);
    properties.set(Property.DLQ_ORIGIN_MESSAGE_ID, message.offsetMsgId);
    await deps.client.send(
      { topic: to.topic, body: message.body, flag: message.flag, properties },
      { signal: lost.signal, forwarded: true },
    );
    return;
  }
  const destination = deps.destinations?.[to.type];
  if (destination === undefined)
    throw new Error(
      `no client for ${to.type}: deploy the service again, or name an endpoint for it in a local run (AWS_ENDPOINT_URL)`,
    );
  const record = recordOf(session, message, subscription, entry.localRetries);
  const why = {
    condition,
    requestId: deps.holder,
    functionArn: subscription.handler.functionName,
    now: deps.clock.now(),
  };
  await destination.deliver(to.arn, failureRecord(record, why));
}
