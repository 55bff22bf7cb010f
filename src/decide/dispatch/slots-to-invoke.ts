import { type Assignment, placeKey, type SlotPlace } from '../../model/assignment.ts';
import {
  type DispatchRules,
  INVOCATION_VALID_MS,
  type Invoked,
  standing,
} from './which-to-invoke.ts';

/**
 * Which slots need an invocation that is their member of the group: nobody holds them, or their
 * holder ends soon. Messages do not count. Not while the last invocation may still arrive.
 * @param invoked by place key
 */
export function slotsToInvoke(
  items: readonly Assignment<SlotPlace>[],
  invoked: ReadonlyMap<string, Invoked>,
  now: number,
  rules: DispatchRules = {},
): Assignment<SlotPlace>[] {
  return items.filter((item) => {
    const status = standing(item, now, rules);
    const last = invoked.get(placeKey(item.queue));
    return (
      (status === 'free' || status === 'succession') &&
      (last === undefined || now - last.at >= INVOCATION_VALID_MS)
    );
  });
}
