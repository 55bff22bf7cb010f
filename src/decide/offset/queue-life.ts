import type { LifeMark } from '../../model/assignment.ts';
import type { Message } from '../../model/message.ts';

/** What a broker reports of a queue now. */
export interface QueueRange {
  readonly min: bigint;
  /** The next offset to be written. */
  readonly max: bigint;
  /** Store time of the message at `min`, epoch ms. undefined: the queue is empty, or it cannot be read. */
  readonly firstStoredAt: number | undefined;
}

/**
 * Was the queue deleted and created again since the mark was set? A queue that still reaches back to the marked message
 * has that message, or an older one, at its minimum. When even its first message was stored later than the marked one,
 * the offsets of the mark belong to an earlier life of the queue.
 * Both times are the broker's. A queue whose minimum is beyond the mark proves nothing: its older messages may have expired.
 */
export function isAnotherLife(mark: LifeMark | undefined, range: QueueRange): boolean {
  return (
    mark !== undefined &&
    range.firstStoredAt !== undefined &&
    range.min <= mark.offset &&
    range.firstStoredAt > mark.storedAt
  );
}

/** Is the queue's present life proven to be the one that the mark is of? */
export function isSameLife(mark: LifeMark | undefined, range: QueueRange): mark is LifeMark {
  return (
    mark !== undefined &&
    range.firstStoredAt !== undefined &&
    range.min <= mark.offset &&
    range.firstStoredAt <= mark.storedAt
  );
}

/** The mark after these messages of the same life were given. */
export function advanceMark(
  mark: LifeMark | undefined,
  messages: readonly Pick<Message, 'queueOffset' | 'storeTimestamp'>[],
): LifeMark | undefined {
  let newest = mark;
  // Of one millisecond the last message: the mark stays checkable until that one has expired.
  for (const { queueOffset, storeTimestamp } of messages)
    if (newest === undefined || storeTimestamp >= newest.storedAt)
      newest = { offset: queueOffset, storedAt: storeTimestamp };
  return newest;
}
