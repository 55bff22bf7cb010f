import { followStoredOffset } from './commit-offset.ts';
import { reviewAssignment } from './hold-lease.ts';
import type { QueueSession } from './queue-session.ts';
import type { Batch } from './work.ts';

/** What is known of the assignment and of the stored offset may be this old when a batch that waited is delivered. */
const MAX_AGE_MS = 500;

/**
 * May a batch still be delivered that waited: for its window, a back-off, its suspension, or its turn
 * under `maximumConcurrency`? While it waited, an operator may have paused, reset, skipped or moved
 * the queue, which renewals and pulls report later. So both are read again first: one request to the
 * table and one to the broker for each wait of half a second and more.
 * @param since when the wait began, epoch ms
 */
export async function confirmDelivery(
  session: QueueSession,
  { deliveries }: Pick<Batch, 'deliveries'>,
  since: number,
): Promise<boolean> {
  const now = session.deps.clock.now();
  if (now - Math.max(since, session.reviewedAt) >= MAX_AGE_MS && session.mayAct()) {
    session.reviewedAt = now;
    const [ours] = await Promise.all([
      reviewAssignment(session),
      session.popped === undefined ? followStoredOffset(session) : undefined,
    ]);
    if (!ours) return false;
  }
  return deliveries.every(({ entry }) => session.messages.expects(entry));
}

/** Since when the messages of a batch wait for more than their turn, epoch ms; undefined: they do not. */
export function waitsSince({ deliveries, subscription }: Batch): number | undefined {
  const waited = deliveries.filter(
    ({ entry }) => subscription.maximumBatchingWindow !== undefined || entry.notBefore > 0,
  );
  return waited.length === 0 ? undefined : Math.min(...waited.map(({ entry }) => entry.since));
}
