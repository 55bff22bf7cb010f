import { orderedTimeoutMs } from '../decide/budget/handler-run-time.ts';
import { lookEveryMs, rulesOf } from '../decide/dispatch/rules-of.ts';
import { sourceDigest } from '../decide/dispatch/source-digest.ts';
import { standing } from '../decide/dispatch/which-to-invoke.ts';
import { endedFor, holdersClockAhead, isLive, leaseUntil } from '../decide/lease/lease.ts';
import { type Assignment, type Lease, type LeasePlace, placeKey } from '../model/assignment.ts';
import type { SourceConfig } from '../model/source.ts';
import type { LeaseAnswer, LeaseStore } from '../ports/assignment-store.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';

const ACQUIRE_POLL_MS = 300;
/** After so many acquisitions without an answer the table is unavailable. The SDK has repeated each of them. */
const ACQUIRE_REPEATS = 1;
/** How often a holder that is not to be succeeded is looked at again. */
const LOOK_MS = 1_000;
/** A successor's wish is repeated while it waits and ends soon after it stopped. */
const WISH_MS = 5_000;

type LeaseDeps<Place extends LeasePlace> = Omit<PullerDeps, 'store'> & {
  readonly store: LeaseStore<Place>;
};

/** Does the table say that the holder of this item is to be replaced? */
export type MayReplace = (item: Assignment<LeasePlace>, now: number) => Promise<boolean>;

/**
 * Takes the lease of a queue. When somebody else holds it, waits a while. Where the item says that this holder is to be succeeded, it announces itself:
 * the holder sees the wish at its next renewal, drains and releases. A request alone replaces no holder, whoever sent it.
 * @param mayReplace further reasons, beside those that coordinators have for every item
 */
export async function acquireLease<Place extends LeasePlace>(
  deps: LeaseDeps<Place>,
  options: PullerOptions,
  source: SourceConfig,
  slot: number,
  queue: Place,
  handlerTimeoutMs: number | undefined = orderedTimeoutMs(source),
  mayReplace: MayReplace = () => Promise.resolve(false),
): Promise<LeaseAnswer<Place>> {
  const { clock, holder } = deps;
  const key = { cluster: source.cluster, consumerGroup: source.consumerGroup, queue, slot, holder };
  const settings = {
    settings: sourceDigest(source),
    ...(handlerTimeoutMs !== undefined && { handlerTimeoutMs }),
  };
  const giveUpAt =
    clock.now() + Math.min(options.successionWaitMs, deps.remainingMs() - options.reserveMs);
  const unanswered = new Set<number>();
  const rules = rulesOf(source, lookEveryMs(deps.service));
  const successor = new Successor(
    deps.store,
    key,
    async (item, now) =>
      standing(item, now, rules) === 'succession' || (await mayReplace(item, now)),
  );
  let isSkewNamed = false;
  for (; ; await clock.sleep(ACQUIRE_POLL_MS)) {
    const now = clock.now();
    const answer = await tryToAcquire(deps, { ...key, ...settings, now }, unanswered, giveUpAt);
    if (answer === undefined) continue;
    if (answer.applied) return answer;
    const { current } = answer;
    if (!isSkewNamed) isSkewNamed = nameSkew(deps, queue, current?.lease, now);
    if (isOwnAcquisition(current, holder, unanswered))
      return { applied: true, assignment: current };
    if (isFinal(answer.reason) || now >= giveUpAt || deps.signal?.aborted === true) return answer;
    const refused = await successor.announce(current, now);
    if (refused !== undefined) return refused;
  }
}

/** Announces this invocation to the holder of a live lease, again and again. */
class Successor<Place extends LeasePlace> {
  readonly #store: LeaseStore<Place>;
  readonly #key: Omit<SuccessorRequest<Place>, 'until' | 'now'>;
  readonly #mayReplace: MayReplace;
  #until: number | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    store: LeaseStore<Place>,
    key: Omit<SuccessorRequest<Place>, 'until' | 'now'>,
    mayReplace: MayReplace,
  ) {
    this.#store = store;
    this.#key = key;
    this.#mayReplace = mayReplace;
  }

  /** @returns the refusal, when another successor waits already: two would only take turns */
  async announce(
    item: Assignment<Place> | undefined,
    now: number,
  ): Promise<LeaseAnswer<Place> | undefined> {
    if ((this.#until ?? now) - now >= WISH_MS / 2) return undefined;
    if (item === undefined || !isLive(item.lease, now)) return undefined;
    const { successor } = item;
    if (successor !== undefined && successor.until >= now && successor.holder !== this.#key.holder)
      return { applied: false, reason: 'successor-waits', current: item };
    if (!(await this.#isToBeReplaced(item, now))) return undefined;
    this.#until = now + WISH_MS;
    const request = { ...this.#key, until: this.#until, now };
    const answer = await this.#store.announceSuccessor(request);
    return !answer.applied && answer.reason === 'successor-waits' ? answer : undefined;
  }

  /** A wish that was announced is repeated without another look: the holder may be draining already. */
  async #isToBeReplaced(item: Assignment<Place>, now: number): Promise<boolean> {
    if (this.#until !== undefined) return true;
    if (now - this.#lookedAt < LOOK_MS) return false;
    this.#lookedAt = now;
    return await this.#mayReplace(item, now);
  }
}

type SuccessorRequest<Place extends LeasePlace> = Parameters<
  LeaseStore<Place>['announceSuccessor']
>[0];

/**
 * One acquisition. undefined: it had no answer, and is repeated.
 * @throws what the store throws, once too often
 */
async function tryToAcquire<Place extends LeasePlace>(
  { store, clock, logger, remainingMs }: LeaseDeps<Place>,
  request: Omit<Parameters<LeaseStore<Place>['acquire']>[0], 'leaseUntil' | 'endsAt'>,
  unanswered: Set<number>,
  giveUpAt: number,
): Promise<LeaseAnswer<Place> | undefined> {
  const { now, queue } = request;
  const endsAt = clock.now() + remainingMs();
  try {
    return await store.acquire({
      ...request,
      leaseUntil: leaseUntil(now, endsAt),
      endsAt,
      ended: endedFor(now),
    });
  } catch (error) {
    unanswered.add(now);
    if (unanswered.size > ACQUIRE_REPEATS || now >= giveUpAt) throw error;
    logger.warn(
      { err: error, queue: placeKey(queue), code: 'ROCKETMQ_TABLE_UNAVAILABLE' },
      'acquisition of the lease not answered, trying again',
    );
    return undefined;
  }
}

/** @returns does the lease show that the clocks differ too much? */
function nameSkew(
  { logger, meter }: Pick<PullerDeps, 'logger' | 'meter'>,
  place: LeasePlace,
  lease: Lease | undefined,
  now: number,
): boolean {
  const aheadMs = lease && holdersClockAhead(lease, now);
  if (lease === undefined || aheadMs === undefined) return false;
  meter?.count('ClockSkewCount');
  logger.warn(
    { code: 'ROCKETMQ_CLOCK_SKEW', queue: placeKey(place), holder: lease.holder, aheadMs },
    'clock of the holder of a lease is ahead of this one, its lease ends too late',
  );
  return true;
}

/** Waiting does not help: the queue is not for this slot now. */
function isFinal(reason: Extract<LeaseAnswer<LeasePlace>, { applied: false }>['reason']): boolean {
  return reason !== 'held' && reason !== 'successor-waits';
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

/** Gives back a queue whose work could not begin. What the item knows stays as it is: nothing was learned. */
export async function returnLease(
  { store, clock }: PullerDeps,
  assignment: Assignment,
  { holder, fence }: Lease,
): Promise<void> {
  const { cluster, consumerGroup, queue } = assignment;
  const { crash, attempts, begunEnds, batchLimits, handlersRunUntil } = assignment;
  await store.release({
    cluster,
    consumerGroup,
    queue,
    holder,
    fence,
    heldUntil: clock.now(),
    ...(crash && { crash }),
    ...(attempts && { attempts }),
    ...(begunEnds && { begunEnds }),
    ...(batchLimits && { batchLimits }),
    ...(handlersRunUntil !== undefined && { handlersRunUntil }),
  });
}
