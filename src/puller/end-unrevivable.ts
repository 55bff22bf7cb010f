import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { openMessage } from '../records/open-message.ts';
import { type DeadLetterParts, endForGood } from './dead-letter.ts';
import type { PullerDeps } from './puller-deps.ts';
import { waitAtMost } from './wait-at-most.ts';

/** What is left of the invocation for the log and the return when a broker does not answer. */
const RESERVE_MS = 3_000;

export type UnrevivableParts = DeadLetterParts & Pick<PullerDeps, 'remainingMs'>;

/**
 * The end of a message that its broker cannot bring back, when this puller has no time for it any
 * more or has lost its lease: nobody else ever gets it. A copy in the pop retry topic, unless it has
 * failed for good already; else the ladder of all messages that failed for good, each step once.
 */
export async function endUnrevivable(parts: UnrevivableParts, entry: QueueEntry): Promise<void> {
  const { clock, remainingMs } = parts;
  // Aborts what is under way, so that the log is reached in time.
  const over = new AbortController();
  const ended = endNow(parts, entry, over.signal);
  await waitAtMost(clock, remainingMs() - RESERVE_MS, ended);
  over.abort(new Error('the invocation ends'));
  await ended;
}

async function endNow(
  parts: UnrevivableParts,
  entry: QueueEntry,
  signal: AbortSignal,
): Promise<void> {
  const { carrier, client, counts, source, memory, pendingEnds, logger } = parts;
  const { message } = entry;
  const pending = pendingEnds.of(entry);
  if (message !== undefined && pending === undefined)
    try {
      const opened = openMessage(message, memory.maxMessageBytes);
      await client.copyToPopRetry(source.consumerGroup, opened, { signal });
      if ((await carrier.finish([entry])) > 0) counts.retried();
      return;
    } catch (error) {
      logger.warn(
        { err: error, code: 'ROCKETMQ_POP_COPY_REFUSED', offset: String(message.queueOffset) },
        'copy to the pop retry topic not taken, dead-lettering the message',
      );
    }
  const last: DeadLetterParts = {
    ...parts,
    isLastTry: true,
    lease: { mayAct: () => true },
    lifecycle: { isLost: false, signal: () => signal },
  };
  await endForGood(last, entry, pending?.condition ?? 'RetryAttemptsExhausted');
}
