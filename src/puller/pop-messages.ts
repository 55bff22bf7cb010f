import { suspendTime } from '../decide/budget/time-budget.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { ConnectionError, TopicNotFoundError } from '../errors.ts';
import type { PopResult } from '../ports/rocketmq.ts';
import { isFinalRefusal } from '../queue/pull-failure.ts';
import { buildSubscription } from '../records/subscription.ts';
import { createPoppedCopier } from './copy-popped.ts';
import { memoryOf, type PoppedMessages } from './popped-messages.ts';
import type { QueueSession } from './queue-session.ts';

const MAX_MESSAGES = 32;
/** A pop under way is never given up: its messages would be invisible to everybody for their time. So a queue that drains waits for it. */
const POLL_MS = 5_000;
const FULL_WAIT_MS = 500;
const SHORT_POLL_WAIT_MS = 300;
/** Before the first message has come: the largest that a stock broker takes. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const ERROR_BACKOFF = { firstMs: 1_000, longestMs: 10_000 };

/** Pops what the deliverers can take, until the session ends. Mirrors DefaultMQPushConsumerImpl.popMessage. */
export async function popMessages(
  session: QueueSession,
  popped: PoppedMessages,
  capacity: number,
): Promise<void> {
  const { deps, memory, messages, options, queue, source, wakeup } = session;
  const { filter, startingPosition } = session.subscriptionOf(queue.topic) ?? {};
  const subscription = buildSubscription(
    queue.topic,
    filter?.expression,
    filter?.type,
    deps.clock.now(),
  );
  // What the largest of the last messages took.
  let messageBytes = MAX_MESSAGE_BYTES;
  const copyUnrevivable = createPoppedCopier(session);
  while (session.ending === undefined) {
    const room = Math.min(
      MAX_MESSAGES,
      capacity - messages.count,
      memory.countOf(messageBytes, deps.clock.now()),
    );
    if (room <= 0) {
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const workMs = session.fetchMs();
    if (workMs === undefined) return;
    const pollMs = suspendTime(workMs, Math.min(options.maxSuspendMs, POLL_MS));
    const sentAt = deps.clock.now();
    try {
      const result = await deps.client.pop(
        {
          consumerGroup: source.consumerGroup,
          topic: queue.topic,
          brokerName: queue.brokerName,
          subscription,
          maxMessages: room,
          invisibleMs: options.popInvisibleMs,
          pollMs,
          start: startingPosition === 'LATEST' ? 'max' : 'min',
          keepCompressed: true,
        },
        { signal: session.lifecycle.signal('requests') },
      );
      session.pullFailures = 0;
      if (result.messages.length > 0)
        messageBytes = Math.max(messageBytes / 2, ...result.messages.map(memoryOf));
      else memory.withdraw();
      if (!session.mayAct()) return;
      const messages = await copyUnrevivable(result.messages);
      await take(session, popped, { ...result, messages }, sentAt);
      if (result.full || (pollMs === 0 && result.messages.length === 0))
        await wakeup.wait(SHORT_POLL_WAIT_MS);
    } catch (error) {
      if (session.lifecycle.isLost) return;
      if (isFinalRefusal(error) || error instanceof TopicNotFoundError) {
        session.logger.error({ err: error }, 'the broker refuses to give messages');
        return session.end('refused');
      }
      if (error instanceof ConnectionError) session.offsets.connectionLost();
      memory.withdraw();
      session.pullFailures++;
      session.count('PollingErrorCount');
      const waitMs = backoff(session.pullFailures, deps.random(), ERROR_BACKOFF);
      session.logger.warn({ err: error, waitMs: Math.round(waitMs) }, 'a pop failed');
      await session.pause(waitMs);
    }
  }
}

async function take(
  session: QueueSession,
  popped: PoppedMessages,
  result: PopResult,
  sentAt: number,
): Promise<void> {
  const { deps, queue, source, logger, lifecycle } = session;
  session.notePolled(
    result.messages.map(({ message }) => message),
    result.undecodable.length,
  );
  if (
    !result.full &&
    result.messages.length + result.undecodable.length + result.filteredOut.length === 0
  )
    session.noteEmptyPoll();
  if (result.filteredOut.length > 0)
    session.count('FilteredOutEventCount', result.filteredOut.length);
  popped.put([...result.messages, ...result.undecodable], sentAt);
  if (result.messages.length > 0) session.lastMessageAt = deps.clock.now();
  session.wakeup.all();
  // They were given only because tag hashes collide, and are nobody's.
  for (const handle of result.filteredOut)
    await deps.client
      .ack(source.consumerGroup, queue.topic, handle, { signal: lifecycle.signal('requests') })
      .catch((error: unknown) => {
        if (!lifecycle.isLost)
          logger.warn(
            { err: error },
            'a message that the filter does not want could not be acknowledged',
          );
      });
}
