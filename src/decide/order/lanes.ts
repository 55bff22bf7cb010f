/** What the rule needs to know of a message that has no end yet. */
export interface LaneEntry {
  /** Messages of one lane are delivered strictly in offset order; undefined: a lane of its own. */
  readonly lane: string | undefined;
  readonly state: 'ready' | 'taken' | 'done';
  /** Epoch ms: not to be delivered before. */
  readonly notBefore: number;
}

/**
 * The messages that one batch may take, in offset order. A lane is passed over as soon as a message of it is with another batch or has to wait
 * (a parked lane: its head failed and is suspended), so that nothing overtakes. Each message that is given must be taken before the next is asked for.
 * @param entries in offset order, from the lowest unfinished one
 */
export function* takeInOrder<Entry extends LaneEntry>(
  entries: Iterable<Entry>,
  now: number,
): Generator<Entry, undefined> {
  const blocked = new Set<string>();
  for (const entry of entries) {
    const { lane, state, notBefore } = entry;
    if (state === 'done' || (lane !== undefined && blocked.has(lane))) continue;
    if (state === 'ready' && notBefore <= now) yield entry;
    else if (lane !== undefined) blocked.add(lane);
  }
}
