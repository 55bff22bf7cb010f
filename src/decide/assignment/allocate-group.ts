import type { Assignment } from '../../model/assignment.ts';
import { type MessageQueue, queueKey } from '../../model/message-queue.ts';
import type { SourceConfig } from '../../model/source.ts';
import { allocateToSlots } from '../allocation/allocate.ts';
import { countSlots } from '../slots/count-slots.ts';
import type { Wanted } from './plan-changes.ts';
import { withLingering } from './with-lingering.ts';

/** The queues of a group's topics as its routes have them. */
export interface RoutedQueues {
  /** Readable queues of every topic whose route is known; none for a topic that does not exist. */
  readonly queues: ReadonlyMap<string, readonly MessageQueue[]>;
  /** Topics whose route could not be read: nothing may be concluded about their queues. */
  readonly unknown: ReadonlySet<string>;
}

export interface GroupAllocation {
  readonly slots: number;
  /** Every queue of the routes that a slot gets, with its slot. */
  readonly wanted: readonly Wanted[];
  /** Topics whose route or allocation failed: their items stay as they are. */
  readonly undecided: ReadonlySet<string>;
  /** Topics that the strategy cannot allocate, with what it threw. */
  readonly failed: ReadonlyMap<string, unknown>;
}

/** Strategies sort names as texts: without the zeros, slot 10 would come before slot 2, and one more queue would move nearly all. */
function slotName(slot: number): string {
  return String(slot).padStart(6, '0');
}

/** Topic by topic, as Java's members do it, over the group's slots instead of its members. A topic that fails keeps what it has. */
export function allocateGroup(
  routes: RoutedQueues,
  stored: readonly Assignment[],
  { pullers, strategy }: Pick<SourceConfig, 'pullers' | 'strategy'>,
  now: number,
): GroupAllocation {
  const queues = withLingering(routes.queues, routes.unknown, stored, now);
  const slots = countSlots(pullers, queues.values());
  const names = Array.from({ length: slots }, (_, slot) => slotName(slot));
  const present = new Set([...routes.queues.values()].flat().map(queueKey));
  const failed = new Map<string, unknown>();
  const wanted: Wanted[] = [];
  for (const [topic, ofTopic] of queues) {
    if (ofTopic.length === 0 || routes.unknown.has(topic)) continue;
    try {
      const slotOf = allocateToSlots(strategy, ofTopic, names);
      for (const queue of ofTopic) {
        const slot = slotOf.get(queueKey(queue));
        if (slot !== undefined) wanted.push({ queue, slot });
      }
    } catch (error) {
      failed.set(topic, error);
    }
  }
  return {
    slots,
    // CONFIG names queues unchecked, and a lingering one is not there now.
    wanted: wanted.filter(({ queue }) => present.has(queueKey(queue))),
    undecided: new Set([...routes.unknown, ...failed.keys()]),
    failed,
  };
}
