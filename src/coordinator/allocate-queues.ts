import { allocateToSlots } from '../decide/allocation/allocate.ts';
import type { Wanted } from '../decide/assignment/plan-changes.ts';
import { withLingering } from '../decide/assignment/with-lingering.ts';
import { countSlots } from '../decide/slots/count-slots.ts';
import type { Assignment } from '../model/assignment.ts';
import { queueKey } from '../model/message-queue.ts';
import type { GroupRun } from './group-run.ts';
import type { Routes } from './read-routes.ts';

export interface Allocation {
  readonly slots: number;
  /** Every queue of the routes that a slot gets, with its slot. */
  readonly wanted: readonly Wanted[];
  /** Topics whose route or allocation failed: their items stay as they are. */
  readonly undecided: ReadonlySet<string>;
}

/** Topic by topic, as Java's members do it, over the group's slots instead of its members. A topic that fails keeps what it has. */
export function allocateQueues(
  run: GroupRun,
  routes: Routes,
  stored: readonly Assignment[],
): Allocation {
  const queues = withLingering(routes.queues, routes.unknown, stored, run.clock.now());
  const slots = countSlots(run.source.pullers, queues.values());
  const clientIds = Array.from({ length: slots }, (_, slot) => run.clientId(slot));
  const present = new Set([...routes.queues.values()].flat().map(queueKey));
  const undecided = new Set(routes.unknown);
  const wanted: Wanted[] = [];
  for (const [topic, ofTopic] of queues) {
    if (ofTopic.length === 0 || undecided.has(topic)) continue;
    try {
      const slotOf = allocateToSlots(run.source.strategy, ofTopic, clientIds);
      for (const queue of ofTopic) {
        const slot = slotOf.get(queueKey(queue));
        if (slot !== undefined) wanted.push({ queue, slot });
      }
    } catch (error) {
      undecided.add(topic);
      run.problems.add(error, { topic });
    }
  }
  // CONFIG names queues unchecked, and a lingering one is not there now.
  return { slots, wanted: wanted.filter(({ queue }) => present.has(queueKey(queue))), undecided };
}
