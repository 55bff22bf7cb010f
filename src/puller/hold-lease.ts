import { sourceDigest } from '../decide/dispatch/source-digest.ts';
import { isLive, leaseUntil } from '../decide/lease/lease.ts';
import {
  type Assignment,
  type Attempts,
  type BatchLimit,
  type Lease,
  type LeasePlace,
  placeKey,
} from '../model/assignment.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseAnswer, LeaseStore, QueueMirrors } from '../ports/assignment-store.ts';
import type { PullerDeps, PullerOptions, StopReason } from './puller-deps.ts';
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
export async function acquireLease<Place extends LeasePlace>(
  deps: Omit<PullerDeps, 'store'> & { readonly store: LeaseStore<Place> },
  options: PullerOptions,
  source: SourceConfig,
  slot: number,
  queue: Place,
  handlerTimeoutMs: number | undefined = orderedTimeoutMs(source),
): Promise<LeaseAnswer<Place>> {
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
          { err: error, queue: placeKey(queue), code: 'ROCKETMQ_TABLE_UNAVAILABLE' },
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
    order !== undefined && handler.invocation === 'function' ? [handler.timeout * 1000] : [],
  );
  return timeouts.length === 0 ? undefined : Math.max(...timeouts);
}

/**
 * An acquisition of this call was applied after all. It would stand until its end and count as a death. Told by its time:
 * the same request id alone may also be another attempt of the same invocation.
 */
function isOwnAcquisition<Place extends LeasePlace>(
  item: Assignment<Place> | undefined,
  holder: string,
  unanswered: ReadonlySet<number>,
): item is Assignment<Place> {
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
  const { crash } = session;
  const counted = session.order ?? session.attempts;
  counted.unsaved = false;
  const progressed =
    crash !== undefined &&
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
      ...mirrorsOf(session),
      crash: progressed || crash === undefined ? null : crash,
      attempts: attemptsOf(session) ?? null,
      batchLimits: batchLimitsOf(session) ?? null,
      handlersRunUntil: handlersRunUntil(session) ?? null,
    })
    .catch((error: unknown) => {
      counted.unsaved = true;
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
  applyAssignmentChange(session, answer.assignment);
  return true;
}

/** Drains when the item says that the queue is not for this holder any more. Returns the reason. */
function applyAssignmentChange(
  session: QueueSession,
  { successor, pausedUntil, retiredAt, slot }: Assignment,
): StopReason | undefined {
  const now = session.deps.clock.now();
  const drain = (
    reason: 'retired' | 'moved' | 'paused' | 'succession',
    fields = {},
  ): StopReason => {
    session.end(reason, fields);
    return reason;
  };
  if (retiredAt !== undefined) return drain('retired');
  if (slot !== session.lease.slot) return drain('moved', { slot });
  if (pausedUntil !== undefined && pausedUntil > now) return drain('paused', { pausedUntil });
  if (successor !== undefined && successor.until > now && successor.holder !== session.lease.holder)
    return drain('succession', { successor: successor.holder });
  return undefined;
}

/**
 * Reads the item between two renewals. False: the queue was moved, paused or retired, or its lease
 * taken over, so that nothing is delivered any more.
 */
export async function reviewAssignment(session: QueueSession): Promise<boolean> {
  const { deps, source, queue, lease } = session;
  const { cluster, consumerGroup } = source;
  try {
    const assignment = await deps.store.read({ cluster, consumerGroup }, queue);
    if (assignment?.lease?.holder === lease.holder && assignment.fence === lease.fence) {
      const reason = applyAssignmentChange(session, assignment);
      return reason === undefined || reason === 'succession';
    }
    session.loseLease(assignment === undefined ? 'missing' : 'taken-over', true);
    return false;
  } catch (error) {
    // As with a renewal that failed, the lease stands until its end.
    session.logger.warn({ err: error }, 'failed to read the assignment');
    return true;
  }
}

/** Gives the lease back with the final figures. A message that was delivered alone keeps its record while there is still reason to. */
export async function releaseLease(session: QueueSession): Promise<void> {
  const { deps, source, queue, lease } = session;
  const runUntil = handlersRunUntil(session);
  // A holder that only waited has delivered nothing: who killed the one before is still to be found.
  const keep =
    session.crash !== undefined &&
    (runUntil !== undefined ||
      isUnproven(session) ||
      session.crash.isolateUntil > session.knownOffset);
  const attempts = attemptsOf(session);
  const batchLimits = batchLimitsOf(session);
  const answer = await deps.store.release({
    cluster: source.cluster,
    consumerGroup: source.consumerGroup,
    queue,
    holder: lease.holder,
    fence: lease.fence,
    // After a pause nobody is to be missed.
    ...(session.stopPolicy?.measureHandOver === false ? {} : { heldUntil: deps.clock.now() }),
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
    ...(batchLimits === undefined ? {} : { batchLimits }),
    ...(runUntil === undefined ? {} : { handlersRunUntil: runUntil }),
  });
  if (!answer.applied)
    session.logger.warn({ reason: answer.reason }, 'the lease was gone at its release');
}

/** Until when functions that were called and not waited for may run, epoch ms. */
function handlersRunUntil({ order, deps }: QueueSession): number | undefined {
  return order?.handlersRunUntil(deps.clock.now());
}

function batchLimitsOf({ batchLimits }: QueueSession): readonly BatchLimit[] | undefined {
  return batchLimits.length === 0 ? undefined : batchLimits;
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

/** The deaths are neither repeated nor refuted: the broker was away, or refused the queue. */
function isUnproven({ crash, ending, knownOffset }: QueueSession): boolean {
  return (
    crash !== undefined &&
    knownOffset <= crash.offset &&
    (ending === 'unreachable' || ending === 'refused')
  );
}

/** Failed deliveries that only this holder has counted, when there are any. */
function attemptsOf(session: QueueSession): Attempts | undefined {
  // What is popped is counted by the broker.
  if (session.popped !== undefined) return undefined;
  const attempts = (session.order ?? session.attempts).attempts(session.messages);
  return attempts.size === 0 ? undefined : attempts;
}

/** The mirrors for the next holder, for people and for scaling: offsets, the queue's end as reported or pulled, and when the group went on. */
function mirrorsOf(session: QueueSession): Partial<QueueMirrors> {
  const { source, offsets, popped, maxOffset, lifeMark, progressAt } = session;
  const { nextOffset } = session.messages;
  const { confirmedAt, notCommitted } = offsets;
  // What members of another kind commit beside this one cannot be told from lost commits.
  const isAlone = popped === undefined && source.coexist !== true;
  return {
    committedOffset: session.knownOffset,
    ...(isAlone && confirmedAt !== undefined && { confirmedAt }),
    ...(isAlone && notCommitted !== undefined && { settledOffset: notCommitted }),
    lifeMark: lifeMark ?? null,
    ...(maxOffset === undefined
      ? {}
      : { maxOffset: maxOffset < nextOffset ? nextOffset : maxOffset }),
    ...(progressAt === undefined ? {} : { progressAt }),
  };
}
