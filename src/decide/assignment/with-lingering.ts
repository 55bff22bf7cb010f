import type { Assignment } from '../../model/assignment.ts';
import { compareQueues, type MessageQueue, queueKey } from '../../model/message-queue.ts';
import { isLongAbsent } from './plan-changes.ts';

/**
 * The queues to allocate, by topic: those of the routes, and those that are missing but not yet retired. As long as a queue may be missing by
 * a name server's mistake, the others stay where they are: else a slot count or an average that forgets it would move them there and back.
 * @param unknown topics without a readable route: their stored queues count as they are
 */
export function withLingering(
  routes: ReadonlyMap<string, readonly MessageQueue[]>,
  unknown: ReadonlySet<string>,
  stored: readonly Assignment[],
  now: number,
): Map<string, MessageQueue[]> {
  const queues = new Map(Array.from(routes, ([topic, present]) => [topic, [...present]]));
  for (const topic of unknown) queues.set(topic, []);
  const present = new Set([...queues.values()].flat().map(queueKey));
  for (const assignment of stored) {
    const { queue } = assignment;
    if (
      !present.has(queueKey(queue)) &&
      (unknown.has(queue.topic) ? assignment.retiredAt === undefined : lingers(assignment, now))
    )
      queues.get(queue.topic)?.push(queue);
  }
  for (const topic of queues.values()) topic.sort(compareQueues);
  return queues;
}

function lingers(assignment: Assignment, now: number): boolean {
  return assignment.retiredAt === undefined && !isLongAbsent(assignment, now);
}
