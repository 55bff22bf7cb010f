import { matchesAny } from '../decide/filter/matches-pattern.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory, QueueMemory } from '../decide/pull/memory-budget.ts';
import { filterable } from '../delivery/build-record.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { AbsentHandlers } from './absent-handlers.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import { openEntry } from './open-entry.ts';
import type { PendingEnds } from './pending-ends.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import {
  damaged,
  type SET_ASIDE,
  setAsideReading,
  type UnhandledParts,
  type UnhandledReading,
  whyUnhandled,
} from './read-unhandled.ts';

export interface SiftParts extends UnhandledParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly subscriptions: QueueSubscriptions;
  readonly messages: ProcessQueue;
  readonly memory: Pick<QueueMemory, 'open' | 'startDelivery'>;
  readonly crash: CrashKeeper;
  readonly pendingEnds: PendingEnds;
  readonly absent: Pick<AbsentHandlers, 'whyAbsent'>;
  /** False: it was popped, and its time is over. */
  readonly isOurs: (entry: QueueEntry) => boolean;
}

/** What messages that were not looked at before turned out to be. */
export interface Sifted {
  /** Not taken: no pattern of their subscription matches. */
  readonly filteredOut: readonly QueueEntry[];
  /** Not taken: their handlers cannot be called now. */
  readonly setAside: readonly QueueEntry[];
  /** Not taken: no handler may have it. Sifting stopped behind it. */
  readonly unhandled:
    | { readonly entry: QueueEntry; readonly reading: UnhandledReading }
    | undefined;
  /** There is no memory to open the next one. */
  readonly waitsForMemory: boolean;
}

type Finding =
  | { readonly kind: 'passes'; readonly matched: boolean }
  | { readonly kind: 'filtered-out' | 'wait' }
  | typeof SET_ASIDE
  | UnhandledReading;

const PASSES: Finding = { kind: 'passes', matched: false };

/**
 * Looks at messages before any batch is made, until there are enough for one. A window and a batch
 * count what is left: what reaches the handler.
 */
export function siftMessages(parts: SiftParts): Sifted {
  const { messages, clock } = parts;
  let entry = messages.nextUnsifted();
  if (entry === undefined) return NOTHING;
  const now = clock.now();
  const filteredOut: QueueEntry[] = [];
  const setAside: QueueEntry[] = [];
  const memory = parts.memory.startDelivery();
  const enough = Math.max(1, ...parts.subscriptions.all.map(({ batchSize }) => batchSize));
  let passed = messages.waiting(now).count - messages.unsifted;
  for (; entry !== undefined && passed < enough; entry = messages.nextUnsifted()) {
    const finding = sift(parts, entry, memory, now);
    memory.release();
    if (finding.kind === 'wait') return { ...NOTHING, filteredOut, setAside, waitsForMemory: true };
    messages.sifted(entry, finding.kind === 'passes' && finding.matched);
    if (finding.kind === 'unhandled')
      return { ...NOTHING, filteredOut, setAside, unhandled: { entry, reading: finding } };
    if (finding.kind === 'filtered-out') filteredOut.push(entry);
    else if (finding.kind === 'set-aside') setAside.push(entry);
    else passed++;
  }
  return { ...NOTHING, filteredOut, setAside };
}

const NOTHING: Sifted = {
  filteredOut: [],
  setAside: [],
  unhandled: undefined,
  waitsForMemory: false,
};

/** What an error of the message concerns is left to the batch that it comes into. */
function sift(parts: SiftParts, entry: QueueEntry, memory: DeliveryMemory, now: number): Finding {
  if (entry.message !== undefined && !mayKeepBack(parts.subscriptions)) return PASSES;
  const isolation = parts.crash.isolation(entry.offset);
  // What may have killed its puller is read alone.
  if (isolation !== 'batch' || !parts.isOurs(entry)) return PASSES;
  try {
    const subscription = parts.subscriptions.ofMessage(entry.message);
    // A message of an ordered source has its end when it is its turn.
    const unhandled =
      subscription?.order === undefined && mayBeUnhandled(parts, entry, subscription)
        ? whyUnhandled(parts, entry, isolation, now)
        : undefined;
    if (unhandled !== undefined) return unhandled;
    if (subscription === undefined) return PASSES;
    return setAsideReading(parts, entry, now) ?? match(parts, entry, subscription, memory, now);
  } catch {
    return PASSES;
  }
}

/** Can anything but a record that cannot be decoded be found here? Most queues are spared the look at each message. */
function mayKeepBack({ isRetryQueue, all }: QueueSubscriptions): boolean {
  return (
    isRetryQueue ||
    all.some(
      ({ filterPatterns, maximumRecordAgeInSeconds }) =>
        filterPatterns !== undefined || maximumRecordAgeInSeconds !== undefined,
    )
  );
}

/** What is rarely found elsewhere is left to the batch: it ends there. */
function mayBeUnhandled(
  { subscriptions }: Pick<SiftParts, 'subscriptions'>,
  { message }: QueueEntry,
  subscription: SubscriptionConfig | undefined,
): boolean {
  return (
    message === undefined ||
    subscriptions.isRetryQueue ||
    subscription?.maximumRecordAgeInSeconds !== undefined
  );
}

function match(
  parts: SiftParts,
  entry: QueueEntry,
  subscription: SubscriptionConfig,
  memory: DeliveryMemory,
  now: number,
): Finding {
  const { filterPatterns } = subscription;
  if (filterPatterns === undefined || entry.message === undefined) return PASSES;
  const message = openEntry(parts, entry, entry.message, memory, subscription, now);
  if (message === 'wait') return { kind: message };
  if (message === 'undecodable')
    return subscription.order === undefined ? damaged(parts.logger, entry) : PASSES;
  return matchesAny(filterPatterns, filterable(message))
    ? { kind: 'passes', matched: true }
    : { kind: 'filtered-out' };
}
