import { suspendTime } from '../decide/budget/time-budget.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { RocketMQError, TopicNotFoundError } from '../errors.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Logger } from '../ports/logger.ts';
import type { PullResult } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import { pullFailureOf } from '../queue/pull-failure.ts';
import { PULL_BATCH_SIZE, type PullEnd, pullQueue } from '../queue/pull-loop.ts';
import type { PullMemory, PullObserver, PullPosition } from '../queue/pull-ports.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { OffsetCommits } from './commit-offset.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { FailedSends } from './failed-sends.ts';
import type { HandOverMeasure } from './hand-over-measure.ts';
import type { HeldLease } from './held-lease.ts';
import type { KnownQueue } from './known-queue.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueActivity } from './queue-activity.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import { fetchTime } from './time-left.ts';

interface PullParts extends Pick<PullerDeps, 'client' | 'clock' | 'random' | 'remainingMs'> {
  readonly options: Pick<PullerOptions, 'flowLimits' | 'maxSuspendMs' | 'reserveMs'>;
  readonly source: Pick<SourceConfig, 'consumerGroup'>;
  readonly queue: MessageQueue;
  readonly logger: Logger;
  readonly subscriptions: Pick<QueueSubscriptions, 'isFiltered' | 'isRetryQueue' | 'ofQueue'>;
  readonly messages: ProcessQueue;
  readonly memory: PullMemory;
  readonly wakeup: Wakeup;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'signal' | 'stop'>;
  readonly offsets: Pick<OffsetKeeper, 'resetPending' | 'connectionLost'>;
  readonly commits: Pick<OffsetCommits, 'adopt' | 'followReset'>;
  readonly known: KnownQueue;
  readonly crash: Pick<CrashKeeper, 'isolation'>;
  readonly failedSends: Pick<FailedSends, 'refusedAt'>;
  readonly activity: Pick<QueueActivity, 'answered' | 'failed' | 'touch'>;
  readonly handOver: Pick<HandOverMeasure, 'foundNothing'>;
  readonly counts: Pick<QueueCounts, 'count' | 'filteredOut' | 'polled'>;
}

/** Keeps the process queue filled until the queue ends. */
export async function pullMessages(parts: PullParts): Promise<void> {
  const { options, messages, crash } = parts;
  const { longPolling, pullBatchSize = PULL_BATCH_SIZE } = parts.subscriptions.ofQueue ?? {};
  const longPollMs = longPolling === undefined ? options.maxSuspendMs : longPolling * 1000;
  const end = await pullQueue({
    consumerGroup: parts.source.consumerGroup,
    queue: parts.queue,
    subscription: subscriptionFor(parts),
    batchSize: pullBatchSize,
    client: parts.client,
    messages,
    limits: options.flowLimits,
    memory: parts.memory,
    position: positionOf(parts),
    life: parts.known,
    lifecycle: parts.lifecycle,
    wakeup: parts.wakeup,
    clock: parts.clock,
    random: parts.random,
    logger: parts.logger,
    suspendMs: () => {
      const workMs = fetchTime(parts);
      return workMs === undefined ? undefined : suspendTime(workMs, longPollMs);
    },
    // What is delivered alone, because it may have killed its holders, is pulled alone as well.
    pullsSingly: () => crash.isolation(messages.nextOffset) !== 'batch',
    failureOf: (error) => (error instanceof TopicNotFoundError ? 'refused' : pullFailureOf(error)),
    observer: observerOf(parts),
  });
  if (end.kind === 'stopped') stopPulling(parts, end);
}

function positionOf({ offsets, commits }: PullParts): PullPosition {
  return {
    get resetPending() {
      return offsets.resetPending;
    },
    moveTo: (offset, reset) => commits.adopt(offset, reset),
    resolveReset: async () => {
      await commits.followReset();
    },
    connectionLost: () => offsets.connectionLost(),
  };
}

function observerOf(parts: PullParts): PullObserver {
  const { activity, counts } = parts;
  return {
    answered: () => activity.answered(),
    taken: (result, from) => noteAnswer(parts, result, from),
    failed: (isFinal) => {
      counts.count('PollingErrorCount');
      if (!isFinal) activity.failed();
    },
    full: () => hastenRefused(parts),
  };
}

function stopPulling(
  parts: PullParts,
  { error, why }: Extract<PullEnd, { kind: 'stopped' }>,
): void {
  if (why === 'refused')
    parts.logger.error({ err: error, code: 'ROCKETMQ_PULL_REFUSED' }, 'pull refused by the broker');
  else
    parts.logger.error(
      {
        err: error,
        code: error instanceof RocketMQError ? error.code : 'ROCKETMQ_PROTOCOL',
        offset: String(parts.messages.nextOffset),
      },
      'record not readable, move the offset of the group behind it (mqadmin resetOffsetByTime, or skip)',
    );
  parts.lifecycle.stop('refused');
}

/** The queue stands still at its limits: a message that the broker does not take back comes to its limit without its whole delay. */
function hastenRefused({ messages, failedSends }: PullParts): void {
  messages.hasten((entry) => {
    const refused = failedSends.refusedAt(entry);
    return refused === undefined ? undefined : refused + MIN_LOCAL_RETRY_MS;
  });
}

function subscriptionFor(parts: PullParts): Subscription {
  const { topic } = parts.queue;
  const filter = parts.subscriptions.isRetryQueue ? undefined : parts.subscriptions.ofQueue?.filter;
  return filter === undefined
    ? buildSubscription(topic, '*')
    : buildSubscription(
        topic,
        filter.expression,
        filter.type,
        filter.type === 'SQL92' ? parts.clock.now() : 0,
      );
}

function noteAnswer(parts: PullParts, result: PullResult, from: bigint): void {
  const { messages, known, activity, handOver, logger } = parts;
  known.pulled(result.maxOffset);
  if (result.status === 'OFFSET_MOVED') return;
  countPolled(parts, result, from);
  if (result.status !== 'FOUND') {
    if (messages.nextOffset >= result.maxOffset && messages.count === 0) handOver.foundNothing();
    return;
  }
  activity.touch();
  for (const record of result.undecodable)
    logger.error(
      {
        err: record.error,
        offset: String(record.queueOffset),
        offsetMsgId: record.offsetMsgId,
      },
      'a message cannot be decoded: it goes to the DLQ',
    );
}

/** What the broker's filter, or ours, left out lies between the offsets. A poll that brings nothing counts 0. */
function countPolled(
  { counts, subscriptions }: PullParts,
  result: Exclude<PullResult, { status: 'OFFSET_MOVED' }>,
  from: bigint,
): void {
  const { messages, undecodable } = result.status === 'FOUND' ? result : NOTHING;
  const brought = messages.length + undecodable.length;
  const passed = Number(result.nextBeginOffset - from);
  counts.polled(messages, undecodable.length);
  counts.filteredOut(Math.max(0, passed - brought), subscriptions.isFiltered);
}

const NOTHING = { messages: [], undecodable: [] } as const;
