import type { Allocation } from '../coordinator/allocate-queues.ts';
import type { GroupRun } from '../coordinator/group-run.ts';
import type { Routes } from '../coordinator/read-routes.ts';
import { allocateAmongMembers } from '../decide/allocation/allocate.ts';
import { slotToStore } from '../decide/allocation/settled.ts';
import type { AssignedSlot } from '../model/membership.ts';
import { queueKey } from '../model/message-queue.ts';

/** Who owns which queue, by the same rule over the same list as every other member. */
export interface Owners {
  /** queueKey → slot, or FOREIGN_SLOT; only of topics that could be decided. */
  readonly slots: ReadonlyMap<string, AssignedSlot>;
  /** Topics without a route or without a list of members: everything stays as it is, as in Java. */
  readonly undecided: ReadonlySet<string>;
}

export function ownersOf(
  run: GroupRun,
  routes: Routes,
  members: ReadonlyMap<string, readonly string[]>,
): Owners {
  const slots = new Map<string, AssignedSlot>();
  const undecided = new Set(routes.unknown);
  const own = Array.from({ length: slotCount(run) }, (_, slot) => run.clientId(slot));
  for (const [topic, queues] of routes.queues) {
    const ids = members.get(topic) ?? [];
    if (queues.length > 0 && ids.length === 0) undecided.add(topic);
    if (queues.length === 0 || undecided.has(topic)) continue;
    try {
      for (const [key, slot] of allocateAmongMembers(run.source.strategy, queues, ids, own))
        slots.set(key, slot);
    } catch (error) {
      undecided.add(topic);
      run.problems.add(error, { topic });
    }
  }
  return { slots, undecided };
}

/** What the table is to say. Queues that are not in the routes are not lingered over: the other members do not either. */
export function allocationOf(
  run: GroupRun,
  routes: Routes,
  { slots, undecided }: Owners,
  {
    storedSlot,
    since,
  }: { storedSlot: (key: string) => AssignedSlot | undefined; since: ReadonlyMap<string, number> },
): Allocation {
  const now = run.clock.now();
  const wanted = [...routes.queues.values()].flat().flatMap((queue) => {
    const key = queueKey(queue);
    const owner = slots.get(key);
    return owner === undefined
      ? []
      : [{ queue, slot: slotToStore(owner, storedSlot(key), since.get(key), now) }];
  });
  return { slots: slotCount(run), wanted, undecided };
}

function slotCount({ source }: GroupRun): number {
  return typeof source.pullers === 'number' ? source.pullers : 1;
}
