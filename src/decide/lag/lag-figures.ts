import type { MetricName } from '../../model/metrics.ts';
import type { DispatchRules } from '../dispatch/which-to-invoke.ts';

/** What is known of one queue of a group. Times are epoch ms. */
export interface QueueLag {
  /** Messages between the committed offset and the end of the queue. */
  readonly lag: bigint;
  /** When the first of them was stored; undefined: there is none, or it could not be read. */
  readonly waitingSince: number | undefined;
  /** When the committed offset moved last, as far as its holders noted it. */
  readonly progressAt: number | undefined;
  /** Does somebody hold it now? */
  readonly owned: boolean;
  /** Somebody wants it to rest: paused, or its subscription is not enabled. */
  readonly rests: boolean;
}

/** A queue with waiting messages whose offset did not move for so long stands still. A batch may take a handler's longest timeout. */
export const STALLED_AFTER_MS = 15 * 60_000;
/** A message wakes a puller within seconds, where nothing makes it wait: only what waits for longer is nobody's. */
const UNOWNED_AFTER_MS = 10_000;

/**
 * Where queues could not be measured, their lag may be any: sum and maximum are absent then, and so
 * is every other figure that is 0 without them.
 */
export type LagFigures = Pick<Record<MetricName, number>, 'UnmeasuredQueues'> &
  Partial<
    Pick<
      Record<MetricName, number>,
      | 'SumOffsetLag'
      | 'MaxOffsetLag'
      | 'StalledQueues'
      | 'UnownedQueues'
      /** Milliseconds; 0 when no message waits. Absent when messages wait and their store time is unknown. */
      | 'OldestMessageAge'
    >
  >;

/** How long a message may wait for a puller by the rules of its deployment, beside the seconds that one needs to come. */
export function mayWaitMs({ lookEveryMs = 0, activation }: DispatchRules): number {
  return lookEveryMs + (activation?.maxMessageAgeMs ?? 0);
}

/**
 * The lag of a group over its queues, for CloudWatch.
 * @param waitMs see mayWaitMs
 * @param unmeasured queues that are not among them, because their brokers do not respond
 */
export function lagFigures(
  queues: readonly QueueLag[],
  now: number,
  waitMs = 0,
  unmeasured = 0,
): LagFigures {
  const lags = queues.map(({ lag }) => Math.max(0, Number(lag)));
  const behind = queues.filter(({ lag }) => lag > 0n);
  const ages = behind.flatMap(({ waitingSince }) =>
    waitingSince === undefined ? [] : [Math.max(0, now - waitingSince)],
  );
  const awake = behind.filter(({ rests, waitingSince }) => !rests && waitingSince !== undefined);
  const stalled = awake.filter((queue) => now - movedAt(queue) >= STALLED_AFTER_MS + waitMs);
  const unowned = awake.filter(
    ({ owned, waitingSince = now }) => !owned && now - waitingSince >= UNOWNED_AFTER_MS + waitMs,
  );
  const figures = {
    StalledQueues: stalled.length,
    UnownedQueues: unowned.length,
    ...((behind.length === 0 || ages.length > 0) && { OldestMessageAge: Math.max(0, ...ages) }),
  };
  if (unmeasured > 0)
    return {
      UnmeasuredQueues: unmeasured,
      ...Object.fromEntries(Object.entries(figures).filter(([, value]) => value > 0)),
    };
  return {
    UnmeasuredQueues: 0,
    SumOffsetLag: lags.reduce((sum, lag) => sum + lag, 0),
    MaxOffsetLag: Math.max(0, ...lags),
    ...figures,
  };
}

/** The queue owes progress since its last one, or since there is something to do. */
function movedAt({ progressAt = 0, waitingSince = 0 }: QueueLag): number {
  return Math.max(progressAt, waitingSince);
}
