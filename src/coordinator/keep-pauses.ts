import { pauseOf } from '../decide/state/operator-pause.ts';
import type { Assignment } from '../model/assignment.ts';
import type { GroupRun } from './group-run.ts';

/** Queues that came into being after an operator paused their topic or group are paused like the others. */
export async function keepPauses(run: GroupRun, assignments: readonly Assignment[]): Promise<void> {
  const standing = await run.store.standingPauses(run.group);
  const now = run.clock.now();
  const missing = assignments.flatMap(({ queue, operatorPause }) => {
    const pause = operatorPause === undefined ? pauseOf(queue, standing, now) : undefined;
    return pause === undefined ? [] : [{ queue, pause }];
  });
  await Promise.all(
    missing.map(({ queue, pause }) => run.store.setOperatorPause(run.group, queue, pause)),
  );
}
