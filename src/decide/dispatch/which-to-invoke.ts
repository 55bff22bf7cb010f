import type { Assignment, Lease, LeasePlace } from '../../model/assignment.ts';
import { FOREIGN_SLOT } from '../../model/membership.ts';
import {
  compareQueues,
  type MessageQueue,
  queueKey,
  RETRY_TOPIC_PREFIX,
} from '../../model/message-queue.ts';
import type { SourceConfig } from '../../model/source.ts';
import { isLongAbsent } from '../assignment/plan-changes.ts';
import { isLive } from '../lease/lease.ts';

/** How long an invocation may be under way (`notAfter`). So long the same queue is not asked for again, and a second one cannot arrive late. */
export const INVOCATION_VALID_MS = 15_000;

/**
 * A successor is invoked this long before its holder's end: up to 5 s until a coordinator looks, seconds for a cold start, up to one renewal
 * (10 s) until the holder sees the wish, and the rest for draining. Never more than a third of the holder's life, or short-lived pullers
 * would do nothing but succeed each other.
 */
export const SUCCESSION_WINDOW_MS = 40_000;

/** What the broker says of a queue. */
export interface QueueFacts {
  /** undefined: the group has no offset there yet. */
  readonly committed: bigint | undefined;
  /** Next offset to be written; undefined: it may not be asked (no GET right on the topic), so the watch has to find out. */
  readonly max: bigint | undefined;
  /** Epoch ms: when the first message that is not done was stored, where somebody asked for it. */
  readonly waitingSince?: number | undefined;
}

/** What deployed options say of when pullers are started. */
export interface DispatchRules {
  /** Digest of the options that are deployed now. */
  readonly settings?: string;
  /** How often somebody looks, where nobody watches: successors are invoked so much earlier. */
  readonly lookEveryMs?: number;
  /** Every queue has a puller, also without messages. */
  readonly always?: boolean;
  /** A free queue has no puller before it has more messages than these, or its first one waits so long. */
  readonly activation?: Activation;
}

export interface Activation {
  readonly lagThreshold: bigint;
  readonly maxMessageAgeMs: number;
}

/** The last invocation for a queue in this run. */
export interface Invoked {
  readonly at: number;
  /** The fence that was seen then: a higher one later says that the puller came. */
  readonly fence: number;
  readonly committed: bigint | undefined;
}

/**
 * - resting: paused, retired, long absent or another member's, for nobody here;
 * - held: somebody works it, or is about to take it over;
 * - succession: held by one that ends soon, belongs to another slot or works with other options than `settings`, and nobody waits yet;
 * - free: no live lease: whether it needs a puller depends on the broker's offsets.
 */
export type Standing = 'resting' | 'held' | 'succession' | 'free';

export function standing(
  assignment: Assignment<LeasePlace>,
  now: number,
  { settings, lookEveryMs = 0 }: DispatchRules = {},
): Standing {
  const { retiredAt, pausedUntil, lease, slot, successor } = assignment;
  const paused = pausedUntil !== undefined && pausedUntil >= now;
  if (retiredAt !== undefined || paused || isLongAbsent(assignment, now)) return 'resting';
  if (slot === FOREIGN_SLOT) return 'resting';
  if (!isLive(lease, now)) return 'free';
  if (successor !== undefined && successor.until >= now) return 'held';
  const outdated =
    settings !== undefined && lease.settings !== undefined && lease.settings !== settings;
  return lease.slot !== slot || outdated || endsSoon(lease, now, SUCCESSION_WINDOW_MS + lookEveryMs)
    ? 'succession'
    : 'held';
}

function endsSoon({ endsAt, acquiredAt }: Lease, now: number, windowMs: number): boolean {
  return endsAt - now <= Math.min(windowMs, (endsAt - acquiredAt) / 3);
}

export interface Dispatch {
  /** One invocation each. */
  readonly requests: readonly { readonly slot: number; readonly queues: readonly MessageQueue[] }[];
  /** Free, and nothing to do: to be watched. */
  readonly idle: readonly Assignment[];
}

/**
 * Which queues need a puller now. With `pullers: 'queue'` each gets an invocation of its own, else each slot gets one for all of its queues.
 * @param facts by queue key, for free queues; one that is missing could not be asked, and waits for the next look
 * @param invoked by queue key
 */
export function whichToInvoke(
  assignments: readonly Assignment[],
  facts: ReadonlyMap<string, QueueFacts>,
  invoked: ReadonlyMap<string, Invoked>,
  pullers: SourceConfig['pullers'],
  now: number,
  rules: DispatchRules = {},
): Dispatch {
  const chosen: Chosen[] = [];
  const idle: Assignment[] = [];
  for (const assignment of assignments.toSorted((a, b) => compareQueues(a.queue, b.queue))) {
    const { queue, slot } = assignment;
    if (slot === FOREIGN_SLOT) continue;
    const key = queueKey(queue);
    const fact = facts.get(key);
    switch (need(assignment, fact, now, rules)) {
      case 'nothing':
        break;
      case 'watch':
        idle.push(assignment);
        break;
      case 'puller':
        if (mayInvokeAgain(assignment, fact, invoked.get(key), now)) chosen.push({ slot, queue });
    }
  }
  return {
    requests:
      pullers === 'queue'
        ? chosen.map(({ slot, queue }) => ({ slot, queues: [queue] }))
        : bySlot(chosen),
    idle,
  };
}

function need(
  assignment: Assignment,
  facts: QueueFacts | undefined,
  now: number,
  rules: DispatchRules,
): 'nothing' | 'watch' | 'puller' {
  switch (standing(assignment, now, rules)) {
    case 'resting':
    case 'held':
      return 'nothing';
    case 'succession':
      return 'puller';
    case 'free':
      if (facts === undefined) return 'nothing';
      // Also when committed is above max (a topic that was made again): the puller sets that right.
      if (
        facts.committed === undefined ||
        (facts.max !== undefined && facts.committed !== facts.max)
      )
        return isActive(assignment, facts, now, rules.activation) ? 'puller' : 'nothing';
      return rules.always === true ? 'puller' : 'watch';
  }
}

/** Are these messages worth a puller? How late a redelivery comes has been chosen before. */
function isActive(
  { queue }: Assignment,
  { committed, max, waitingSince }: QueueFacts,
  now: number,
  activation?: Activation,
): boolean {
  if (
    activation === undefined ||
    committed === undefined ||
    max === undefined ||
    queue.topic.startsWith(RETRY_TOPIC_PREFIX)
  )
    return true;
  const lag = max - committed;
  if (lag < 0n || lag > activation.lagThreshold) return true;
  return waitingSince === undefined || now - waitingSince >= activation.maxMessageAgeMs;
}

/**
 * Not while the last invocation may still arrive. Sooner only when its puller came, worked and went: one that comes and goes without
 * progress (a handler that does not exist, say) must not be invoked in a tight circle.
 */
function mayInvokeAgain(
  { fence }: Assignment,
  facts: QueueFacts | undefined,
  last: Invoked | undefined,
  now: number,
): boolean {
  if (last === undefined || now - last.at >= INVOCATION_VALID_MS) return true;
  return facts !== undefined && fence > last.fence && facts.committed !== last.committed;
}

interface Chosen {
  readonly slot: number;
  readonly queue: MessageQueue;
}

function bySlot(chosen: readonly Chosen[]): Dispatch['requests'] {
  return [...Map.groupBy(chosen, ({ slot }) => slot)]
    .sort(([a], [b]) => a - b)
    .map(([slot, ofSlot]) => ({ slot, queues: ofSlot.map(({ queue }) => queue) }));
}
