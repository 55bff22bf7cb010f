import { allocateGroup, type GroupAllocation } from '../decide/assignment/allocate-group.ts';
import type { Assignment } from '../model/assignment.ts';
import type { GroupRun } from './group-run.ts';
import type { Routes } from './read-routes.ts';

export type Allocation = Omit<GroupAllocation, 'failed'>;

/** The group's allocation over its slots; what the strategy cannot allocate is reported. */
export function allocateQueues(
  run: GroupRun,
  routes: Routes,
  stored: readonly Assignment[],
): Allocation {
  const { source, clock, problems } = run;
  const { failed, ...allocation } = allocateGroup(routes, stored, source, clock.now());
  for (const [topic, error] of failed) problems.add(error, { topic });
  return allocation;
}
