import { sourceDigest } from '../decide/dispatch/source-digest.ts';
import { isLive, leaseUntil } from '../decide/lease/lease.ts';
import type { Assignment, Attempts, Lease, LifeMark } from '../model/assignment.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseAnswer } from '../ports/assignment-store.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueSession } from './queue-session.ts';

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
      .acquire({ ...key, now, leaseUntil: leaseUntil(now, endsAt), endsAt, settings })
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

/**
 * Extends the lease, mirrors the figures, and obeys what the item says: moved, paused, retired, a successor waits.
 * False: the table could not be reached, and the item is as it was or as it should be.
 * @param isOver the session has ended: an answer that comes so late means nothing any more
 */
export async function renewLease(
  session: QueueSession,
  isOver: () => boolean = () => false,
): Promise<boolean> {
  const { deps, source, queue, lease } = session;
  const now = deps.clock.now();
  const until = leaseUntil(now, lease.endsAt);
  const { crash, order } = session;
  if (order !== undefined) order.unsaved = false;
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
      crash: progressed || crash === undefined ? null : crash,
      attempts: attemptsOf(session) ?? null,
    })
    .catch((error: unknown) => {
      if (order !== undefined) order.unsaved = true;
      // The lease still stands until its end; the next attempt comes soon.
      session.logger.warn({ err: error }, 'could not renew the lease');
      return undefined;
    });
  if (answer === undefined) return false;
  // The session has released meanwhile.
  if (isOver()) return true;
  if (!answer.applied) {
    session.loseLease(answer.reason, true);
    return true;
  }
  if (progressed && session.crash === crash) session.crash = undefined;
  // Never later than what the table has.
  session.lease = {
    ...lease,
    leaseUntil: Math.min(until, answer.assignment.lease?.leaseUntil ?? until),
  };
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
    (stillWaits(session) ||
      isUnproven(session) ||
      session.crash.isolateUntil > session.knownOffset);
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

/** Gives back a queue whose work could not begin. What the item knows stays as it is: nothing was learned. */
export async function returnLease(
  { store, clock }: PullerDeps,
  { cluster, consumerGroup, queue, crash, attempts }: Assignment,
  { holder, fence }: Lease,
): Promise<void> {
  await store.release({
    cluster,
    consumerGroup,
    queue,
    holder,
    fence,
    heldUntil: clock.now(),
    ...(crash && { crash }),
    ...(attempts && { attempts }),
  });
}

/** A function that was called before may still be at work. */
function stillWaits({ order, deps }: QueueSession): boolean {
  return order !== undefined && deps.clock.now() < order.deliverFrom;
}

/** The deaths are neither repeated nor refuted: the broker was away, or refused the queue. */
function isUnproven({ crash, ending, knownOffset }: QueueSession): boolean {
  return (
    crash !== undefined &&
    knownOffset <= crash.offset &&
    (ending === 'unreachable' || ending === 'refused')
  );
}

/** Failed attempts of an ordered source, when there are any. */
function attemptsOf({ order, messages }: QueueSession): Attempts | undefined {
  const attempts = order?.attempts(messages);
  return attempts === undefined || attempts.size === 0 ? undefined : attempts;
}

/** The mirrors for people and for scaling: what the broker told last, or what was pulled since; and when the group went on. */
function mirrorsOf({ maxOffset, lifeMark, progressAt, messages: { nextOffset } }: QueueSession): {
  maxOffset?: bigint;
  lifeMark: LifeMark | null;
  progressAt?: number;
} {
  return {
    lifeMark: lifeMark ?? null,
    ...(maxOffset === undefined
      ? {}
      : { maxOffset: maxOffset < nextOffset ? nextOffset : maxOffset }),
    ...(progressAt === undefined ? {} : { progressAt }),
  };
}
