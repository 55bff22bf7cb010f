import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { QueueMirrors } from '../ports/assignment-store.ts';
import type { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { KnownQueue } from './known-queue.ts';

interface MirrorParts {
  readonly offsets: Pick<OffsetKeeper, 'confirmedAt' | 'isUnderWay' | 'notCommitted'>;
  readonly known: Pick<KnownQueue, 'maxOffset' | 'lifeMark' | 'progressAt'>;
  readonly messages: Pick<ProcessQueue, 'nextOffset'>;
  readonly committedOffset: () => bigint;
}

/**
 * What the assignment shows of the queue, for the next holder, for people and for scaling: offsets, the queue's end as reported or pulled, and when the
 * group went on.
 * @param isAlone nobody else commits offsets of the group in this queue
 * @param isStore the assignment is where offsets are committed (BROADCASTING): a renewal that overtakes
 *   the answer of a commit must not put the offset of before in its place
 */
export function mirrorsOf(
  { offsets, known, messages, committedOffset }: MirrorParts,
  isAlone: boolean,
  isStore: boolean,
): Partial<QueueMirrors> {
  const { maxOffset, lifeMark, progressAt } = known;
  const { nextOffset } = messages;
  const { confirmedAt, notCommitted } = offsets;
  return {
    ...(!(isStore && offsets.isUnderWay) && { committedOffset: committedOffset() }),
    ...(isAlone && confirmedAt !== undefined && { confirmedAt }),
    ...(isAlone && notCommitted !== undefined && { settledOffset: notCommitted }),
    lifeMark: lifeMark ?? null,
    ...(maxOffset !== undefined && {
      maxOffset: maxOffset < nextOffset ? nextOffset : maxOffset,
    }),
    ...(progressAt !== undefined && { progressAt }),
  };
}
