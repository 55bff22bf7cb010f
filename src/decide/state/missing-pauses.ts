import type { Assignment, OperatorPause, StandingPause } from '../../model/assignment.ts';
import type { MessageQueue } from '../../model/message-queue.ts';
import { pauseOf } from './operator-pause.ts';

/**
 * Queues that are not paused as operators want it, with the pause that each gets: that came into being
 * after their topic or group was paused, or have another pause, which ends sooner or is over.
 */
export function missingPauses(
  assignments: readonly Assignment[],
  requested: readonly StandingPause[],
  now: number,
): { readonly queue: MessageQueue; readonly pause: OperatorPause }[] {
  return assignments.flatMap(({ queue, operatorPause }) => {
    const pause = pauseOf(queue, requested, now);
    return pause === undefined || pause.until <= (operatorPause?.until ?? 0)
      ? []
      : [{ queue, pause }];
  });
}
