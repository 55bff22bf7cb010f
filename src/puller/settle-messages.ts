import { backoff } from '../decide/retry/backoff.ts';
import { BrokerError, RequestTimeoutError } from '../errors.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { userTopic } from '../records/subscription.ts';
import { responseBehaviour } from '../remoting/response-code.ts';
import { type Delivery, maxReconsumeTimes, type NextWork } from './next-batch.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { QueueSession } from './queue-session.ts';
import { acknowledge, redeliverLater } from './settle-popped.ts';

/** Java's client tries a message again locally after as long when it could not be sent back. */
export const LOCAL_RETRY_MS = 5_000;
/** Sends to the broker in parallel per batch. */
const SEND_BACK_WINDOW = 16;
export const DLQ = -1;
const BUSY_TRIES = 4;
const BUSY_BACKOFF = { firstMs: 200, longestMs: 2_000 };

/**
 * Gives every message of a batch its end: done, or sent back to be redelivered. What could not be sent back stays unfinished and is tried again here.
 * @param delayLevelOf of a position in the batch: undefined = done, 0 = the broker decides
 */
export async function settleBatch(
  session: QueueSession,
  { deliveries, subscription }: Extract<NextWork, { kind: 'batch' }>,
  delayLevelOf: (position: number) => number | undefined,
): Promise<void> {
  if (session.popped !== undefined) return settlePoppedBatch(session, session.popped, deliveries, subscription, delayLevelOf);
  const failed: { delivery: Delivery; delayLevel: number }[] = [];
  let done = 0;
  deliveries.forEach((delivery, position) => {
    const delayLevel = delayLevelOf(position);
    if (delayLevel !== undefined) failed.push({ delivery, delayLevel });
    else if (session.messages.settle(delivery.entry)) done++;
  });
  session.noteHandled(done);
  const sendNext = async (): Promise<void> => {
    for (let next = failed.shift(); next !== undefined; next = failed.shift()) {
      const { entry, message } = next.delivery;
      // Pulled before the offset was dictated anew: it comes again, or never was to come.
      if (!session.messages.expects(entry)) continue;
      if (await sendBack(session, message, next.delayLevel, maxReconsumeTimes(subscription))) {
        if (session.messages.settle(entry)) session.noteSentBack();
      } else session.messages.giveBack(entry, session.deps.clock.now() + LOCAL_RETRY_MS, true);
    }
  };
  await Promise.all(Array.from({ length: Math.min(SEND_BACK_WINDOW, failed.length) }, sendNext));
}

/** In POP mode each message has its end at the broker at once: acknowledged, invisible for a while longer, or dead-lettered by us, as the broker never does it. */
async function settlePoppedBatch(
  session: QueueSession,
  popped: PoppedMessages,
  deliveries: readonly Delivery[],
  subscription: SubscriptionConfig,
  delayLevelOf: (position: number) => number | undefined,
): Promise<void> {
  const max = maxReconsumeTimes(subscription);
  const positions = [...deliveries.keys()];
  const settleNext = async (): Promise<void> => {
    for (let position = positions.shift(); position !== undefined; position = positions.shift()) {
      const delivery = deliveries[position] as Delivery;
      const delayLevel = delayLevelOf(position);
      if (delayLevel === undefined) {
        await acknowledge(session, popped, delivery);
        if (session.messages.settle(delivery.entry)) session.noteHandled(1);
      } else if (delayLevel === DLQ || delivery.message.reconsumeTimes >= max) {
        await deadLetterPopped(session, popped, delivery.entry, delivery.message);
      } else {
        await redeliverLater(session, popped, delivery, delayLevel);
        if (session.messages.settle(delivery.entry)) session.noteSentBack();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(SEND_BACK_WINDOW, positions.length) }, settleNext));
}

/** To the DLQ by request 36, then acknowledged. A message that could not be sent there comes again when its time is over. */
async function deadLetterPopped(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
  record: Message | UndecodableRecord,
): Promise<void> {
  if (popped.isOurs(entry) && (await sendBack(session, record, DLQ, 0))) {
    await acknowledge(session, popped, { entry });
    if (session.messages.settle(entry)) session.noteSentBack();
    return;
  }
  popped.forget(entry);
  session.messages.settle(entry);
}

/** The end of a message that no handler gets: its configured one is the DLQ. */
export async function settleUnhandled(session: QueueSession, work: Extract<NextWork, { kind: 'unhandled' }>): Promise<void> {
  const { entry, delayLevel, code, reason } = work;
  session.logger.error({ code, offset: String(entry.offset), delayLevel }, reason);
  const record = entry.message ?? (entry.undecodable as UndecodableRecord);
  if (session.popped !== undefined) return deadLetterPopped(session, session.popped, entry, record);
  const subscription = session.subscriptionOf(
    entry.message === undefined ? session.queue.topic : userTopic(entry.message, session.source.consumerGroup),
  );
  const max = subscription === undefined ? 0 : maxReconsumeTimes(subscription);
  if (await sendBack(session, record, delayLevel, max)) {
    if (session.messages.settle(entry)) session.noteSentBack();
    // The suspect has its end; the messages behind it are delivered as always.
    if (session.crash?.suspect === entry.offset) session.crash = { ...session.crash, count: 0, isolateUntil: entry.offset };
  } else session.messages.giveBack(entry, session.deps.clock.now() + LOCAL_RETRY_MS, true);
}

/**
 * Request 36, with patience for a busy broker; then Java's fallback, an ordinary send to the retry topic. True when the broker has it.
 * A repetition after a lost answer can make two redeliveries: at least once, never less. Mirrors DefaultMQPushConsumerImpl.sendMessageBack.
 */
export async function sendBack(
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
      session.logger.warn({ err: error, offset: String(message.queueOffset), attempt }, 'a message could not be sent back');
      const busy =
        error instanceof RequestTimeoutError || (error instanceof BrokerError && responseBehaviour(error.responseCode).retry === true);
      if (!busy || attempt >= BUSY_TRIES) break;
      await deps.clock.sleep(backoff(attempt, deps.random(), BUSY_BACKOFF));
    }
  }
  // A record that cannot be decoded cannot be sent as a message either.
  if (!('topic' in message) || !session.mayAct()) return false;
  try {
    await deps.client.sendBackAsNormalMessage(consumerGroup, message, delayLevel, maxReconsume, { signal: lost.signal });
    return true;
  } catch (error) {
    if (!lost.signal.aborted)
      session.logger.error(
        { err: error, offset: String(message.queueOffset), code: 'ROCKETMQ_SEND_BACK_FAILED' },
        'a message could not be sent back in either way: it stays unfinished and is delivered again',
      );
    return false;
  }
}
