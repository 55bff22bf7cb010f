import { orDefault, type Redelivery } from '../decide/retry/redelivery.ts';
import { describeThrown } from '../delivery/thrown.ts';
import { inWindow } from '../flow/in-window.ts';
import type { FailureCondition } from '../model/failure.ts';
import type { UndecodableRecord } from '../model/message.ts';
import { failedDeliveries } from '../records/own-retry.ts';
import { deadLetter, destinationOf } from './dead-letter.ts';
import { messageSubscription } from './message-subscription.ts';
import { maxReconsumeTimes } from './next-batch.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ, redeliver, sendBack } from './send-back.ts';
import { acknowledge, invisibleFor, redeliverLater } from './settle-popped.ts';
import { asUndecodable, unprocessable } from './unprocessable.ts';
import type { Batch, Delivery, NextWork, Unhandled } from './work.ts';

/** Java's client tries a message again locally after as long when it could not be sent back. */
export const LOCAL_RETRY_MS = 5_000;
/** Sends to the broker in parallel per batch. */
const SEND_BACK_WINDOW = 16;

/**
 * Gives every message of a batch its end: done, or sent back to be redelivered. What could not be sent back stays unfinished and is tried again here.
 * @param endOf a position in the batch: undefined = done
 */
export async function settleBatch(
  session: QueueSession,
  {
    batchId,
    deliveries,
    items,
    subscription,
  }: Pick<Batch, 'batchId' | 'deliveries' | 'items' | 'subscription'>,
  endOf: (position: number) => Redelivery | 'default' | undefined,
): Promise<void> {
  const failed: { delivery: Delivery; redelivery: Exclude<Redelivery, { kind: 'drop' }> }[] = [];
  const done: Delivery[] = [];
  for (const [position, delivery] of deliveries.entries()) {
    const said = endOf(position);
    const failures =
      failedDeliveries(delivery.message, session.source) + delivery.entry.localRetries + 1;
    const failure =
      said === undefined
        ? undefined
        : orDefault(said, subscription.retryDelay, failures, session.deps.random());
    const redelivery = failure !== undefined && isBroadcast(session) ? DROP : failure;
    if (redelivery !== undefined && redelivery.kind !== 'drop')
      failed.push({ delivery, redelivery });
    else done.push(delivery);
    if (redelivery?.kind === 'drop') noteDropped(session, batchId, delivery.entry, items[position]);
  }
  const { popped } = session;
  if (popped === undefined) {
    for (const { entry } of done) if (session.messages.settle(entry)) session.noteHandled(1);
  } else
    await inWindow(done, (delivery) => settlePopped(session, popped, delivery), SEND_BACK_WINDOW);
  await inWindow(
    failed,
    endingItself(session, async ({ delivery, redelivery }) => {
      const { entry, message } = delivery;
      const max = maxReconsumeTimes(subscription, message);
      if (popped !== undefined) return failPopped(session, popped, delivery, redelivery, max);
      // Pulled before the offset was dictated anew: it comes again, or never was to come.
      if (!session.messages.expects(entry)) return;
      const dead = redelivery.kind === 'dlq' || failedDeliveries(message, session.source) >= max;
      const taken =
        dead && destinationOf(session, entry) !== undefined
          ? await deadLetter(session, entry, conditionOf(redelivery))
          : await redeliver(session, message, redelivery, max);
      if (taken) {
        if (session.messages.settle(entry))
          session.noteSentBack(dead ? 'dead-lettered' : 'retried');
      } else session.messages.giveBack(entry, session.deps.clock.now() + LOCAL_RETRY_MS, true);
    }),
    SEND_BACK_WINDOW,
  );
}

/** Gives one message its end. A throw meanwhile is the message's own: it cannot be processed. */
export function endingItself<Item extends { readonly delivery: Delivery }>(
  session: QueueSession,
  end: (item: Item) => Promise<void>,
): (item: Item) => Promise<void> {
  return async (item) => {
    const { entry } = item.delivery;
    try {
      await end(item);
    } catch (error) {
      const work = { ...unprocessable(error), entry };
      if (session.messages.expects(entry)) await settleUnhandled(session, work);
      else session.logger.error({ code: work.code, offset: String(entry.offset) }, work.reason);
    }
  };
}

/** What no pattern of its subscription wants is done without its handler. undefined: there is none. */
export function settleFilteredOut(session: QueueSession): Promise<unknown> | undefined {
  const { popped, messages } = session;
  const deliveries = session.filteredOut.splice(0);
  if (deliveries.length === 0) return undefined;
  session.count('FilteredOutEventCount', deliveries.length);
  return inWindow(
    deliveries,
    async (delivery) => {
      if (popped !== undefined) await acknowledge(session, popped, delivery);
      messages.settle(delivery.entry);
    },
    SEND_BACK_WINDOW,
  );
}

function failuresOf(
  { source }: QueueSession,
  { message }: Pick<Delivery['entry'], 'message'>,
): number {
  return message === undefined ? 0 : failedDeliveries(message, source);
}

function conditionOf({ kind }: Redelivery): FailureCondition {
  return kind === 'dlq' ? 'RejectedByHandler' : 'RetryAttemptsExhausted';
}

const DROP = { kind: 'drop' } as const;

/** Nobody redelivers to one of many: as in Java, a message that fails is logged and counts as done. */
function isBroadcast({ source }: QueueSession): boolean {
  return source.messageModel === 'BROADCASTING';
}

export function noteDropped(
  session: QueueSession,
  batchId: string,
  { offset }: Delivery['entry'],
  item: Batch['items'][number] | undefined,
): void {
  session.noteDropped();
  const fields = { batchId, offset: String(offset), msgId: item?.messageId };
  if (isBroadcast(session))
    session.logger.error(
      { ...fields, code: 'ROCKETMQ_BROADCAST_DROPPED' },
      'the message failed, and broadcasting has no retry: it is dropped',
    );
  else
    session.logger.warn(
      { ...fields, code: 'ROCKETMQ_DROPPED' },
      'the handler gave up a message: it counts as done',
    );
}

async function settlePopped(
  session: QueueSession,
  popped: PoppedMessages,
  delivery: Delivery,
): Promise<void> {
  await acknowledge(session, popped, delivery);
  if (session.messages.settle(delivery.entry)) session.noteHandled(1);
}

/** In POP mode a failed message is invisible for a while longer, or dead-lettered by us, as the broker never does it. */
async function failPopped(
  session: QueueSession,
  popped: PoppedMessages,
  delivery: Delivery,
  redelivery: Exclude<Redelivery, { kind: 'drop' }>,
  max: number,
): Promise<void> {
  const { entry, message } = delivery;
  if (redelivery.kind === 'dlq' || message.reconsumeTimes >= max)
    return deadLetterPopped(session, popped, entry, conditionOf(redelivery));
  await redeliverLater(session, popped, delivery, invisibleFor(redelivery, message));
  if (session.messages.settle(entry)) session.noteSentBack('retried');
}

/** To the DLQ by request 36, then acknowledged. A message that could not be sent there comes again when its time is over. */
async function deadLetterPopped(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
  condition: FailureCondition,
  content: Content = entry,
): Promise<void> {
  if (popped.isOurs(entry) && (await deadLetter(session, content, condition))) {
    await acknowledge(session, popped, { entry });
    if (session.messages.settle(entry)) session.noteSentBack('dead-lettered');
    return;
  }
  popped.forget(entry);
  session.messages.settle(entry);
}

/** The end of a message that no handler gets: its configured one is the DLQ. */
export async function settleUnhandled(
  session: QueueSession,
  work: Extract<NextWork, { kind: 'unhandled' }>,
): Promise<void> {
  const { entry, delayLevel, code, reason } = work;
  session.logger.error({ code, offset: String(entry.offset), delayLevel }, reason);
  try {
    await endUnhandled(session, work, entry);
  } catch (error) {
    session.logger.error(
      { ...describeThrown(error), code: unprocessable(error).code, offset: String(entry.offset) },
      'message cannot be read for its end, only its place is used',
    );
    await endUnhandled(session, work, asUndecodable(entry, error));
  }
}

type Content = Pick<Delivery['entry'], 'message' | 'undecodable' | 'localRetries'>;

/** @param content of the entry, or what of it can be read */
async function endUnhandled(
  session: QueueSession,
  { entry, delayLevel, condition }: Unhandled & Pick<Delivery, 'entry'>,
  content: Content,
): Promise<void> {
  const { message } = content;
  const record = message ?? (content.undecodable as UndecodableRecord);
  if (session.popped !== undefined)
    return deadLetterPopped(session, session.popped, entry, condition, content);
  const subscription = messageSubscription(session, message);
  const max = subscription === undefined ? 0 : maxReconsumeTimes(subscription, message);
  const broadcast = isBroadcast(session);
  const dead = delayLevel === DLQ || failuresOf(session, content) >= max;
  const own = dead && destinationOf(session, content) !== undefined;
  if (
    broadcast ||
    (own
      ? await deadLetter(session, content, condition)
      : await sendBack(session, record, delayLevel, max))
  ) {
    if (session.messages.settle(entry)) {
      if (broadcast) session.noteDropped();
      else session.noteSentBack(dead ? 'dead-lettered' : 'retried');
    }
    // The suspect has its end; the messages behind it are delivered as always.
    if (session.crash?.suspect === entry.offset)
      session.crash = { ...session.crash, count: 0, isolateUntil: entry.offset };
  } else session.messages.giveBack(entry, session.deps.clock.now() + LOCAL_RETRY_MS, true);
}
