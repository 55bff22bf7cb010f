import { sourceDigest } from '../decide/dispatch/source-digest.ts';
import { isLive, leaseUntil } from '../decide/lease/lease.ts';
import type { Attempts } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseAnswer } from '../ports/assignment-store.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueSession } from './queue-session.ts';

const ACQUIRE_POLL_MS = 300;
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
): Promise<LeaseAnswer> {
  const { store, clock, holder } = deps;
  const settings = sourceDigest(source);
  const key = { cluster: source.cluster, consumerGroup: source.consumerGroup, queue, slot, holder };
  const giveUpAt =
    clock.now() + Math.min(options.successionWaitMs, deps.remainingMs() - options.reserveMs);
  for (let wishUntil = 0; ; ) {
    const now = clock.now();
    const endsAt = now + deps.remainingMs();
    const answer = await store.acquire({
      ...key,
      now,
      leaseUntil: leaseUntil(now, endsAt),
      endsAt,
      settings,
    });
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
 * Extends the lease, mirrors the figures, and obeys what the item says: moved, paused, retired, a successor waits.
 * False: the table could not be reached, and the item is as it was or as it should be.
 */
export async function renewLease(session: QueueSession): Promise<boolean> {
  const { deps, source, queue, lease } = session;
  const now = deps.clock.now();
  const until = leaseUntil(now, lease.endsAt);
  const { crash } = session;
  const counted = session.order ?? session.attempts;
  counted.unsaved = false;
  const progressed =
    crash !== undefined &&
    !stillWaits(session) &&
    !session.isolating &&
    session.knownOffset > crash.offset &&
    session.knownOffset >= crash.isolateUntil;
  const answer = await deps.store
    .renew({
      cluster: source.cluster,
      consumerGroup: source.consumerGroup,
      queue,
      holder: lease.holder,
      fence: lease.fence,
      leaseUntil: until,
      committedOffset: session.knownOffset,
      ...mirrorsOf(session),
      ...(progressed ? { crash: null } : crash === undefined ? {} : { crash }),
      attempts: attemptsOf(session) ?? null,
    })
    .catch((error: unknown) => {
      counted.unsaved = true;
      // The lease still stands until its end; the next attempt comes soon.
      session.logger.warn({ err: error }, 'could not renew the lease');
      return undefined;
    });
  if (answer === undefined) return false;
  if (!answer.applied) {
    session.loseLease(answer.reason, true);
    return true;
  }
  if (progressed && session.crash === crash) session.crash = undefined;
  session.lease = { ...lease, leaseUntil: until };
  obey(session, answer);
  return true;
}

function obey(
  session: QueueSession,
  { assignment }: Extract<LeaseAnswer, { applied: true }>,
): void {
  const now = session.deps.clock.now();
  const { successor, pausedUntil, retiredAt, slot } = assignment;
  if (retiredAt !== undefined) session.end('retired', 'the queue left the route: draining');
  else if (slot !== session.lease.slot)
    session.end('moved', 'the queue moved to another slot: draining', { slot });
  else if (pausedUntil !== undefined && pausedUntil > now)
    session.end('paused', 'the queue is paused: draining', { pausedUntil });
  else if (
    successor !== undefined &&
    successor.until > now &&
    successor.holder !== session.lease.holder
  )
    session.end('succession', 'a successor waits: draining', { successor: successor.holder });
}

/** Gives the lease back with the final figures. A message that was delivered alone keeps its record while there is still reason to. */
export async function releaseLease(session: QueueSession): Promise<void> {
  const { deps, source, queue, lease } = session;
  const keep =
    session.crash !== undefined &&
    (stillWaits(session) || session.crash.isolateUntil > session.knownOffset);
  const attempts = attemptsOf(session);
  const answer = await deps.store.release({
    cluster: source.cluster,
    consumerGroup: source.consumerGroup,
    queue,
    holder: lease.holder,
    fence: lease.fence,
    // After a pause nobody is to be missed.
    ...(session.ending === 'paused' ? {} : { heldUntil: deps.clock.now() }),
    committedOffset: session.knownOffset,
    ...mirrorsOf(session),
    ...(keep && session.crash !== undefined
      ? {
          crash: {
            offset: session.crash.offset,
            count: session.crash.count,
            isolateUntil: session.crash.isolateUntil,
          },
        }
      : {}),
    ...(attempts === undefined ? {} : { attempts }),
  });
  if (!answer.applied)
    session.logger.warn({ reason: answer.reason }, 'the lease was gone at its release');
}

/** A function that was called before may still be at work. */
function stillWaits({ order, deps }: QueueSession): boolean {
  return order !== undefined && deps.clock.now() < order.deliverFrom;
}

/** Failed deliveries that only this holder has counted, when there are any. */
function attemptsOf(session: QueueSession): Attempts | undefined {
  // What is popped is counted by the broker.
  if (session.popped !== undefined) return undefined;
  const attempts = (session.order ?? session.attempts).attempts(session.messages);
  return attempts.size === 0 ? undefined : attempts;
}

/** The mirrors for people and for scaling: what the broker told last, or what was pulled since; and when the group went on. */
function mirrorsOf({ maxOffset, progressAt, messages: { nextOffset } }: QueueSession): {
  maxOffset?: bigint;
  progressAt?: number;
} {
  return {
    ...(maxOffset === undefined
      ? {}
      : { maxOffset: maxOffset < nextOffset ? nextOffset : maxOffset }),
    ...(progressAt === undefined ? {} : { progressAt }),
  };
}
