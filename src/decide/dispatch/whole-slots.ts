import type { Assignment } from '../../model/assignment.ts';
import { queueKey } from '../../model/message-queue.ts';
import { isLive } from '../lease/lease.ts';
import { type Dispatch, type DispatchRules, type Invoked, standing } from './which-to-invoke.ts';

/** A slot that is worked gets another invocation for a queue that is left over only so long after the last: everything has to be given back for that. */
export const JOIN_AFTER_MS = 60_000;

/**
 * Where a slot has one invocation at a time (`maximumConcurrency`), that one works all queues of the slot: when one of them needs a puller, a new
 * invocation gets them all, and waits for the slot's seat.
 * @param chosen what whichToInvoke says
 * @param assignments all that may be delivered
 * @param invoked by queue key
 */
export function wholeSlots(
  { requests, idle }: Dispatch,
  assignments: readonly Assignment[],
  invoked: ReadonlyMap<string, Invoked>,
  now: number,
  rules: DispatchRules = {},
): Dispatch {
  const slots = [...new Set(requests.map(({ slot }) => slot))];
  const needed = new Set(requests.flatMap(({ queues }) => queues.map(queueKey)));
  const whole = slots.flatMap((slot) => {
    const ofSlot = assignments.filter(
      (one) => one.slot === slot && standing(one, now, rules) !== 'resting',
    );
    const worked = ofSlot.some(({ lease }) => isLive(lease, now) && lease.slot === slot);
    const wants = ofSlot.filter(({ queue }) => needed.has(queueKey(queue)));
    // A queue that nobody ever held is new (the retry topic comes with the first failure): it does not wait.
    const atOnce = wants.some(
      (one) => one.fence === 0 || standing(one, now, rules) === 'succession',
    );
    const last = Math.max(
      ...ofSlot.map(({ queue }) => invoked.get(queueKey(queue))?.at ?? Number.NEGATIVE_INFINITY),
    );
    if (worked && !atOnce && now - last < JOIN_AFTER_MS) return [];
    return [{ slot, queues: ofSlot.map(({ queue }) => queue) }];
  });
  return { requests: whole, idle };
}

/**
 * May another invocation replace the one that works a slot, by what the table says of the slot's queues? Only when one of them is left over, or its
 * holder is to be succeeded. The request alone does not count: whoever may invoke the puller writes it.
 * @param acquiredAt when the slot's present invocation began
 */
export function mayJoinSlot(
  assignments: readonly Assignment[],
  slot: number,
  acquiredAt: number,
  now: number,
  rules: DispatchRules = {},
): boolean {
  return assignments.some((one) => {
    if (one.slot !== slot) return false;
    const status = standing(one, now, rules);
    if (status !== 'free') return status === 'succession';
    return one.fence === 0 || now - acquiredAt >= JOIN_AFTER_MS;
  });
}
