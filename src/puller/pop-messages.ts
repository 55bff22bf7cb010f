import { suspendTime } from '../decide/budget/time-budget.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { AnswerDroppedError, ConnectionError, codeOf, TopicNotFoundError } from '../errors.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Logger } from '../ports/logger.ts';
import type { PopResult } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import { isFinalRefusal } from '../queue/pull-failure.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import { buildSubscription } from '../records/subscription.ts';
import { createPoppedCopier } from './copy-popped.ts';
import type { HandOverMeasure } from './hand-over-measure.ts';
import type { HeldLease } from './held-lease.ts';
import { memoryOf, type PoppedMessages } from './popped-messages.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueActivity } from './queue-activity.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import { fetchTime, pause } from './time-left.ts';

const MAX_MESSAGES = 32;
/** A pop under way is never given up: its messages would be invisible to everybody for their time. So a queue that drains waits for it. */
const POLL_MS = 5_000;
const FULL_WAIT_MS = 500;
/** No time is left, or the lease has ended and may come back. */
const NO_LEASE_WAIT_MS = 50;
const SHORT_POLL_WAIT_MS = 300;
/** Before the first message has come: the largest that a stock broker takes. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const ERROR_BACKOFF = { firstMs: 1_000, longestMs: 10_000 };

interface PopParts extends Pick<PullerDeps, 'client' | 'clock' | 'random' | 'remainingMs'> {
  readonly logger: Logger;
  readonly options: Pick<PullerOptions, 'maxSuspendMs' | 'popInvisibleMs' | 'reserveMs'>;
  readonly source: Pick<SourceConfig, 'consumerGroup'>;
  readonly queue: MessageQueue;
  readonly subscriptions: Pick<QueueSubscriptions, 'isFiltered' | 'ofQueue'>;
  readonly messages: Pick<ProcessQueue, 'count'>;
  readonly memory: Pick<
    QueueMemory,
    'reservePop' | 'receivePopped' | 'endFetch' | 'maxMessageBytes'
  >;
  readonly wakeup: Wakeup;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'isLost' | 'signal' | 'stop'>;
  readonly offsets: Pick<OffsetKeeper, 'connectionLost'>;
  readonly activity: Pick<QueueActivity, 'answered' | 'failed' | 'touch'>;
  readonly handOver: Pick<HandOverMeasure, 'foundNothing'>;
  readonly counts: Pick<QueueCounts, 'filteredOut' | 'count' | 'polled'>;
  /** Called with what the broker has left after each pop. */
  readonly onRest: (messages: number) => void;
}

/** Pops what the deliverers can take, until the queue's work ends. Mirrors DefaultMQPushConsumerImpl.popMessage. */
export async function popMessages(
  parts: PopParts,
  popped: Pick<PoppedMessages, 'put'>,
  capacity: number,
): Promise<void> {
  const { clock, memory, messages, wakeup, lifecycle } = parts;
  const subscription = subscriptionOf(parts);
  const copyUnrevivable = createPoppedCopier(parts);
  let pace = FIRST_PACE;
  while (lifecycle.ending === undefined) {
    const sentAt = clock.now();
    const max = Math.min(MAX_MESSAGES, capacity - messages.count);
    const reserved = memory.reservePop(max, pace.messageBytes, pace.patient, sentAt);
    const { count } = reserved;
    if (count === 0) {
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const pollMs = pollTime(parts, reserved.mayWait);
    if (pollMs === undefined) {
      memory.endFetch();
      await wakeup.wait(NO_LEASE_WAIT_MS);
      continue;
    }
    try {
      const result = await pop(parts, subscription, count, pollMs);
      parts.activity.answered();
      const { patient } = pace;
      pace = paceAfter(pace, result);
      if (lifecycle.isLost) return memory.endFetch();
      // The memory of the answer stays reserved while the broker takes the copies.
      const remaining = await copyUnrevivable(result.messages);
      await take(parts, popped, { ...result, messages: remaining }, sentAt);
      const isEmpty = result.messages.length === 0;
      if (result.full || (pollMs === 0 && isEmpty && patient))
        await wakeup.wait(SHORT_POLL_WAIT_MS);
    } catch (error) {
      memory.endFetch();
      pace = paceAfterFailure(pace, error, count);
      if (!(await goOnAfter(parts, error, pace.failures))) return;
    }
  }
}

/** What earlier answers show about the next pop. */
interface PopPace {
  /** What the largest of the last messages took. */
  readonly messageBytes: number;
  /** The last pop brought nothing: the next one need not be answered soon. */
  readonly patient: boolean;
  /** Pops in a row that failed. */
  readonly failures: number;
}

const FIRST_PACE: PopPace = { messageBytes: MAX_MESSAGE_BYTES, patient: true, failures: 0 };

function paceAfter({ messageBytes }: PopPace, { messages }: PopResult): PopPace {
  if (messages.length === 0) return { messageBytes, patient: true, failures: 0 };
  const largest = Math.max(messageBytes / 2, ...messages.map(memoryOf));
  return { messageBytes: largest, patient: false, failures: 0 };
}

/** @param count messages that were asked for */
function paceAfterFailure(pace: PopPace, error: unknown, count: number): PopPace {
  const messageBytes =
    error instanceof AnswerDroppedError
      ? Math.max(pace.messageBytes, error.bytes / count)
      : pace.messageBytes;
  return { ...pace, messageBytes, failures: pace.failures + 1 };
}

/** How long the broker may hold the pop, ms; undefined: there is no time for one. */
function pollTime(parts: PopParts, mayWait: boolean): number | undefined {
  const workMs = fetchTime(parts);
  if (workMs === undefined) return undefined;
  // A poll that waits holds no memory that another queue could use.
  return mayWait ? suspendTime(workMs, Math.min(parts.options.maxSuspendMs, POLL_MS)) : 0;
}

function subscriptionOf({
  clock,
  queue,
  subscriptions,
}: Pick<PopParts, 'clock' | 'queue' | 'subscriptions'>): Subscription {
  const { expression, type } = subscriptions.ofQueue?.filter ?? {};
  return buildSubscription(queue.topic, expression, type, clock.now());
}

function pop(
  { client, clock, lifecycle, memory, options, queue, source, subscriptions }: PopParts,
  subscription: Subscription,
  maxMessages: number,
  pollMs: number,
): Promise<PopResult> {
  return client.pop(
    {
      consumerGroup: source.consumerGroup,
      topic: queue.topic,
      brokerName: queue.brokerName,
      subscription,
      maxMessages,
      invisibleMs: options.popInvisibleMs,
      pollMs,
      start: subscriptions.ofQueue?.startingPosition === 'LATEST' ? 'max' : 'min',
      keepCompressed: true,
    },
    {
      signal: lifecycle.signal('requests'),
      reserve: (bytes) => memory.receivePopped(bytes, maxMessages, clock.now()),
    },
  );
}

/** False: nothing is popped any more. @param failures in a row */
async function goOnAfter(parts: PopParts, error: unknown, failures: number): Promise<boolean> {
  const { activity, counts, lifecycle, logger, offsets } = parts;
  if (lifecycle.isLost) return false;
  if (isFinalRefusal(error) || error instanceof TopicNotFoundError) {
    logger.error({ err: error, code: codeOf(error) }, 'the broker refuses to give messages');
    lifecycle.stop('refused');
    return false;
  }
  if (error instanceof ConnectionError) offsets.connectionLost();
  activity.failed();
  counts.count('PollingErrorCount');
  const waitMs = backoff(failures, parts.random(), ERROR_BACKOFF);
  const code = codeOf(error);
  logger.warn({ err: error, code, waitMs: Math.round(waitMs) }, 'a pop failed');
  await pause(parts, waitMs);
  return true;
}

async function take(
  {
    client,
    queue,
    source,
    logger,
    lifecycle,
    wakeup,
    activity,
    handOver,
    counts,
    messages,
    subscriptions,
    memory,
    onRest,
  }: PopParts,
  popped: Pick<PoppedMessages, 'put'>,
  result: PopResult,
  sentAt: number,
): Promise<void> {
  const { full, filteredOut, undecodable } = result;
  counts.polled(
    result.messages.map(({ message }) => message),
    undecodable.length,
  );
  const brought = result.messages.length + undecodable.length + filteredOut.length;
  if (!full && brought === 0 && messages.count === 0) handOver.foundNothing();
  counts.filteredOut(filteredOut.length, subscriptions.isFiltered);
  onRest(result.rest ?? 0);
  popped.put([...result.messages, ...undecodable], sentAt);
  memory.endFetch();
  if (result.messages.length > 0) activity.touch();
  wakeup.all();
  // They were given only because tag hashes collide, and are nobody's.
  for (const handle of filteredOut)
    await client
      .ack(source.consumerGroup, queue.topic, handle, { signal: lifecycle.signal('requests') })
      .catch((error: unknown) => {
        if (!lifecycle.isLost)
          logger.warn(
            { err: error },
            'a message that the filter does not want could not be acknowledged',
          );
      });
}
