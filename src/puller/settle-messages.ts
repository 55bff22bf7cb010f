import { localDelayMs, orDefault, type Redelivery } from '../decide/retry/redelivery.ts';
import { isPermanent, MAX_UNANSWERED, MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { describeThrown } from '../delivery/thrown.ts';
import { inWindow } from '../flow/in-window.ts';
import type { CrashRecord } from '../model/assignment.ts';
import type { UndecodableRecord } from '../model/message.ts';
import { failedDeliveries } from '../records/own-retry.ts';
import { commitFinally } from './commit-offset.ts';
import { type Content, endForGood, leaveToNextHolder } from './dead-letter.ts';
import { renewLease } from './hold-lease.ts';
import { messageSubscription } from './message-subscription.ts';
import { maxReconsumeTimes } from './next-batch.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ, redeliver, type SendOutcome, sendBack } from './send-back.ts';
import { acknowledge, invisibleFor, redeliverLater, returnToBroker } from './settle-popped.ts';
import { asUndecodable, unprocessable } from './unprocessable.ts';
import type { Batch, Delivery, NextWork, Unhandled } from './work.ts';

/** Sends to the broker in parallel per batch. */
const SEND_BACK_WINDOW = 16;

/**
 * Gives every message of a batch its end: done, sent back to be redelivered, or ended for good. What could not be sent back stays unfinished and is
 * tried again here, up to its limit.
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
      // Pulled before the offset was dictated anew: it comes again, or never was to come.
      if (popped === undefined && !session.messages.expects(entry)) return;
      if (redelivery.kind === 'dlq') return endForGood(session, entry, 'RejectedByHandler');
      if (failedDeliveries(message, session.source) + entry.localRetries >= max)
        return endForGood(session, entry, 'RetryAttemptsExhausted');
      if (popped !== undefined) return failPopped(session, popped, delivery, redelivery);
      await retry(session, delivery, redelivery, max);
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

/** To the broker for its next delivery. What the broker does not take is delivered again here, after the same delay, and counts as failed. */
async function retry(
  session: QueueSession,
  { entry, message }: Delivery,
  redelivery: Exclude<Redelivery, { kind: 'drop' | 'dlq' }>,
  maxReconsume: number,
): Promise<void> {
  const { localRetries } = entry;
  const outcome = await redeliver(
    session,
    {
      message,
      localRetries,
      inDoubt: session.inDoubt.has(entry),
      maxReconsumeTimes: maxReconsume,
    },
    redelivery,
  );
  const failures = failedDeliveries(message, session.source) + localRetries + 1;
  settleSend(session, entry, outcome, () => localDelayMs(redelivery, failures, MIN_LOCAL_RETRY_MS));
}

/** The message is the broker's now, or it waits here for its next delivery. */
function settleSend(
  session: QueueSession,
  entry: Delivery['entry'],
  outcome: SendOutcome,
  delayMs: () => number,
): void {
  if (outcome.kind === 'lease-lost') {
    leaveToNextHolder(session, entry);
    return;
  }
  if (outcome.kind === 'taken') {
    if (session.messages.settle(entry)) session.noteSentBack('retried');
    return;
  }
  const { failure, unanswered } = outcome;
  const now = session.deps.clock.now();
  const waitMs = delayMs();
  if (unanswered > 0) session.inDoubt.add(entry);
  if (isPermanent(failure)) session.refusedAt.set(entry, now);
  session.count('SendBackErrorCount');
  session.logger.error(
    { code: 'ROCKETMQ_SEND_BACK_FAILED', offset: String(entry.offset), failure, waitMs },
    'failed message not taken back by the broker, it is delivered again by this puller and counts as failed',
  );
  session.giveBackFailed(entry, now + waitMs);
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

function failuresOf({ source }: QueueSession, { message }: Content): number {
  return message === undefined ? 0 : failedDeliveries(message, source);
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

/** In POP mode a failed message is invisible for a while longer. */
async function failPopped(
  session: QueueSession,
  popped: PoppedMessages,
  delivery: Delivery,
  redelivery: Exclude<Redelivery, { kind: 'drop' | 'dlq' }>,
): Promise<void> {
  const { entry, message } = delivery;
  if (!popped.isRevivable(entry)) {
    // A puller on its way out does not wait for it.
    if (session.ending !== undefined) return returnToBroker(session, popped, entry);
    const failures = failedDeliveries(message, session.source) + entry.localRetries + 1;
    const waitMs = localDelayMs(redelivery, failures, MIN_LOCAL_RETRY_MS);
    return session.giveBackFailed(entry, session.deps.clock.now() + waitMs);
  }
  await redeliverLater(session, popped, delivery, invisibleFor(redelivery, delivery.message));
  if (session.messages.settle(delivery.entry)) session.noteSentBack('retried');
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

/** @param content of the entry, or what of it can be read */
async function endUnhandled(
  session: QueueSession,
  { entry, delayLevel, condition }: Unhandled & Pick<Delivery, 'entry'>,
  content: Content,
): Promise<void> {
  if (isBroadcast(session)) {
    if (session.messages.settle(entry)) session.noteDropped();
  } else if (session.popped !== undefined || delayLevel === DLQ || isAtLimit(session, content))
    await endForGood(session, entry, condition, content);
  else await returnUnhandled(session, entry, content, delayLevel);
  if (entry.state === 'done' && session.crash?.suspect === entry.offset)
    await passSuspect(session, session.crash, entry.offset);
}

/**
 * The suspect has its end; the messages behind it are delivered as always. That is stored before the
 * first of them: should it kill its puller too, the next one must not begin at the suspect again.
 */
async function passSuspect(
  session: QueueSession,
  crash: CrashRecord,
  offset: bigint,
): Promise<void> {
  session.crash = { ...crash, count: 0, isolateUntil: offset };
  await commitFinally(session);
  await renewLease(session);
}

/** What killed its puller goes back to the broker as a failure. */
async function returnUnhandled(
  session: QueueSession,
  entry: Delivery['entry'],
  content: Content,
  delayLevel: number,
): Promise<void> {
  const record = content.message ?? (content.undecodable as UndecodableRecord);
  const { localRetries } = content;
  const outcome = await sendBack(
    session,
    record,
    delayLevel,
    limitOf(session, content),
    localRetries,
    session.inDoubt.has(entry) ? 1 : MAX_UNANSWERED,
  );
  const failures = failuresOf(session, content) + localRetries + 1;
  settleSend(session, entry, outcome, () =>
    localDelayMs({ kind: 'auto' }, failures, MIN_LOCAL_RETRY_MS),
  );
}

function isAtLimit(session: QueueSession, content: Content): boolean {
  return failuresOf(session, content) + content.localRetries >= limitOf(session, content);
}

function limitOf(session: QueueSession, { message }: Content): number {
  const subscription = messageSubscription(session, message);
  return subscription === undefined ? 0 : maxReconsumeTimes(subscription, message);
}
