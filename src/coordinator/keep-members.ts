import { slotsToInvoke } from '../decide/dispatch/slots-to-invoke.ts';
import { isLive } from '../decide/lease/lease.ts';
import type { Assignment, SlotPlace } from '../model/assignment.ts';
import { isEnabled } from '../model/source.ts';
import type { GroupRun } from './group-run.ts';
import { invokeMember } from './invoke-pullers.ts';

/** A pause ends by itself; members see it at their next renewal. */
const PAUSE_MS = 60_000;

/**
 * With `coexist`, every slot has to be a member of the group all the time, also with nothing to do: a member that comes and goes makes the others
 * rebalance. Each slot's lease is held by one invocation (membership/run-member), which is replaced before it ends, and again when it died.
 */
export async function keepMembers(run: GroupRun): Promise<void> {
  const now = run.clock.now();
  const slots = typeof run.source.pullers === 'number' ? run.source.pullers : 1;
  const items = await slotItems(run, slots);
  if (!isEnabled(run.source, run.retryTopic)) {
    const held = items.filter(
      ({ lease, pausedUntil = 0 }) => isLive(lease, now) && pausedUntil < now + PAUSE_MS / 2,
    );
    await Promise.all(
      held.map(({ queue }) => run.store.slots.setPaused(run.group, queue.slot, now + PAUSE_MS)),
    );
    return;
  }
  await Promise.all(
    slotsToInvoke(items, run.invoked, now, run.rules).map((item) => invokeMember(run, item)),
  );
}

/** The items of the slots that there are now; those that are missing are made. */
async function slotItems(run: GroupRun, slots: number): Promise<Assignment<SlotPlace>[]> {
  const stored = await run.store.slots.list(run.group);
  const known = new Set(stored.map(({ queue }) => queue.slot));
  const missing = Array.from({ length: slots }, (_, slot) => slot).filter(
    (slot) => !known.has(slot),
  );
  await Promise.all(missing.map((slot) => run.store.slots.create(run.group, slot)));
  const all = missing.length === 0 ? stored : await run.store.slots.list(run.group);
  return all.filter(({ queue }) => queue.slot < slots);
}
