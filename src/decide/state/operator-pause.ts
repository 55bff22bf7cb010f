import type { OperatorPause, StandingPause } from '../../model/assignment.ts';
import { type MessageQueue, queueKey } from '../../model/message-queue.ts';

/** The scope of a pause that means every queue of the group. */
export const WHOLE_GROUP = '*';

/** Is the queue meant by a pause of that scope? A topic's pause does not include the group's retry topic: that holds messages of other topics too. */
export function isInScope(queue: MessageQueue, scope: string): boolean {
  return scope === WHOLE_GROUP || scope === queue.topic || scope === queueKey(queue);
}

/** The pause that operators want for a queue now: the one that ends last. */
export function pauseOf(
  queue: MessageQueue,
  standing: readonly StandingPause[],
  now: number,
): OperatorPause | undefined {
  const [longest] = standing
    .filter(({ scope, until }) => until > now && isInScope(queue, scope))
    .sort((a, b) => b.until - a.until);
  return longest && { until: longest.until, since: longest.since, reason: longest.reason };
}
