import { backoff } from '../decide/retry/backoff.ts';
import {
  exactLevel,
  LONGEST_DELAY_SECONDS,
  type Redelivery,
  wireLevel,
} from '../decide/retry/redelivery.ts';
import { BrokerError, RequestTimeoutError } from '../errors.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import { failedDeliveries, whyAsMessage } from '../records/own-retry.ts';
import { userTopic } from '../records/subscription.ts';
import { responseBehaviour } from '../remoting/response-code.ts';
import type { QueueSession } from './queue-session.ts';

/** Straight to the DLQ, as request 36 calls it. */
export const DLQ = -1;
const BUSY_TRIES = 4;
const BUSY_BACKOFF = { firstMs: 200, longestMs: 2_000 };
/** The timer wheel turns by the second and rounds down: a message must not come sooner than it was asked for. */
const TIMER_PRECISION_MS = 1_000;

/**
 * Gives a failed message to the broker, to come again as asked. Request 36 knows levels only: seconds that no level has go by the timer wheel, or,
 * where the broker has none, by the next longer level. True when the broker has it.
 */
export async function redeliver(
  session: QueueSession,
  message: Message,
  redelivery: Exclude<Redelivery, { kind: 'drop' }>,
  maxReconsume: number,
): Promise<boolean> {
  const { coexist = false } = session.source;
  // Java consumers of the group may hold queue locks: retries that are sent as messages would go to the DLQ.
  const timed = !coexist && failedDeliveries(message, session.source) < maxReconsume;
  if (timed && redelivery.kind === 'seconds' && exactLevel(redelivery.seconds) === undefined) {
    const { seconds } = redelivery;
    // Beyond the longest delay the wheel refuses the message, and a level would bring it after two hours.
    const delayMs =
      seconds === 0
        ? 0
        : Math.min(seconds * 1000 + TIMER_PRECISION_MS, LONGEST_DELAY_SECONDS * 1000);
    try {
      const { deps, source, lost } = session;
      if (!session.mayAct()) return false;
      if (
        await deps.client.sendBackTimed(source.consumerGroup, message, delayMs, maxReconsume, {
          signal: lost.signal,
        })
      )
        return true;
    } catch (error) {
      if (session.lost.signal.aborted) return false;
      session.logger.warn(
        {
          err: error,
          code: 'ROCKETMQ_TIMER_REFUSED',
          delaySeconds: seconds,
          offset: String(message.queueOffset),
        },
        'the broker does not take a message for its timer wheel: it comes again by the next longer delay level',
      );
    }
  }
  return sendBack(session, message, wireLevel(redelivery), maxReconsume);
}

/**
 * Request 36, with patience for a busy broker; then Java's fallback, an ordinary send to the retry
 * topic. A message with properties that request 36 must not keep is sent first (see whyAsMessage).
 * True when the broker has it. A repetition after a lost answer can make two redeliveries: at least
 * once, never less. Mirrors DefaultMQPushConsumerImpl.sendMessageBack.
 */
export async function sendBack(
  session: QueueSession,
  message: Message | UndecodableRecord,
  delayLevel: number,
  maxReconsume: number,
): Promise<boolean> {
  const why = 'topic' in message ? whyFirstAsMessage(session, message) : undefined;
  if ('topic' in message && why !== undefined) {
    if (await sendAsMessage(session, message, delayLevel, maxReconsume, false)) return true;
    const isDead = delayLevel < 0 || failedDeliveries(message, session.source) >= maxReconsume;
    // Request 36 would bring it back under another topic, or dead-letter it by another group's count.
    if (why === 'misleading' && !isDead) return false;
    return requestSendBack(session, message, isDead ? DLQ : delayLevel, maxReconsume);
  }
  if (await requestSendBack(session, message, delayLevel, maxReconsume)) return true;
  // A record that cannot be decoded cannot be sent as a message either.
  return 'topic' in message && sendAsMessage(session, message, delayLevel, maxReconsume, true);
}

function whyFirstAsMessage(
  session: QueueSession,
  message: Message,
): ReturnType<typeof whyAsMessage> {
  const { source } = session;
  const subscription = session.subscriptionOf(userTopic(message, source.consumerGroup));
  const why = whyAsMessage(message, source, subscription?.maximumRecordAgeInSeconds !== undefined);
  // Java consumers of the group may hold queue locks: brokers would dead-letter the message at once.
  return why === 'inexact' && source.coexist === true ? undefined : why;
}

async function requestSendBack(
  session: QueueSession,
  message: Message | UndecodableRecord,
  delayLevel: number,
  maxReconsume: number,
): Promise<boolean> {
  const { deps, queue, source, lost } = session;
  const { consumerGroup } = source;
  const request = {
    consumerGroup,
    brokerName: queue.brokerName,
    commitLogOffset: message.commitLogOffset,
    delayLevel,
    maxReconsumeTimes: maxReconsume,
    originMsgId: message.offsetMsgId,
    originTopic: 'topic' in message ? message.topic : queue.topic,
  };
  for (let attempt = 1; ; attempt++) {
    if (!session.mayAct()) return false;
    try {
      await deps.client.sendBack(request, { signal: lost.signal });
      return true;
    } catch (error) {
      if (lost.signal.aborted) return false;
      session.logger.warn(
        { err: error, offset: String(message.queueOffset), attempt },
        'a message could not be sent back',
      );
      const busy =
        error instanceof RequestTimeoutError ||
        (error instanceof BrokerError && responseBehaviour(error.responseCode).retry === true);
      if (!busy || attempt >= BUSY_TRIES) return false;
      await deps.clock.sleep(backoff(attempt, deps.random(), BUSY_BACKOFF));
    }
  }
}

/** @param last nothing else is tried after it */
async function sendAsMessage(
  session: QueueSession,
  message: Message,
  delayLevel: number,
  maxReconsume: number,
  last: boolean,
): Promise<boolean> {
  const { deps, source, lost } = session;
  if (!session.mayAct()) return false;
  try {
    await deps.client.sendBackAsNormalMessage(
      source.consumerGroup,
      message,
      delayLevel,
      maxReconsume,
      { signal: lost.signal },
    );
    return true;
  } catch (error) {
    if (lost.signal.aborted) return false;
    const fields = { err: error, offset: String(message.queueOffset) };
    if (last)
      session.logger.error(
        { ...fields, code: 'ROCKETMQ_SEND_BACK_FAILED' },
        'a message could not be sent back in either way: it stays unfinished and is delivered again',
      );
    else
      session.logger.warn(
        { ...fields, code: 'ROCKETMQ_RETRY_MESSAGE_REFUSED' },
        'message not accepted on the retry topic',
      );
    return false;
  }
}
