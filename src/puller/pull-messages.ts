import { suspendTime } from '../decide/budget/time-budget.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import { answerCost, fewer, type QueueMemory } from '../decide/pull/memory-budget.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { ConnectionError, RocketMQError, TopicNotFoundError } from '../errors.ts';
import { MASTER_ID } from '../model/route.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { PullRequest, PullResult } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import { pullFailureOf } from '../queue/pull-failure.ts';
import {
  FIRST_PULL,
  type PullState,
  type PullStep,
  stepPull,
  TRUSTED_AFTER,
} from '../queue/pull-state.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import { buildSubscription } from '../records/subscription.ts';
import { checkLife, followMovedOffset, LIFE_CHECK_AFTER_MS, type LifeParts } from './check-life.ts';
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
import { fetchTime, pause } from './time-left.ts';

/** Java's pullBatchSize. Brokers give at most 32 messages from memory, 8 from disk, unless they are told otherwise. */
const PULL_BATCH_SIZE = 32;
/** Flow control: look again after this, if nothing was settled before. */
const FULL_WAIT_MS = 50;
/** Short polls near the end of an invocation. */
const SHORT_POLL_WAIT_MS = 300;

interface PullParts extends LifeParts, Pick<PullerDeps, 'clock' | 'random' | 'remainingMs'> {
  readonly options: Pick<PullerOptions, 'flowLimits' | 'maxSuspendMs' | 'reserveMs'>;
  readonly source: Pick<SourceConfig, 'consumerGroup'>;
  readonly subscriptions: Pick<QueueSubscriptions, 'isRetryQueue' | 'ofQueue'>;
  readonly messages: ProcessQueue;
  readonly memory: Pick<QueueMemory, 'admit' | 'mayFetch' | 'withdraw'>;
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
  readonly counts: Pick<QueueCounts, 'count' | 'polled'>;
}

/** What does not change from pull to pull. */
interface PullPlan {
  readonly subscription: Subscription;
  readonly longPollMs: number;
  readonly batchSize: number;
}

/** A pull that was sent. */
interface SentPull {
  readonly request: PullRequest;
  readonly signal: AbortSignal;
  /** Of the process queue when it was sent: an answer from before a change of the position belongs to nothing. */
  readonly generation: number;
  readonly resetPending: boolean;
}

/** Whether the queue has to be looked at again: it may have been deleted and created again. */
interface LifeWatch {
  answeredAt: number;
  unchecked: boolean;
}

/** Keeps the process queue filled until the session ends: pull, take what came, go on where the broker says. Mirrors DefaultMQPushConsumerImpl.pullMessage. */
export async function pullMessages(parts: PullParts): Promise<void> {
  const plan = planOf(parts);
  const life: LifeWatch = { answeredAt: parts.clock.now(), unchecked: false };
  let state = FIRST_PULL;
  while (parts.lifecycle.ending === undefined) {
    // A reset that waits for a pull does not wait for the messages that it will drop.
    if (!parts.offsets.resetPending && isFull(parts)) {
      hastenRefused(parts);
      await parts.wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const workMs = fetchTime(parts);
    if (workMs === undefined) return;
    const pull = nextPull(parts, plan, state, workMs);
    try {
      const result = await parts.client.pull(pull.request, { signal: pull.signal });
      parts.activity.answered();
      state = await handleAnswer(parts, state, pull, result, life);
    } catch (error) {
      if (pull.signal.aborted) continue;
      const step = handleFailure(parts, state, error);
      if (step.kind === 'stop') return stopPulling(parts, error, step.why);
      state = step.state;
      if (step.kind === 'wait') await pause(parts, step.waitMs);
    }
  }
}

function planOf(parts: PullParts): PullPlan {
  const { longPolling, pullBatchSize = PULL_BATCH_SIZE } = parts.subscriptions.ofQueue ?? {};
  return {
    subscription: subscriptionFor(parts),
    longPollMs: longPolling === undefined ? parts.options.maxSuspendMs : longPolling * 1000,
    batchSize: pullBatchSize,
  };
}

function nextPull(
  parts: PullParts,
  { subscription, longPollMs, batchSize }: PullPlan,
  { brokerId, maxMessages = batchSize, unreadable }: PullState,
  workMs: number,
): SentPull {
  const { messages, queue, source } = parts;
  const { resetPending } = parts.offsets;
  return {
    request: {
      consumerGroup: source.consumerGroup,
      queue,
      offset: messages.nextOffset,
      subscription,
      maxMessages: pullsSingly(parts, unreadable) ? 1 : maxMessages,
      suspendMs: resetPending ? 0 : suspendTime(workMs, longPollMs),
      keepCompressed: true,
      // Only the master knows of resets.
      brokerId: resetPending ? MASTER_ID : brokerId,
    },
    signal: parts.lifecycle.signal('pull'),
    generation: messages.generation,
    resetPending,
  };
}

async function handleAnswer(
  parts: PullParts,
  before: PullState,
  pull: SentPull,
  result: PullResult,
  life: LifeWatch,
): Promise<PullState> {
  const { messages, memory, wakeup } = parts;
  const now = parts.clock.now();
  const fromMaster = before.brokerId === MASTER_ID;
  const suggestedBrokerId = result.suggestWhichBrokerId;
  const { state } = stepPull(before, { type: 'answered', suggestedBrokerId, now });
  life.unchecked ||= now - life.answeredAt >= LIFE_CHECK_AFTER_MS;
  life.answeredAt = now;
  if (messages.generation !== pull.generation) return state;
  if (result.status === 'OFFSET_MOVED' && !(result.reset && fromMaster))
    return handleMoved(parts, state, pull, result, fromMaster);
  // Until the reset is known, nothing may be delivered: what came is pulled again.
  if (pull.resetPending && result.status !== 'OFFSET_MOVED') {
    await parts.commits.followReset();
    if (parts.offsets.resetPending) await wakeup.wait(SHORT_POLL_WAIT_MS);
    return state;
  }
  const { bytes, count } = sizeOf(result);
  if (!memory.admit(bytes, count, now))
    return stepPull(state, {
      type: 'not-admitted',
      maxMessages: fewer(count, pull.request.maxMessages),
    }).state;
  await take(parts, result, bytes);
  await watchLife(parts, pull, result, life);
  // A slave that lags behind its lost master says so for an offset that it does not have yet.
  const lags = result.status === 'NO_MATCHED_MSG' && result.nextBeginOffset <= pull.request.offset;
  if (lags || (result.status === 'NO_NEW_MSG' && pull.request.suspendMs === 0))
    await wakeup.wait(SHORT_POLL_WAIT_MS);
  const confirmed = stepPull(state, { type: 'confirmed' }).state;
  return stepPull(confirmed, { type: 'admitted' }).state;
}

/** OFFSET_MOVED that is no operator's reset: the master's own figures decide, unless it repeats itself against them. */
async function handleMoved(
  parts: PullParts,
  state: PullState,
  { request, signal }: SentPull,
  result: Extract<PullResult, { status: 'OFFSET_MOVED' }>,
  fromMaster: boolean,
): Promise<PullState> {
  const trusted = fromMaster && state.contradictions + 1 >= TRUSTED_AFTER;
  const answer = { asked: request.offset, trusted, signal };
  if (await followMovedOffset(parts, result, answer))
    return stepPull(state, { type: 'confirmed' }).state;
  if (fromMaster) await parts.wakeup.wait(SHORT_POLL_WAIT_MS);
  const now = parts.clock.now();
  const contradicted = stepPull(state, { type: 'contradicted', now }).state;
  // A slave's answer says nothing of the master's.
  return fromMaster ? contradicted : { ...contradicted, contradictions: state.contradictions };
}

async function watchLife(
  parts: PullParts,
  { signal, generation }: SentPull,
  result: PullResult,
  life: LifeWatch,
): Promise<void> {
  if (life.unchecked) {
    await checkLife(parts, signal);
    life.unchecked = false;
  }
  if (result.status === 'FOUND' && parts.messages.generation === generation)
    parts.known.found(result.messages);
}

function handleFailure(parts: PullParts, state: PullState, error: unknown): PullStep {
  const { clock, random, memory, activity } = parts;
  const failure = error instanceof TopicNotFoundError ? 'refused' : pullFailureOf(error);
  const step = stepPull(state, {
    type: 'failed',
    failure,
    now: clock.now(),
    random: random(),
  });
  parts.counts.count('PollingErrorCount');
  if (step.kind === 'stop') return step;
  if (error instanceof ConnectionError) parts.offsets.connectionLost();
  memory.withdraw();
  activity.failed();
  const waitMs = step.kind === 'wait' ? Math.round(step.waitMs) : 0;
  parts.logger.warn({ err: error, failure, waitMs, code: 'ROCKETMQ_PULL_FAILED' }, 'pull failed');
  return step;
}

function stopPulling(parts: PullParts, error: unknown, why: 'refused' | 'unreadable'): void {
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

/** What the broker's filter, or ours, left out lies between the offsets. A poll that brings nothing counts 0. */
function countPolled(parts: PullParts, result: PullResult): void {
  if (result.status === 'OFFSET_MOVED') return;
  const { messages, undecodable } = result.status === 'FOUND' ? result : NOTHING;
  const brought = messages.length + undecodable.length;
  const passed = Number(result.nextBeginOffset - parts.messages.nextOffset);
  parts.counts.polled(messages, undecodable.length);
  if (passed > brought) parts.counts.count('FilteredOutEventCount', passed - brought);
}

const NOTHING = { messages: [], undecodable: [] } as const;

function isFull({ memory, messages, options, clock }: PullParts): boolean {
  return flowControl(messages, options.flowLimits) !== undefined || !memory.mayFetch(clock.now());
}

/** What is delivered alone, because it may have killed its holders, is pulled alone as well. */
function pullsSingly({ crash, messages, offsets }: PullParts, unreadable: number): boolean {
  return unreadable > 0 || offsets.resetPending || crash.isolation(messages.nextOffset) !== 'batch';
}

/** What the answer takes in memory. The messages of an inner batch are views of its decompressed body. */
function sizeOf(result: PullResult): { bytes: number; count: number } {
  if (result.status !== 'FOUND') return { bytes: 0, count: 0 };
  const count = result.messages.length + result.undecodable.length;
  const inner = result.messages.reduce(
    (bytes, { storeSize, body }) => (storeSize === 0 ? bytes + body.length : bytes),
    0,
  );
  return { bytes: count === 0 ? 0 : answerCost(result.size + inner, count), count };
}

async function take(parts: PullParts, result: PullResult, bytes: number): Promise<void> {
  const { messages } = parts;
  parts.known.pulled(result.maxOffset);
  countPolled(parts, result);
  switch (result.status) {
    case 'FOUND':
      messages.put(
        result.messages,
        result.undecodable,
        result.nextBeginOffset,
        parts.clock.now(),
        bytes,
      );
      parts.activity.touch();
      for (const record of result.undecodable)
        parts.logger.error(
          {
            err: record.error,
            offset: String(record.queueOffset),
            offsetMsgId: record.offsetMsgId,
          },
          'a message cannot be decoded: it goes to the DLQ',
        );
      if (result.overlapping.length > 0)
        parts.logger.error(
          {
            code: 'ROCKETMQ_RECORDS_OVERLAP',
            count: result.overlapping.length,
            offset: String(result.overlapping[0]),
          },
          'messages of an inner batch dropped, other records have their offsets',
        );
      break;
    case 'NO_NEW_MSG':
    case 'NO_MATCHED_MSG':
      messages.advance(result.nextBeginOffset);
      if (messages.nextOffset >= result.maxOffset && messages.count === 0)
        parts.handOver.foundNothing();
      break;
    case 'OFFSET_MOVED':
      parts.logger.warn(
        {
          from: String(messages.nextOffset),
          to: String(result.nextBeginOffset),
        },
        'the offset was reset by an operator',
      );
      await parts.commits.adopt(result.nextBeginOffset, result.reset);
      break;
  }
  parts.wakeup.all();
}
