import { suspendTime } from '../decide/budget/time-budget.ts';
import { isolation } from '../decide/crash/crash-record.ts';
import { advanceMark } from '../decide/offset/queue-life.ts';
import { flowControl } from '../decide/pull/flow-control.ts';
import { answerCost, fewer } from '../decide/pull/memory-budget.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import {
  BrokerError,
  ConnectionError,
  LimitExceededError,
  ProtocolError,
  TopicNotFoundError,
} from '../errors.ts';
import { MASTER_ID } from '../model/route.ts';
import type { Subscription } from '../model/subscription.ts';
import type { PullResult } from '../ports/rocketmq.ts';
import { buildSubscription } from '../records/subscription.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import { checkLife, followMovedOffset, LIFE_CHECK_AFTER_MS } from './check-life.ts';
import { adoptOffset, followReset } from './commit-offset.ts';
import { isFinalRefusal, type QueueSession } from './queue-session.ts';

/** Java's pullBatchSize. Brokers give at most 32 messages from memory, 8 from disk, unless they are told otherwise. */
const PULL_BATCH_SIZE = 32;
/** Flow control: look again after this, if nothing was settled before. */
const FULL_WAIT_MS = 50;
/** Short polls near the end of an invocation. */
const SHORT_POLL_WAIT_MS = 300;
/** pullTimeDelayMillsWhenException of ClientConfig, growing when it goes on. */
const ERROR_BACKOFF = { firstMs: 1_000, longestMs: 10_000 };
const FLOW_CONTROL_WAIT_MS = 20;
/** So often the master has to say that an offset is not in the queue, while its own figures say that it is. */
const TRUSTED_AFTER = 3;
/** So long no suggestion of a slave is followed after one failed. Slaves learn of topics and groups about once a minute. */
const MASTER_AFTER_SLAVE_ERROR_MS = 60_000;
/** How often an answer that cannot be read is asked for again, single messages then. */
const UNREADABLE_TRIES = 3;

/** Keeps the process queue filled until the session ends: pull, take what came, go on where the broker says. Mirrors DefaultMQPushConsumerImpl.pullMessage. */
export async function pullMessages(session: QueueSession): Promise<void> {
  const { deps, memory, messages, options, queue, source, wakeup } = session;
  const subscription = subscriptionFor(session);
  const { longPolling, pullBatchSize = PULL_BATCH_SIZE } =
    session.subscriptionOf(queue.topic) ?? {};
  const longPollMs = longPolling === undefined ? options.maxSuspendMs : longPolling * 1000;
  let brokerId = MASTER_ID;
  let masterUntil = 0;
  let unreadable = 0;
  let answeredAt = deps.clock.now();
  let lifeUnchecked = false;
  let contradictions = 0;
  let maxMessages = pullBatchSize;
  while (session.ending === undefined) {
    // A reset that waits for a pull does not wait for the messages that it will drop.
    if (!session.offsets.resetPending && isFull(session)) {
      hastenRefused(session);
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const workMs = session.fetchMs();
    if (workMs === undefined) return;
    const { generation, nextOffset: offset } = messages;
    const signal = session.lifecycle.signal('pull');
    const { resetPending } = session.offsets;
    const suspendMs = resetPending ? 0 : suspendTime(workMs, longPollMs);
    try {
      const result = await deps.client.pull(
        {
          consumerGroup: source.consumerGroup,
          queue,
          offset,
          subscription,
          // An answer that cannot be read is asked for again message by message, so that the good ones before the bad one get through.
          maxMessages: pullsSingly(session, unreadable) ? 1 : maxMessages,
          suspendMs,
          keepCompressed: true,
          // Only the master knows of resets.
          brokerId: resetPending ? MASTER_ID : brokerId,
        },
        { signal },
      );
      session.pullFailures = 0;
      unreadable = 0;
      const now = deps.clock.now();
      const fromMaster = brokerId === MASTER_ID;
      brokerId = now < masterUntil ? MASTER_ID : result.suggestWhichBrokerId;
      lifeUnchecked ||= now - answeredAt >= LIFE_CHECK_AFTER_MS;
      answeredAt = now;
      // It answers a pull from before the offset was dictated anew.
      if (messages.generation !== generation) continue;
      if (result.status === 'OFFSET_MOVED' && !(result.reset && fromMaster)) {
        const trusted = fromMaster && ++contradictions >= TRUSTED_AFTER;
        const answer = { asked: offset, trusted, signal };
        if (await followMovedOffset(session, result, answer)) {
          contradictions = 0;
          continue;
        }
        brokerId = MASTER_ID;
        masterUntil = deps.clock.now() + MASTER_AFTER_SLAVE_ERROR_MS;
        if (fromMaster) await wakeup.wait(SHORT_POLL_WAIT_MS);
        continue;
      }
      contradictions = 0;
      // Until the reset is known, nothing may be delivered: what came is pulled again.
      if (resetPending && result.status !== 'OFFSET_MOVED') {
        await followReset(session);
        if (session.offsets.resetPending) await wakeup.wait(SHORT_POLL_WAIT_MS);
        continue;
      }
      const { bytes, count } = sizeOf(result);
      if (!memory.admit(bytes, count, now)) {
        maxMessages = fewer(count);
        continue;
      }
      maxMessages = pullBatchSize;
      await take(session, result, bytes);
      if (lifeUnchecked) {
        await checkLife(session, signal);
        lifeUnchecked = false;
      }
      if (result.status === 'FOUND' && messages.generation === generation)
        session.lifeMark = advanceMark(session.lifeMark, result.messages);
      // A slave that lags behind its lost master says so for an offset that it does not have yet.
      const lags = result.status === 'NO_MATCHED_MSG' && result.nextBeginOffset <= offset;
      if (lags || (result.status === 'NO_NEW_MSG' && suspendMs === 0))
        await wakeup.wait(SHORT_POLL_WAIT_MS);
    } catch (error) {
      if (signal.aborted) continue;
      // What a slave refuses, or does not know of yet, its master may give.
      const fromSlave = brokerId !== MASTER_ID;
      if (fromSlave) masterUntil = deps.clock.now() + MASTER_AFTER_SLAVE_ERROR_MS;
      else if (isFinalRefusal(error) || error instanceof TopicNotFoundError) {
        session.count('PollingErrorCount');
        session.logger.error({ err: error }, 'the broker refuses to give messages of the queue');
        return session.end('refused');
      }
      const isUnreadable = error instanceof ProtocolError || error instanceof LimitExceededError;
      if (isUnreadable && ++unreadable > UNREADABLE_TRIES) {
        session.logger.error(
          { err: error, code: error.code, offset: String(messages.nextOffset) },
          'the broker sends a record that cannot be stepped over: move the offset of the group behind it (mqadmin resetOffsetByTime, or skip)',
        );
        return session.end('refused');
      }
      if (error instanceof ConnectionError) session.offsets.connectionLost();
      brokerId = MASTER_ID;
      memory.withdraw();
      session.pullFailures++;
      session.count('PollingErrorCount');
      const flowControlled =
        error instanceof BrokerError && error.responseCode === ResponseCode.FLOW_CONTROL;
      const waitMs = flowControlled
        ? FLOW_CONTROL_WAIT_MS
        : backoff(session.pullFailures, deps.random(), ERROR_BACKOFF);
      session.logger.warn({ err: error, waitMs: Math.round(waitMs) }, 'a pull failed');
      await session.pause(waitMs);
    }
  }
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
