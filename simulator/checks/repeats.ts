import { recreatesTopics, sharesGroup } from '../plan.ts';
import type { CheckDefinition } from './check.ts';

/** Commits are at most this old when nothing goes wrong. BROADCASTING writes them into the table, every 5 s. */
const COMMIT_AGE_MS = 1_500;
const BROADCAST_COMMIT_AGE_MS = 6_000;
/**
 * Beside, what a broker that is killed forgets: it writes offsets every 5 s. It counts where others commit too, so that
 * the table's figures do not, and where a puller may die before its renewal writes them.
 */
const FORGOTTEN_MS = 5_000;
/** How long a fault disturbs: requests that time out, leases that end, sandboxes that thaw. */
const DISTURBED_MS = 60_000;

export const repeats: CheckDefinition = {
  name: 'repeats',
  invariant:
    'A message that was handled is delivered again only when a fault hit between its end and its commit.',
  create: ({ plan, ledger, scheduler, faultTimes }) => {
    if (recreatesTopics(plan) || sharesGroup(plan)) return {};
    const killsBroker = plan.faults.some(
      (fault) => fault.kind === 'broker-restart' && fault.how === 'KILL',
    );
    const stopsPuller = plan.faults.some(
      ({ kind }) => kind === 'kill' || kind === 'kill-at-request' || kind === 'freeze',
    );
    const forgets = killsBroker && (plan.source.coexist === true || stopsPuller);
    const isPop = plan.source.mode === 'pop';
    const commitAgeMs =
      plan.source.messageModel === 'BROADCASTING' ? BROADCAST_COMMIT_AGE_MS : COMMIT_AGE_MS;
    const untilCommittedMs = commitAgeMs + (forgets ? FORGOTTEN_MS : 0);
    return {
      on(event) {
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position } of event.deliveries) {
          const done = isPop
            ? ledger.story(position.number).positions.find((one) => one.doneAt !== undefined)
            : position;
          if (done?.doneAt === undefined) continue;
          // Done ahead of an unfinished one, it comes again whenever its queue changes hands.
          const since = isPop ? done.doneAt : ledger.committableSince(position);
          if (since === undefined || !Number.isFinite(since)) continue;
          const from = since - DISTURBED_MS;
          const until = since + untilCommittedMs;
          if (faultTimes.some((at) => at >= from && at <= Math.min(until, scheduler.now))) continue;
          return `message ${position.number} at ${position.key} was handled ${scheduler.now - done.doneAt} ms ago and is delivered again without a fault`;
        }
        return undefined;
      },
    };
  },
};
