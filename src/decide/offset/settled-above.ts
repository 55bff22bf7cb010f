import type { Assignment } from '../../model/assignment.ts';

/** What the item has of the offset that holders confirmed and settled. */
export type ItemOffsets = Pick<
  Assignment,
  'committedOffset' | 'settledOffset' | 'confirmedAt' | 'progressAt' | 'heldUntil' | 'lifeMark'
>;

/** Brokers write offsets to their disk every 5 s (`flushConsumerOffsetInterval`). */
const PERSISTED_AFTER_MS = 10_000;

/**
 * May the broker have lost commits of the last holder? The stored offset is below the confirmed one,
 * and the last commit was so young at its last confirmation that the broker may not have persisted
 * it. After a pause the stored offset counts: operators reset groups while they are paused.
 */
export function mayHaveLostCommits(
  stored: bigint | undefined,
  { committedOffset, confirmedAt, progressAt, heldUntil }: ItemOffsets,
): boolean {
  return (
    stored !== undefined &&
    committedOffset !== undefined &&
    stored < committedOffset &&
    confirmedAt !== undefined &&
    progressAt !== undefined &&
    heldUntil !== undefined &&
    confirmedAt - progressAt <= PERSISTED_AFTER_MS
  );
}

/**
 * An offset above the stored one, below which everything is settled. undefined: the stored one
 * counts. A stored offset below the confirmed one is another client's decision (a reset), unless
 * the broker was started after it had confirmed the higher one: a restart lost the commits.
 * @param startedAt earliest time at which the broker may have been started, epoch ms; undefined: not known
 */
export function settledAbove(
  stored: bigint,
  item: ItemOffsets,
  startedAt: number | undefined,
): bigint | undefined {
  const { committedOffset, settledOffset, confirmedAt, lifeMark } = item;
  // The mark proves that the offsets still have the messages that were settled.
  if (committedOffset === undefined || lifeMark === undefined) return undefined;
  const lost =
    mayHaveLostCommits(stored, item) &&
    startedAt !== undefined &&
    confirmedAt !== undefined &&
    startedAt > confirmedAt;
  if (stored < committedOffset && !lost) return undefined;
  const settled = settledOffset ?? committedOffset;
  return settled > stored ? settled : undefined;
}

/**
 * Has another client set the offset back since the broker confirmed a higher one? What the item counts
 * (failed deliveries, limits of batches) is then of deliveries that begin again. Not where the broker
 * may have lost commits instead: its last ones were young, and when it was started is not known.
 * @param startedAt as for `settledAbove`
 */
export function isSetBack(
  stored: bigint | undefined,
  { committedOffset, confirmedAt, progressAt }: ItemOffsets,
  startedAt: number | undefined,
): boolean {
  if (stored === undefined || committedOffset === undefined || stored >= committedOffset)
    return false;
  if (confirmedAt === undefined || progressAt === undefined) return false;
  const isPersisted = confirmedAt - progressAt > PERSISTED_AFTER_MS;
  return isPersisted || (startedAt !== undefined && startedAt <= confirmedAt);
}
