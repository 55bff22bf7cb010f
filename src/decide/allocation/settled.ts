import { type AssignedSlot, FOREIGN_SLOT } from '../../model/membership.ts';

/** Java's members rebalance within a second of each other, and store the offset of a queue when they drop it. */
export const SETTLE_MS = 1_500;

/**
 * Since when queues are ours by the allocation over all members. One that another member had is not begun before that member has had the time to
 * hear of it, drop it and store its offset; one that was ours already goes on at once.
 * @param owners queueKey → slot, of this pass
 * @param before the answer of the pass before
 * @param storedSlot of the queue's item; undefined: no item
 */
export function oursSince(
  owners: ReadonlyMap<string, AssignedSlot>,
  slot: number,
  before: ReadonlyMap<string, number>,
  storedSlot: (key: string) => AssignedSlot | undefined,
  now: number,
): Map<string, number> {
  const ours = [...owners].filter(([, owner]) => owner === slot);
  return new Map(
    ours.map(([key]) => [
      key,
      before.get(key) ?? (storedSlot(key) === slot ? now - SETTLE_MS : now),
    ]),
  );
}

/** The slot that the queue's item is to have now: what was just won stays where it is until it is settled. */
export function slotToStore(
  owner: AssignedSlot,
  stored: AssignedSlot | undefined,
  since: number | undefined,
  now: number,
): AssignedSlot {
  if (since === undefined || now - since >= SETTLE_MS) return owner;
  return stored ?? FOREIGN_SLOT;
}
