import { timerMs } from '../model/timer.ts';
import type { Clock } from '../ports/clock.ts';

/**
 * Waits for work, but no longer than `ms`; the work itself goes on.
 * @throws what the work throws in that time
 */
export async function waitAtMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const tooLate = clock.sleep(timerMs(Math.max(0, ms)), over.signal).catch(() => undefined);
  try {
    await Promise.race([work, tooLate]);
  } finally {
    over.abort(new Error('the wait is over'));
  }
}
