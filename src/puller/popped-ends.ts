import { redeliveryDelayMs } from '../decide/pop/invisible-time.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { backoff } from '../decide/retry/backoff.ts';
import { localDelayMs } from '../decide/retry/redelivery.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import type { Again } from '../decide/settle/message-end.ts';
import { inWindow } from '../flow/in-window.ts';
import type { Message } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { PopHandle } from '../model/pop.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { EndCarrier } from './end-carrier.ts';
import { failuresBefore } from './failures-before.ts';
import type { HeldLease } from './held-lease.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { QueueCounts } from './queue-counts.ts';

const TRIES = 4;
const TRY_BACKOFF = { firstMs: 200, longestMs: 2_000 };
/** Messages that a puller returns unhandled are given to others after this. */
const RETURN_MS = 1_000;
/** Acknowledgements in parallel. */
const ACK_WINDOW = 16;

interface PoppedParts extends Pick<PullerDeps, 'client' | 'clock' | 'random'> {
  readonly logger: Logger;
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly messages: ProcessQueue;
  readonly popped: Pick<PoppedMessages, 'isOurs' | 'isRevivable' | 'finish' | 'forget'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'ending' | 'signal'>;
  readonly counts: QueueCounts;
  /** The end of a message that the broker cannot bring back, now, and also without the lease. */
  readonly endUnrevivable: (entry: QueueEntry) => Promise<void>;
}

/** Ends of messages that were popped: each is acknowledged, or becomes visible again. The broker counts failures. */
export function poppedEnds(parts: PoppedParts): EndCarrier {
  const { messages, popped, lifecycle, counts, clock, source } = parts;
  const postpone = async (
    entry: QueueEntry,
    notBefore: number,
    counted: boolean,
  ): Promise<void> => {
    // A puller on its way out does not wait for it: the message comes again, to whoever pops then.
    if (lifecycle.ending === undefined) messages.giveBack(entry, notBefore, counted);
    else {
      await giveBack(parts, entry, RETURN_MS);
      messages.settle(entry);
    }
  };
  /** @param failures with this one */
  const retry = async (
    entry: QueueEntry,
    redelivery: Again,
    failures: number,
    delayMs: number,
  ): Promise<void> => {
    if (!popped.isRevivable(entry)) {
      const waitMs = localDelayMs(redelivery, failures, MIN_LOCAL_RETRY_MS);
      return postpone(entry, clock.now() + waitMs, true);
    }
    await makeVisible(parts, entry, delayMs);
    if (messages.settle(entry)) counts.retried();
  };
  return {
    owns(entry) {
      if (popped.isOurs(entry)) return messages.expects(entry);
      popped.forget(entry);
      messages.settle(entry);
      return false;
    },
    async finish(entries) {
      let settled = 0;
      await inWindow(
        entries,
        async (entry) => {
          await acknowledge(parts, entry);
          if (messages.settle(entry)) settled++;
        },
        ACK_WINDOW,
      );
      return settled;
    },
    redeliver({ entry, message }, redelivery) {
      const failures = failuresBefore(message, source, entry.localRetries) + 1;
      return retry(entry, redelivery, failures, invisibleFor(redelivery, message));
    },
    redeliverUnhandled: (entry, _content, { failures }) =>
      retry(entry, { kind: 'auto' }, failures + 1, redeliveryDelayMs(0, failures)),
    postpone,
    abandon(entry) {
      // Nobody else would get it: it has its end when the queue is closed.
      if (!popped.isRevivable(entry)) return;
      popped.forget(entry);
      messages.settle(entry);
    },
    close: () => returnAll(parts),
  };
}

/** Without the acknowledgement the message would only come again: so nothing else follows from a failure. */
async function acknowledge(parts: PoppedParts, entry: QueueEntry): Promise<void> {
  const { client, source, queue, lifecycle, popped } = parts;
  // The broker would try to bring the record back without end, and nobody else gets it.
  const options = popped.isRevivable(entry) ? { signal: lifecycle.signal('requests') } : {};
  await tell(parts, entry, 'acknowledged', (handle) =>
    client.ack(source.consumerGroup, queue.topic, handle, options),
  );
}

/** How long a failed message stays invisible. */
function invisibleFor(redelivery: Again, { reconsumeTimes }: Message): number {
  if (redelivery.kind === 'seconds') return redelivery.seconds * 1000;
  return redeliveryDelayMs(redelivery.kind === 'level' ? redelivery.level : 0, reconsumeTimes);
}

/**
 * Gives back what no handler got. The broker counts it as a failure all the same: it knows no other way.
 * What it cannot bring back has its end here, also without the lease, and when its handler gave no verdict.
 */
async function returnAll(parts: PoppedParts): Promise<void> {
  const { messages, popped, lifecycle } = parts;
  const left: Promise<void>[] = [];
  for (const entry of [...messages.unfinished()]) {
    const isReady = entry.state === 'ready';
    if (popped.isRevivable(entry) && (!isReady || lifecycle.isLost)) continue;
    if (isReady) messages.take(entry);
    left.push(giveBack(parts, entry, RETURN_MS));
  }
  await Promise.all(left);
}

/** The message is not this puller's any more: it comes again, or has its end when its broker cannot bring it back. */
async function giveBack(parts: PoppedParts, entry: QueueEntry, afterMs: number): Promise<void> {
  if (parts.popped.isRevivable(entry)) await makeVisible(parts, entry, afterMs);
  else await parts.endUnrevivable(entry);
}

/** The message comes again, counted by the broker, after the delay. Mirrors ConsumeMessagePopConcurrentlyService.changePopInvisibleTime. */
async function makeVisible(parts: PoppedParts, entry: QueueEntry, afterMs: number): Promise<void> {
  const { client, source, queue, lifecycle } = parts;
  await tell(parts, entry, 'given back', (handle) =>
    client.changeInvisibleTime(source.consumerGroup, queue.topic, handle, afterMs, {
      signal: lifecycle.signal('requests'),
    }),
  );
}

/** With a little patience; in the end the message comes again when its time is over. */
async function tell(
  { clock, random, logger, lifecycle, lease, popped }: PoppedParts,
  entry: QueueEntry,
  what: string,
  call: (handle: PopHandle) => Promise<unknown>,
): Promise<void> {
  const isOurs = !popped.isRevivable(entry);
  for (let attempt = 1; isOurs || lease.mayAct(); attempt++) {
    try {
      if (await popped.finish(entry, call)) return;
      logger.warn(
        { attempt },
        `a popped message could not be ${what} in its time: the broker gives it to somebody again`,
      );
      break;
    } catch (error) {
      if (lifecycle.isLost && !isOurs) break;
      logger.warn({ err: error, attempt }, `a popped message could not be ${what}`);
      if (attempt === TRIES) break;
      await clock.sleep(backoff(attempt, random(), TRY_BACKOFF));
    }
  }
  popped.forget(entry);
}
