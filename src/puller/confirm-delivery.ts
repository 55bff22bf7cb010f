import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Commits } from './commit-offset.ts';
import type { HeldLease } from './held-lease.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { Batch } from './work.ts';

/** What is known of the assignment and of the stored offset may be this old when a batch that waited is delivered. */
const MAX_AGE_MS = 500;

interface ReviewParts {
  readonly clock: Clock;
  readonly messages: Pick<ProcessQueue, 'expects'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'review'>;
  readonly commits: Pick<Commits, 'followStored'>;
}

/**
 * May a batch still be delivered that waited: for its window, a back-off, its suspension, or its turn
 * under `maximumConcurrency`? While it waited, an operator may have paused, reset, skipped or moved
 * the queue, which renewals and pulls report later. So both are read again first: one request to the
 * table and one to the broker for each wait of half a second and more.
 */
export class QueueReview {
  readonly #parts: ReviewParts;
  /** When the item and the stored offset were both read again last, epoch ms. */
  #reviewedAt: number;

  constructor(parts: ReviewParts) {
    this.#parts = parts;
    this.#reviewedAt = parts.clock.now();
  }

  /** @param since when the wait began, epoch ms */
  async confirm({ deliveries }: Pick<Batch, 'deliveries'>, since: number): Promise<boolean> {
    const { clock, messages, lease, leaseKeeper, commits } = this.#parts;
    const now = clock.now();
    if (now - Math.max(since, this.#reviewedAt) >= MAX_AGE_MS && lease.mayAct()) {
      this.#reviewedAt = now;
      const [ours] = await Promise.all([leaseKeeper.review(), commits.followStored()]);
      if (!ours) return false;
    }
    return deliveries.every(({ entry }) => messages.expects(entry));
  }
}

/** Since when the messages of a batch wait for more than their turn, epoch ms; undefined: they do not. */
export function waitsSince({
  deliveries,
  subscription,
  filledSince,
}: Pick<Batch, 'deliveries' | 'subscription' | 'filledSince'>): number | undefined {
  const waited = deliveries.filter(
    ({ entry }) => subscription.maximumBatchingWindow !== undefined || entry.notBefore > 0,
  );
  return waited.length === 0 ? filledSince : Math.min(...waited.map(({ entry }) => entry.since));
}
