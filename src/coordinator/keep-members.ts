import { type QueueFacts, whichToInvoke } from '../decide/dispatch/which-to-invoke.ts';
import { isLive } from '../decide/lease/lease.ts';
import type { Assignment } from '../model/assignment.ts';
import { seatGroup, seatOf } from '../model/membership.ts';
import { queueKey } from '../model/message-queue.ts';
import { isEnabled } from '../model/source.ts';
import type { GroupRun } from './group-run.ts';
import { invoke } from './invoke-pullers.ts';

/** A pause ends by itself; members see it at their next renewal. */
const PAUSE_MS = 60_000;

/**
 * With `coexist`, every slot has to be a member of the group all the time, also with nothing to do: a member that comes and goes makes the others
 * rebalance. Each slot's seat is held by one invocation (membership/run-member), which is replaced before it ends, and again when it died.
 */
export async function keepMembers(run: GroupRun): Promise<void> {
  const group = seatGroup(run.group);
  const now = run.clock.now();
  const slots = typeof run.source.pullers === 'number' ? run.source.pullers : 1;
  const seats = await seatsOf(run, group, slots);
  if (!isEnabled(run.source, run.retryTopic)) {
    const taken = seats.filter(
      ({ lease, pausedUntil = 0 }) => isLive(lease, now) && pausedUntil < now + PAUSE_MS / 2,
    );
    await Promise.all(taken.map(({ queue }) => run.store.setPaused(group, queue, now + PAUSE_MS)));
    return;
  }
  // Whoever sits there has something to do, whatever a broker says.
  const facts = new Map<string, QueueFacts>(
    seats.map(({ queue }) => [queueKey(queue), { committed: undefined, max: undefined }]),
  );
  const { requests } = whichToInvoke(seats, facts, run.invoked, run.source.pullers, now, run.rules);
  const fences = new Map(seats.map(({ queue, fence }) => [queueKey(queue), fence]));
  await Promise.all(requests.map(({ slot, queues }) => invoke(run, slot, queues, fences, facts)));
}

/** The seats of the slots that there are now; those that are missing are made. */
async function seatsOf(
  run: GroupRun,
  group: GroupRun['group'],
  slots: number,
): Promise<Assignment[]> {
  const stored = await run.store.list(group);
  const known = new Set(stored.map(({ slot }) => slot));
  const missing = Array.from({ length: slots }, (_, slot) => slot).filter(
    (slot) => !known.has(slot),
  );
  if (missing.length === 0) return stored.filter(({ slot }) => slot < slots);
  await Promise.all(missing.map((slot) => run.store.create(group, seatOf(slot), slot, 0n)));
  return (await run.store.list(group)).filter(({ slot }) => slot < slots);
}
