/** One message of a batch that came back from its handler. */
export interface OrderedResult {
  readonly lane: string | undefined;
  /** Failed deliveries before this one. */
  readonly failures: number;
  /** Redeliveries before the dead-letter queue. */
  readonly maxFailures: number;
  readonly verdict: 'done' | 'failed' | 'dlq' | 'drop';
}

/**
 * - done, drop: finished; dlq: finished once it is in the dead-letter queue;
 * - again: failed, to be delivered again in its place after the suspension;
 * - untouched: behind a message that failed, so it counts as not delivered.
 */
export type OrderedEnd = 'done' | 'drop' | 'dlq' | 'again' | 'untouched';

/**
 * Ends of a batch's messages, in offset order. A lane stops at its first message that is not done, and so does the batch: its handler may have
 * stopped there.
 * @param othersDone the handler says that it went on with the other lanes
 * Mirrors ConsumeMessageOrderlyService.checkReconsumeTimes, which counts a failure for all messages of a batch: here only the first one's counts.
 */
export function endsInOrder(batch: readonly OrderedResult[], othersDone: boolean): OrderedEnd[] {
  const stopped = new Set<string>();
  let isBehindFailed = false;
  return batch.map(({ lane, failures, maxFailures, verdict }) => {
    if (lane !== undefined && stopped.has(lane)) return 'untouched';
    if (verdict === 'done') return isBehindFailed && !othersDone ? 'untouched' : 'done';
    isBehindFailed = true;
    if (lane !== undefined) stopped.add(lane);
    if (verdict !== 'failed') return verdict;
    return failures >= maxFailures ? 'dlq' : 'again';
  });
}

/** The default limit of unordered sources: a message that fails more often than that in its place is worth an alarm. */
const ALARM_AT = 16;

/** Is it time to say (again) that a message holds up what is behind it? At 16 failures, then whenever they have doubled. */
export function blocksForLong(failures: number): boolean {
  return failures >= ALARM_AT && Number.isInteger(Math.log2(failures));
}
