import type { LifeMark } from '../../model/assignment.ts';
import { isAnotherLife, isSameLife, type QueueRange } from './queue-life.ts';

/** What is known of a group's place in a queue when a holder begins, or when a broker refuses the offset of a pull. */
export interface StartFacts {
  /** The broker's offset of the group; undefined: it has none. */
  readonly stored: bigint | undefined;
  /** The table's copy of the committed offset; undefined: no holder has written one. */
  readonly committed: bigint | undefined;
  /** Everything below it is settled, though less is stored (decide/offset/settled-above). */
  readonly settled?: bigint | undefined;
  /** The offset that was decided when the item was created. */
  readonly start: bigint;
  readonly mark: LifeMark | undefined;
  /** The table's copy of the queue's maximum, for items without a mark. */
  readonly knownMax: bigint | undefined;
  /** undefined: the broker does not allow to ask for it. */
  readonly range: QueueRange | undefined;
}

export type StartOffset =
  /** The candidate is valid. */
  | { readonly kind: 'stored' | 'committed' | 'decided'; readonly offset: bigint }
  /** The candidate is of another life of the queue, or lies outside it: begin at the first message. */
  | {
      readonly kind: 'minimum';
      readonly offset: bigint;
      readonly reason: 'another-life' | 'above-maximum' | 'below-minimum';
      readonly candidate: bigint;
    }
  /**
   * The candidate is above the maximum of the same life: the broker lost its last messages. Begin at the first message
   * that was stored after `storedAt`, which is the first one that no holder was given.
   */
  | { readonly kind: 'younger-than'; readonly storedAt: number; readonly candidate: bigint }
  /**
   * The stored offset is too low. Begin at the candidate, or at the first message behind the stored offset that was
   * stored after `storedAt`, if that is lower: the broker lost messages too, and others have their offsets now.
   */
  | {
      readonly kind: 'settled';
      readonly storedAt: number;
      readonly stored: bigint;
      readonly offset: bigint;
    };

/**
 * Where to begin. The candidate is the broker's offset, else the table's copy of it, else the start offset. A candidate
 * that does not belong to the queue as it is now is given up for the queue's minimum, so that no message is skipped.
 */
export function startOffset(facts: StartFacts): StartOffset {
  const { range, mark, knownMax } = facts;
  const valid = candidateOf(facts);
  const candidate = valid.offset;
  if (range === undefined) return valid;
  const minimum = (reason: 'another-life' | 'above-maximum' | 'below-minimum'): StartOffset => ({
    kind: 'minimum',
    offset: range.min,
    reason,
    candidate,
  });
  // Without a mark: a queue does not become shorter within one life.
  const shorter = mark === undefined && knownMax !== undefined && knownMax > range.max;
  if (shorter || isAnotherLife(mark, range)) return minimum('another-life');
  if (candidate < range.min) return minimum('below-minimum');
  if (candidate <= range.max) return valid;
  return isSameLife(mark, range)
    ? { kind: 'younger-than', storedAt: mark.storedAt, candidate }
    : minimum('above-maximum');
}

function candidateOf({ stored, committed, settled, start, mark }: StartFacts) {
  if (settled !== undefined && stored !== undefined && mark !== undefined)
    return { kind: 'settled', offset: settled, stored, storedAt: mark.storedAt } as const;
  if (stored !== undefined) return { kind: 'stored', offset: stored } as const;
  return committed === undefined
    ? ({ kind: 'decided', offset: start } as const)
    : ({ kind: 'committed', offset: committed } as const);
}
