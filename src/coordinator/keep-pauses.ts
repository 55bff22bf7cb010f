import { missingPauses } from '../decide/state/missing-pauses.ts';
import type { Assignment } from '../model/assignment.ts';
import type { GroupRun } from './group-run.ts';

/** Queues that came into being after an operator paused their topic or group are paused like the others; what another pause wrote over is written again. */
export async function keepPauses(run: GroupRun, assignments: readonly Assignment[]): Promise<void> {
  const requested = await run.store.standingPauses(run.group);
  await Promise.all(
    missingPauses(assignments, requested, run.clock.now()).map(({ queue, pause }) =>
      run.store.setOperatorPause(run.group, queue, pause),
    ),
  );
}
