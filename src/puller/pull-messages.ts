import { suspendTime } from '../decide/budget/time-budget.ts';
import { isolation } from '../decide/crash/crash-record.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { RocketMQError, TopicNotFoundError } from '../errors.ts';
import type { Subscription } from '../model/subscription.ts';
import type { PullResult } from '../ports/rocketmq.ts';
import { pullFailureOf } from '../queue/pull-failure.ts';
import { PULL_BATCH_SIZE, type PullEnd, pullQueue } from '../queue/pull-loop.ts';
import type { PullLoop, PullObserver, PullPosition } from '../queue/pull-ports.ts';
import { buildSubscription } from '../records/subscription.ts';
import { adoptOffset, followReset } from './commit-offset.ts';
import type { QueueSession } from './queue-session.ts';

/** Keeps the process queue filled until the session ends. */
export async function pullMessages(session: QueueSession): Promise<void> {
  const end = await pullQueue(pullLoopOf(session));
  if (end.kind === 'stopped') stopPulling(session, end);
}

function pullLoopOf(session: QueueSession): PullLoop {
  const { deps, queue } = session;
  const { longPolling, pullBatchSize = PULL_BATCH_SIZE } =
    session.subscriptionOf(queue.topic) ?? {};
  const longPollMs = longPolling === undefined ? session.options.maxSuspendMs : longPolling * 1000;
  return {
    consumerGroup: session.source.consumerGroup,
    queue,
    subscription: subscriptionFor(session),
    batchSize: pullBatchSize,
    client: deps.client,
    messages: session.messages,
    limits: session.options.flowLimits,
    memory: session.memory,
    position: positionOf(session),
    lifeMark: {
      get: () => session.lifeMark,
      set: (mark) => {
        session.lifeMark = mark;
      },
    },
    lifecycle: session.lifecycle,
    wakeup: session.wakeup,
    clock: deps.clock,
    random: deps.random,
    logger: session.logger,
    suspendMs: () => {
      const workMs = session.fetchMs();
      return workMs === undefined ? undefined : suspendTime(workMs, longPollMs);
    },
    // What is delivered alone, because it may have killed its holders, is pulled alone as well.
    pullsSingly: () => isolation(session.crash, session.messages.nextOffset) !== 'batch',
    failureOf: (error) => (error instanceof TopicNotFoundError ? 'refused' : pullFailureOf(error)),
    observer: observerOf(session),
  };
}

function positionOf(session: QueueSession): PullPosition {
  const { offsets } = session;
  return {
    get resetPending() {
      return offsets.resetPending;
    },
    moveTo: (offset, reset) => adoptOffset(session, offset, reset),
    resolveReset: () => followReset(session),
    connectionLost: () => offsets.connectionLost(),
  };
}

function observerOf(session: QueueSession): PullObserver {
  return {
    answered: () => {
      session.pullFailures = 0;
    },
    taken: (result, from) => noteAnswer(session, result, from),
    failed: (_error, failures) => {
      session.count('PollingErrorCount');
      session.pullFailures = failures;
    },
    full: () => hastenRefused(session),
  };
}

function stopPulling(
  session: QueueSession,
  { error, why }: Extract<PullEnd, { kind: 'stopped' }>,
): void {
  if (why === 'refused')
    session.logger.error(
      { err: error, code: 'ROCKETMQ_PULL_REFUSED' },
      'pull refused by the broker',
    );
  else
    session.logger.error(
      {
        err: error,
        code: error instanceof RocketMQError ? error.code : 'ROCKETMQ_PROTOCOL',
        offset: String(session.messages.nextOffset),
      },
      'record not readable, move the offset of the group behind it (mqadmin resetOffsetByTime, or skip)',
    );
  session.end('refused');
}

/** The queue stands still at its limits: a message that the broker does not take back comes to its limit without its whole delay. */
function hastenRefused({ messages, refusedAt }: QueueSession): void {
  messages.hasten((entry) => {
    const refused = refusedAt.get(entry);
    return refused === undefined ? undefined : refused + MIN_LOCAL_RETRY_MS;
  });
}

function subscriptionFor(session: QueueSession): Subscription {
  const { topic } = session.queue;
  const filter = session.isRetryQueue ? undefined : session.subscriptionOf(topic)?.filter;
  return filter === undefined
    ? buildSubscription(topic, '*')
    : buildSubscription(
        topic,
        filter.expression,
        filter.type,
        filter.type === 'SQL92' ? session.deps.clock.now() : 0,
      );
}

function noteAnswer(session: QueueSession, result: PullResult, from: bigint): void {
  session.maxOffset = result.maxOffset;
  if (result.status === 'OFFSET_MOVED') return;
  countPolled(session, result, from);
  if (result.status !== 'FOUND') {
    if (session.messages.nextOffset >= result.maxOffset) session.noteEmptyPoll();
    return;
  }
  session.lastMessageAt = session.deps.clock.now();
  for (const record of result.undecodable)
    session.logger.error(
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
  session: QueueSession,
  result: Exclude<PullResult, { status: 'OFFSET_MOVED' }>,
  from: bigint,
): void {
  const { messages, undecodable } = result.status === 'FOUND' ? result : NOTHING;
  const brought = messages.length + undecodable.length;
  const passed = Number(result.nextBeginOffset - from);
  session.notePolled(messages, undecodable.length);
  if (passed > brought) session.count('FilteredOutEventCount', passed - brought);
}

const NOTHING = { messages: [], undecodable: [] } as const;
