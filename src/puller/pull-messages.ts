import { suspendTime } from '../decide/budget/time-budget.ts';
import { isolation } from '../decide/crash/crash-record.ts';
import { advanceMark } from '../decide/offset/queue-life.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import { fewer } from '../decide/pull/memory-budget.ts';
import { answerCost } from '../decide/pull/memory-costs.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import {
  AnswerDroppedError,
  ConnectionError,
  RocketMQError,
  TopicNotFoundError,
} from '../errors.ts';
import { MASTER_ID } from '../model/route.ts';
import type { Subscription } from '../model/subscription.ts';
import type { PullRequest, PullResult } from '../ports/rocketmq.ts';
import { pullFailureOf } from '../queue/pull-failure.ts';
import {
  FIRST_PULL,
  type PullState,
  type PullStep,
  stepPull,
  TRUSTED_AFTER,
} from '../queue/pull-state.ts';
import { buildSubscription } from '../records/subscription.ts';
import { checkLife, followMovedOffset, LIFE_CHECK_AFTER_MS } from './check-life.ts';
import { adoptOffset, followReset } from './commit-offset.ts';
import type { QueueSession } from './queue-session.ts';

/** Java's pullBatchSize. Brokers give at most 32 messages from memory, 8 from disk, unless they are told otherwise. */
const PULL_BATCH_SIZE = 32;
/** Flow control: look again after this, if nothing was settled before. */
const FULL_WAIT_MS = 50;
/** Short polls near the end of an invocation. */
const SHORT_POLL_WAIT_MS = 300;
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
export async function pullMessages(session: QueueSession): Promise<void> {
  const { deps, memory } = session;
  const plan = planOf(session);
  const life: LifeWatch = { answeredAt: deps.clock.now(), unchecked: false };
  let state = FIRST_PULL;
  while (session.ending === undefined) {
    // A reset that waits for a pull does not wait for the messages that it will drop.
    if (!session.offsets.resetPending && isFull(session)) {
      hastenRefused(session);
      await session.wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const workMs = session.fetchMs();
    if (workMs === undefined) return;
    const pull = nextPull(session, plan, state, workMs);
    try {
      const { request, signal } = pull;
      const reserve = (bytes: number): boolean =>
        memory.receive(bytes, request.maxMessages, deps.clock.now());
      const result = await deps.client.pull(request, { signal, reserve });
      session.pullFailures = 0;
      state = await handleAnswer(session, state, pull, result, life);
    } catch (error) {
      if (pull.signal.aborted) continue;
      if (error instanceof AnswerDroppedError) {
        state = await handleDropped(session, state, pull);
        continue;
      }
      const step = handleFailure(session, state, error);
      if (step.kind === 'stop') return stopPulling(session, error, step.why);
      state = step.state;
      memory.endFetch();
      if (step.kind === 'wait') await session.pause(step.waitMs);
    } finally {
      memory.endFetch();
    }
  }
}

function planOf(session: QueueSession): PullPlan {
  const { longPolling, pullBatchSize = PULL_BATCH_SIZE } =
    session.subscriptionOf(session.queue.topic) ?? {};
  return {
    subscription: subscriptionFor(session),
    longPollMs: longPolling === undefined ? session.options.maxSuspendMs : longPolling * 1000,
    batchSize: pullBatchSize,
  };
}

function nextPull(
  session: QueueSession,
  { subscription, longPollMs, batchSize }: PullPlan,
  { brokerId, maxMessages = batchSize, unreadable }: PullState,
  workMs: number,
): SentPull {
  const { memory, messages, queue, source } = session;
  const { resetPending } = session.offsets;
  const atOnce = resetPending || memory.reserves;
  return {
    request: {
      consumerGroup: source.consumerGroup,
      queue,
      offset: messages.nextOffset,
      subscription,
      maxMessages: pullsSingly(session, unreadable) ? 1 : maxMessages,
      suspendMs: atOnce ? 0 : suspendTime(workMs, longPollMs),
      keepCompressed: true,
      maxAnswerBytes: memory.maxAnswerBytes,
      // Only the master knows of resets.
      brokerId: resetPending ? MASTER_ID : brokerId,
    },
    signal: session.lifecycle.signal('pull'),
    generation: messages.generation,
    resetPending,
  };
}

async function handleAnswer(
  session: QueueSession,
  before: PullState,
  pull: SentPull,
  result: PullResult,
  life: LifeWatch,
): Promise<PullState> {
  const { messages, memory, wakeup } = session;
  const now = session.deps.clock.now();
  const fromMaster = before.brokerId === MASTER_ID;
  const suggestedBrokerId = result.suggestWhichBrokerId;
  const { state } = stepPull(before, { type: 'answered', suggestedBrokerId, now });
  life.unchecked ||= now - life.answeredAt >= LIFE_CHECK_AFTER_MS;
  life.answeredAt = now;
  if (messages.generation !== pull.generation) return state;
  if (result.status === 'OFFSET_MOVED' && !(result.reset && fromMaster))
    return handleMoved(session, state, pull, result, fromMaster);
  // Until the reset is known, nothing may be delivered: what came is pulled again.
  if (pull.resetPending && result.status !== 'OFFSET_MOVED') {
    memory.endFetch();
    await learnReset(session);
    return state;
  }
  const { bytes, count } = sizeOf(result);
  if (!memory.admit(bytes, count, now))
    return stepPull(state, {
      type: 'not-admitted',
      maxMessages: fewer(count, pull.request.maxMessages),
    }).state;
  await take(session, result, bytes);
  await watchLife(session, pull, result, life);
  // A slave that lags behind its lost master says so for an offset that it does not have yet.
  const lags = result.status === 'NO_MATCHED_MSG' && result.nextBeginOffset <= pull.request.offset;
  if (lags || (result.status === 'NO_NEW_MSG' && pull.request.suspendMs === 0))
    await wakeup.wait(SHORT_POLL_WAIT_MS);
  const confirmed = stepPull(state, { type: 'confirmed' }).state;
  return stepPull(confirmed, { type: 'admitted' }).state;
}

async function learnReset(session: QueueSession): Promise<void> {
  await followReset(session);
  if (session.offsets.resetPending) await session.wakeup.wait(SHORT_POLL_WAIT_MS);
}

/** The answer was not read: it is pulled again when there is memory for it. */
async function handleDropped(
  session: QueueSession,
  state: PullState,
  { request, resetPending }: SentPull,
): Promise<PullState> {
  if (resetPending) await learnReset(session);
  const maxMessages = fewer(request.maxMessages);
  return stepPull(state, { type: 'not-admitted', maxMessages }).state;
}

/** OFFSET_MOVED that is no operator's reset: the master's own figures decide, unless it repeats itself against them. */
async function handleMoved(
  session: QueueSession,
  state: PullState,
  { request, signal }: SentPull,
  result: Extract<PullResult, { status: 'OFFSET_MOVED' }>,
  fromMaster: boolean,
): Promise<PullState> {
  const trusted = fromMaster && state.contradictions + 1 >= TRUSTED_AFTER;
  const answer = { asked: request.offset, trusted, signal };
  if (await followMovedOffset(session, result, answer))
    return stepPull(state, { type: 'confirmed' }).state;
  if (fromMaster) await session.wakeup.wait(SHORT_POLL_WAIT_MS);
  const now = session.deps.clock.now();
  const contradicted = stepPull(state, { type: 'contradicted', now }).state;
  // A slave's answer says nothing of the master's.
  return fromMaster ? contradicted : { ...contradicted, contradictions: state.contradictions };
}

async function watchLife(
  session: QueueSession,
  { signal, generation }: SentPull,
  result: PullResult,
  life: LifeWatch,
): Promise<void> {
  if (life.unchecked) {
    await checkLife(session, signal);
    life.unchecked = false;
  }
  if (result.status === 'FOUND' && session.messages.generation === generation)
    session.lifeMark = advanceMark(session.lifeMark, result.messages);
}

function handleFailure(session: QueueSession, state: PullState, error: unknown): PullStep {
  const { deps } = session;
  const failure = error instanceof TopicNotFoundError ? 'refused' : pullFailureOf(error);
  const step = stepPull(state, {
    type: 'failed',
    failure,
    now: deps.clock.now(),
    random: deps.random(),
  });
  session.count('PollingErrorCount');
  if (step.kind === 'stop') return step;
  if (error instanceof ConnectionError) session.offsets.connectionLost();
  session.pullFailures = step.state.failures;
  const waitMs = step.kind === 'wait' ? Math.round(step.waitMs) : 0;
  session.logger.warn({ err: error, failure, waitMs, code: 'ROCKETMQ_PULL_FAILED' }, 'pull failed');
  return step;
}

function stopPulling(session: QueueSession, error: unknown, why: 'refused' | 'unreadable'): void {
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

/** What the broker's filter, or ours, left out lies between the offsets. A poll that brings nothing counts 0. */
function countPolled(session: QueueSession, result: PullResult): void {
  if (result.status === 'OFFSET_MOVED') return;
  const { messages, undecodable } = result.status === 'FOUND' ? result : NOTHING;
  const brought = messages.length + undecodable.length;
  const passed = Number(result.nextBeginOffset - session.messages.nextOffset);
  session.notePolled(messages, undecodable.length);
  if (passed > brought) session.count('FilteredOutEventCount', passed - brought);
}

const NOTHING = { messages: [], undecodable: [] } as const;

function isFull({ memory, messages, options, deps }: QueueSession): boolean {
  return (
    flowControl(messages, options.flowLimits) !== undefined || !memory.mayFetch(deps.clock.now())
  );
}

/** What is delivered alone, because it may have killed its holders, is pulled alone as well. */
function pullsSingly({ crash, messages, offsets }: QueueSession, unreadable: number): boolean {
  return (
    unreadable > 0 || offsets.resetPending || isolation(crash, messages.nextOffset) !== 'batch'
  );
}

/** What the answer takes in memory. */
function sizeOf(result: PullResult): { bytes: number; count: number } {
  if (result.status !== 'FOUND') return { bytes: 0, count: 0 };
  const { messages, undecodable, size } = result;
  const count = messages.length + undecodable.length;
  return { bytes: count === 0 ? 0 : answerCost(size, messages, undecodable.length), count };
}

async function take(session: QueueSession, result: PullResult, bytes: number): Promise<void> {
  const { messages } = session;
  session.maxOffset = result.maxOffset;
  countPolled(session, result);
  switch (result.status) {
    case 'FOUND':
      messages.put(
        result.messages,
        result.undecodable,
        result.nextBeginOffset,
        session.deps.clock.now(),
        bytes,
      );
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
      if (result.overlapping.length > 0)
        session.logger.error(
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
      if (messages.nextOffset >= result.maxOffset) session.noteEmptyPoll();
      break;
    case 'OFFSET_MOVED':
      session.logger.warn(
        {
          from: String(messages.nextOffset),
          to: String(result.nextBeginOffset),
        },
        'the offset was reset by an operator',
      );
      await adoptOffset(session, result.nextBeginOffset, result.reset);
      break;
  }
  session.wakeup.all();
}
