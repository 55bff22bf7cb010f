import type { Assignment, OperatorPause, StandingPause } from '../../model/assignment.ts';
import type { MessageQueue } from '../../model/message-queue.ts';
import { pauseOf } from './operator-pause.ts';

/** Queues that came into being after an operator paused their topic or group, with the pause that each gets. */
export function missingPauses(
  assignments: readonly Assignment[],
  requested: readonly StandingPause[],
  now: number,
): { readonly queue: MessageQueue; readonly pause: OperatorPause }[] {
  return assignments.flatMap(({ queue, operatorPause }) => {
    const pause = operatorPause === undefined ? pauseOf(queue, requested, now) : undefined;
    return pause === undefined ? [] : [{ queue, pause }];
  });
}
