import { setTimeout as delay } from 'node:timers/promises';
import { timerMs } from '../model/timer.ts';
import type { Clock } from '../ports/clock.ts';

/**
 * How fast the clock goes while it waits for a wall clock that was set back. Slow enough to come together again, fast
 * enough that a lease of 30 s is only 0.3 s longer, which its safety margin covers.
 */
const CATCH_UP_RATE = 0.99;

/** Where the clock reads the time, in milliseconds. */
export interface TimeSources {
  /** Since the epoch; may be set forward and back. */
  readonly wall: () => number;
  /** Since any moment; never goes back, but stands still while a sandbox is frozen. */
  readonly monotonic: () => number;
}

const SYSTEM: TimeSources = { wall: () => Date.now(), monotonic: () => performance.now() };

/**
 * Epoch milliseconds that never go back. A lease is judged by this clock: after a wall clock that was set back, it would
 * seem to last longer than the table's other readers think. So the time that passed counts when the wall clock shows less
 * of it, and the wall clock when it shows more, as after a freeze in which monotonic time stood still.
 *
 * Make one per invocation: what a wall clock did wrong in an earlier invocation must not last.
 */
export function createSystemClock({ wall, monotonic }: TimeSources = SYSTEM): Clock {
  let last = wall();
  let readAt = monotonic();
  return {
    now() {
      const reading = monotonic();
      last = Math.max(wall(), last + (reading - readAt) * CATCH_UP_RATE);
      readAt = reading;
      return Math.floor(last);
    },
    async sleep(ms, signal) {
      try {
        await delay(timerMs(ms), undefined, {
          ref: false,
          ...(signal === undefined ? {} : { signal }),
        });
      } catch (error) {
        // node:timers rejects with its own AbortError; the port promises the signal's reason.
        throw signal?.aborted ? signal.reason : error;
      }
    },
  };
}

/** For what lives as long as the process. */
export const systemClock: Clock = createSystemClock();
