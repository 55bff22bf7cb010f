import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { localDelayMs } from '../decide/retry/redelivery.ts';
import { MAX_UNANSWERED, MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import type { UndecodableRecord } from '../model/message.ts';
import type { Commits } from './commit-offset.ts';
import { giveBackFailed, type LocalAttempts } from './counted-attempts.ts';
import type { EndCarrier } from './end-carrier.ts';
import type { FailedSends } from './failed-sends.ts';
import { failuresBefore } from './failures-before.ts';
import type { QueueCounts } from './queue-counts.ts';
import { redeliver, type SendOutcome, type SendParts, sendBack } from './send-back.ts';

interface PulledParts extends SendParts {
  readonly messages: ProcessQueue;
  readonly attempts: LocalAttempts;
  readonly failedSends: FailedSends;
  readonly commits: Pick<Commits, 'commitFinally'>;
  readonly counts: QueueCounts;
}

/** Ends of messages that were pulled. What the broker does not take back is delivered again here, up to its limit. */
export function pulledEnds(parts: PulledParts): EndCarrier {
  const { messages, failedSends, commits, counts, source } = parts;
  const abandon = (entry: QueueEntry): void => void messages.giveBack(entry, 0, false);
  const settleSend = (entry: QueueEntry, outcome: SendOutcome, delayMs: () => number): void => {
    switch (outcome.kind) {
      case 'lease-lost':
        abandon(entry);
        return;
      case 'taken':
        if (messages.settle(entry)) counts.retried();
        return;
      case 'not-taken':
        failedSends.note(entry, outcome.failure, outcome.unanswered);
        retryHere(parts, entry, outcome.failure, delayMs());
    }
  };
  return {
    owns: (entry) => messages.expects(entry),
    async finish(entries) {
      let settled = 0;
      for (const entry of entries) if (messages.settle(entry)) settled++;
      return settled;
    },
    async redeliver({ entry, message }, redelivery, maxReconsumeTimes) {
      // Pulled before the queue went on at another offset: it comes again, or never was to come.
      if (!messages.expects(entry)) return;
      const { localRetries } = entry;
      const inDoubt = failedSends.isInDoubt(entry);
      const failed = { message, localRetries, inDoubt, maxReconsumeTimes };
      const outcome = await redeliver(parts, failed, redelivery);
      const failures = failuresBefore(message, source, localRetries) + 1;
      settleSend(entry, outcome, () => localDelayMs(redelivery, failures, MIN_LOCAL_RETRY_MS));
    },
    async redeliverUnhandled(entry, content, { failures, maxFailures }) {
      const outcome = await sendBack(
        parts,
        content.message ?? (content.undecodable as UndecodableRecord),
        'broker-decides',
        maxFailures,
        content.localRetries,
        failedSends.isInDoubt(entry) ? 1 : MAX_UNANSWERED,
      );
      settleSend(entry, outcome, () =>
        localDelayMs({ kind: 'auto' }, failures + 1, MIN_LOCAL_RETRY_MS),
      );
    },
    async postpone(entry, notBefore, counted) {
      giveBackFailed(parts, entry, notBefore, counted);
    },
    abandon,
    async close() {
      // The commit may outlast the invocation.
      counts.repeated(messages.doneAhead);
      await commits.commitFinally();
    },
  };
}

function retryHere(
  parts: Pick<PulledParts, 'messages' | 'attempts' | 'counts' | 'logger' | 'clock'>,
  entry: QueueEntry,
  failure: string,
  waitMs: number,
): void {
  parts.counts.count('SendBackErrorCount');
  parts.logger.error(
    { code: 'ROCKETMQ_SEND_BACK_FAILED', offset: String(entry.offset), failure, waitMs },
    'failed message not taken back by the broker, it is delivered again by this puller and counts as failed',
  );
  giveBackFailed(parts, entry, parts.clock.now() + waitMs);
}
