import { maxRunMs } from '../decide/budget/handler-run-time.ts';
import { sourceDigest } from '../decide/dispatch/source-digest.ts';
import { isLive, leaseUntil } from '../decide/lease/lease.ts';
import type { Assignment, Lease } from '../model/assignment.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseAnswer } from '../ports/assignment-store.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';

const ACQUIRE_POLL_MS = 300;
/** After so many acquisitions without an answer the table is unavailable. The SDK has repeated each of them. */
const ACQUIRE_REPEATS = 1;
/** A successor's wish is repeated while it waits and ends soon after it stopped. */
const WISH_MS = 5_000;

/**
 * Takes the lease of a queue. When somebody else holds it, announces itself as successor and waits a while: the holder sees the wish at its next
 * renewal, drains and releases.
 */
export async function acquireLease(
  deps: PullerDeps,
  options: PullerOptions,
  source: SourceConfig,
  slot: number,
  queue: MessageQueue,
  handlerTimeoutMs: number | undefined = orderedTimeoutMs(source),
): Promise<LeaseAnswer> {
  const { store, clock, holder } = deps;
  const settings = sourceDigest(source);
  const key = { cluster: source.cluster, consumerGroup: source.consumerGroup, queue, slot, holder };
  const giveUpAt =
    clock.now() + Math.min(options.successionWaitMs, deps.remainingMs() - options.reserveMs);
  const unanswered = new Set<number>();
  for (let wishUntil = 0; ; ) {
    const now = clock.now();
    const endsAt = now + deps.remainingMs();
    const answer = await store
      .acquire({
        ...key,
        now,
        leaseUntil: leaseUntil(now, endsAt),
        endsAt,
        settings,
        ...(handlerTimeoutMs === undefined ? {} : { handlerTimeoutMs }),
      })
      .catch((error: unknown) => {
        unanswered.add(now);
        if (unanswered.size > ACQUIRE_REPEATS || now >= giveUpAt) throw error;
        deps.logger.warn(
          { err: error, queue: queueKey(queue), code: 'ROCKETMQ_TABLE_UNAVAILABLE' },
          'acquisition of the lease not answered, trying again',
        );
        return undefined;
      });
    if (answer === undefined) {
      await clock.sleep(ACQUIRE_POLL_MS);
      continue;
    }
    if (!answer.applied && isOwnAcquisition(answer.current, holder, unanswered))
      return { applied: true, assignment: answer.current };
    if (
      answer.applied ||
      !(answer.reason === 'held' || answer.reason === 'successor-waits') ||
      now >= giveUpAt ||
      deps.signal?.aborted === true
    )
      return answer;
    if (wishUntil - now < WISH_MS / 2 && isLive(answer.current?.lease, now)) {
      wishUntil = now + WISH_MS;
      const wish = await store.announceSuccessor({ ...key, until: wishUntil, now });
      // Somebody else waits already: two would only take turns.
      if (!wish.applied && wish.reason === 'successor-waits') return wish;
    }
    await clock.sleep(ACQUIRE_POLL_MS);
  }
}

/**
 * How long functions that a dead holder called may run, ms: what comes behind in an order must not
 * overtake them. undefined: the source keeps no order, or its handlers died with their puller.
 */
function orderedTimeoutMs({ subscriptions }: SourceConfig): number | undefined {
  const timeouts = subscriptions.flatMap(({ order, handler }) =>
    order !== undefined && handler.invocation === 'function' ? [maxRunMs(handler)] : [],
  );
  return timeouts.length === 0 ? undefined : Math.max(...timeouts);
}

/**
 * An acquisition of this call was applied after all. It would stand until its end and count as a death. Told by its time:
 * the same request id alone may also be another attempt of the same invocation.
 */
function isOwnAcquisition(
  item: Assignment | undefined,
  holder: string,
  unanswered: ReadonlySet<number>,
): item is Assignment {
  return item?.lease?.holder === holder && unanswered.has(item.lease.acquiredAt);
}

/** Gives back a queue whose work could not begin. What the item knows stays as it is: nothing was learned. */
export async function returnLease(
  { store, clock }: PullerDeps,
  assignment: Assignment,
  { holder, fence }: Lease,
): Promise<void> {
  const { cluster, consumerGroup, queue } = assignment;
  const { crash, attempts, batchLimits, handlersRunUntil } = assignment;
  await store.release({
    cluster,
    consumerGroup,
    queue,
    holder,
    fence,
    heldUntil: clock.now(),
    ...(crash && { crash }),
    ...(attempts && { attempts }),
    ...(batchLimits && { batchLimits }),
    ...(handlersRunUntil !== undefined && { handlersRunUntil }),
  });
}
