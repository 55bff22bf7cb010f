import { redeliveryDelayMs } from '../decide/pop/invisible-time.ts';
import { backoff } from '../decide/retry/backoff.ts';
import type { Redelivery } from '../decide/retry/redelivery.ts';
import type { Message } from '../model/message.ts';
import type { PopHandle } from '../model/pop.ts';
import { loggedContent } from '../records/dead-letter-form.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { QueueSession } from './queue-session.ts';
import { DLQ } from './send-back.ts';
import type { Delivery } from './work.ts';

const TRIES = 4;
const TRY_BACKOFF = { firstMs: 200, longestMs: 2_000 };
/** Messages that a puller returns unhandled are given to others after this. */
const RETURN_MS = 1_000;

/** The message is done. Without the acknowledgement it would only come again: so nothing else follows from a failure. */
export async function acknowledge(
  session: QueueSession,
  popped: PoppedMessages,
  { entry }: Pick<Delivery, 'entry'>,
): Promise<void> {
  const { deps, source, queue } = session;
  await tell(session, popped, entry, 'acknowledged', (handle) =>
    deps.client.ack(source.consumerGroup, queue.topic, handle, {
      signal: session.lifecycle.signal('requests'),
    }),
  );
}

/** The message failed: it comes again, counted by the broker, after the delay. Mirrors ConsumeMessagePopConcurrentlyService.changePopInvisibleTime. */
export async function redeliverLater(
  session: QueueSession,
  popped: PoppedMessages,
  { entry }: Delivery,
  delayMs: number,
): Promise<void> {
  await makeVisible(session, popped, entry, delayMs);
}

/** In POP mode: how long a failed message stays invisible. */
export function invisibleFor(
  redelivery: Extract<Redelivery, { kind: 'auto' | 'level' | 'seconds' }>,
  { reconsumeTimes }: Message,
): number {
  if (redelivery.kind === 'seconds') return redelivery.seconds * 1000;
  return redeliveryDelayMs(redelivery.kind === 'level' ? redelivery.level : 0, reconsumeTimes);
}

/** Gives back what no handler got, once nothing is delivered any more. The broker counts it as a failure all the same: it knows no other way. */
export async function returnPopped(session: QueueSession, popped: PoppedMessages): Promise<void> {
  const { messages } = session;
  const left: Promise<void>[] = [];
  for (
    let entry = messages.peek(Number.POSITIVE_INFINITY);
    entry !== undefined;
    entry = messages.peek(Number.POSITIVE_INFINITY)
  ) {
    messages.take(entry);
    left.push(makeVisible(session, popped, entry, RETURN_MS));
  }
  await Promise.all(left);
}

/** Gives one taken message back to the broker. */
export async function returnToBroker(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
): Promise<void> {
  await makeVisible(session, popped, entry, RETURN_MS);
  session.messages.settle(entry);
}

async function makeVisible(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
  afterMs: number,
): Promise<void> {
  const { deps, source, queue } = session;
  if (!popped.isRevivable(entry)) return endUnrevivable(session, popped, entry);
  await tell(session, popped, entry, 'given back', (handle) =>
    deps.client.changeInvisibleTime(source.consumerGroup, queue.topic, handle, afterMs, {
      signal: session.lifecycle.signal('requests'),
    }),
  );
}

/**
 * The end of a message that its broker cannot bring back, when this puller has no time for it any
 * more: a copy in the pop retry topic, else a dead letter, else the log.
 */
async function endUnrevivable(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
): Promise<void> {
  const { deps, source, logger, lifecycle } = session;
  const { message } = entry;
  if (message !== undefined) {
    const options = { signal: lifecycle.signal('requests') };
    const copy = () => deps.client.copyToPopRetry(source.consumerGroup, message, options);
    const bury = () =>
      deps.client.sendBackAsNormalMessage(source.consumerGroup, message, DLQ, 0, options);
    const refusals: unknown[] = [];
    for (const send of [copy, bury]) {
      if (!session.mayAct()) return popped.forget(entry);
      try {
        await send();
        break;
      } catch (error) {
        refusals.push(error);
      }
    }
    if (lifecycle.isLost) return popped.forget(entry);
    if (refusals.length === 1) session.noteSentBack('dead-lettered');
    if (refusals.length === 2) {
      session.count('DiscardedEventCount');
      logger.error(
        {
          err: refusals[1],
          code: 'ROCKETMQ_MESSAGE_DISCARDED',
          offset: String(message.queueOffset),
          ...loggedContent(message.body, message.properties),
        },
        'message of an inner batch discarded, no retry topic and no dead-letter queue takes it, this line has its content',
      );
    }
  }
  await acknowledge(session, popped, { entry });
}

/** With a little patience; in the end the message comes again when its time is over. */
async function tell(
  session: QueueSession,
  popped: PoppedMessages,
  entry: Delivery['entry'],
  what: string,
  call: (handle: PopHandle) => Promise<unknown>,
): Promise<void> {
  const { deps, logger, lifecycle } = session;
  for (let attempt = 1; session.mayAct(); attempt++) {
    if (!popped.isOurs(entry)) {
      logger.warn(
        { attempt },
        `a popped message could not be ${what} in its time: the broker gives it to somebody again`,
      );
      break;
    }
    try {
      await popped.finish(entry, call);
      break;
    } catch (error) {
      if (lifecycle.isLost) break;
      logger.warn({ err: error, attempt }, `a popped message could not be ${what}`);
      if (attempt === TRIES) break;
      await deps.clock.sleep(backoff(attempt, deps.random(), TRY_BACKOFF));
    }
  }
  popped.forget(entry);
}
