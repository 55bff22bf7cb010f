import type { CrashRecord } from '../../model/assignment.ts';

/** Holders that may die with the same lowest unfinished offset before its messages are delivered one at a time. */
export const DEATHS_BEFORE_ISOLATION = 2;
/** Holders that one isolated message may kill before it is sent back without a delivery. */
export const DEATHS_BEFORE_SEND_BACK = 3;

/**
 * What the crash record of an acquisition means once the committed offset is known.
 * Progress since the last death makes it a new story: some other message, or no message at all, was the cause. So does an offset that was moved back:
 * what comes again from before the deaths is not to be delivered one by one.
 * @param span how far beyond the committed offset messages may have been in flight
 */
export function refreshCrash(
  record: CrashRecord | undefined,
  committed: bigint,
  span: number,
): CrashRecord | undefined {
  if (record === undefined) return undefined;
  const { offset, suspect, isolateUntil } = record;
  // Isolation reaches no further than a span beyond what was committed then, and without it the record is no further than that itself.
  const movedBack =
    isolateUntil > committed + BigInt(span) || (isolateUntil === offset && committed < offset);
  if (committed > (suspect ?? offset) || movedBack)
    return { offset: committed, count: 1, isolateUntil: committed };
  if (suspect !== undefined || isolateUntil > committed) return record;
  return record.count >= DEATHS_BEFORE_ISOLATION
    ? { ...record, count: 0, isolateUntil: committed + BigInt(span) }
    : record;
}

/** How to deliver the message at an offset. */
export function isolation(
  record: CrashRecord | undefined,
  offset: bigint,
): 'batch' | 'alone' | 'send-back' {
  if (record === undefined || offset >= record.isolateUntil) return 'batch';
  return record.suspect === offset && record.count >= DEATHS_BEFORE_SEND_BACK
    ? 'send-back'
    : 'alone';
}

/**
 * The record to announce before a message is delivered alone. Deaths are counted per message.
 * @param fence of the holder that delivers it
 */
export function suspect(record: CrashRecord, offset: bigint, fence: number): CrashRecord {
  return {
    offset,
    suspect: offset,
    suspectedBy: fence,
    count: record.suspect === offset ? record.count : 0,
    isolateUntil: record.isolateUntil,
  };
}
