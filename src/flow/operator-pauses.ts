import { isLive } from '../decide/lease/lease.ts';
import { isInScope, WHOLE_GROUP } from '../decide/state/operator-pause.ts';
import type { OperatorPause, StandingPause } from '../model/assignment.ts';
import type { AssignmentStore, GroupKey } from '../ports/assignment-store.ts';
import { inWindow } from './in-window.ts';

/** A group's queues that a pause means: `*` all, a topic's, or one as `topic/broker/id`. */
export interface PauseScope {
  readonly group: GroupKey;
  readonly scope: string;
  /** Say what would be done, and do nothing. */
  readonly dryRun?: boolean;
}

/**
 * No delivery until the pause ends: holders finish what they have begun, commit and release at their next renewal.
 * @returns queues that are meant, and those of them that somebody still holds
 */
export async function pauseQueues(
  store: AssignmentStore,
  { group, scope, dryRun = false }: PauseScope,
  wish: OperatorPause,
): Promise<{ readonly queues: number; readonly draining: number }> {
  // First the wish, then the queues: one that comes into being in between is found here, or finds the wish.
  if (!dryRun) await store.writeStandingPause(group, scope, wish);
  const meant = (await store.list(group)).filter(({ queue }) => isInScope(queue, scope));
  if (!dryRun)
    await inWindow(meant, ({ queue, operatorPause }) =>
      // A longer pause of a wider scope goes on.
      operatorPause !== undefined && operatorPause.until > wish.until && scope !== WHOLE_GROUP
        ? Promise.resolve(true)
        : store.setOperatorPause(group, queue, wish),
    );
  return {
    queues: meant.length,
    draining: meant.filter(({ lease }) => isLive(lease, wish.since)).length,
  };
}

/**
 * Ends operators' pauses of this scope and of narrower ones. Pauses of the coordinator's own checks stay.
 * @returns how many queues were paused; or the pause of a wider scope that has to end first, and nothing is done
 */
export async function resumeQueues(
  store: AssignmentStore,
  { group, scope, dryRun = false }: PauseScope,
  now: number,
): Promise<{ readonly queues: number } | { readonly wider: StandingPause }> {
  const [standing, items] = await Promise.all([store.standingPauses(group), store.list(group)]);
  const active = standing.filter(({ until }) => until > now);
  const meant = items.filter(({ queue }) => isInScope(queue, scope));
  const wider = active.find(
    (one) =>
      one.scope !== scope &&
      !isPartOf(one.scope, scope) &&
      meant.some(({ queue }) => isInScope(queue, one.scope)),
  );
  if (wider !== undefined) return { wider };
  const paused = meant.filter(({ operatorPause }) => operatorPause !== undefined);
  if (!dryRun) {
    await Promise.all(
      active
        .filter((one) => isPartOf(one.scope, scope))
        .map((one) => store.writeStandingPause(group, one.scope, undefined)),
    );
    await inWindow(paused, ({ queue }) => store.setOperatorPause(group, queue, undefined));
  }
  return {
    queues: paused.filter(
      ({ operatorPause }) => operatorPause !== undefined && operatorPause.until > now,
    ).length,
  };
}

/** Is everything that `scope` means part of `of`? */
function isPartOf(scope: string, of: string): boolean {
  return of === WHOLE_GROUP || scope === of || scope.startsWith(`${of}/`);
}
