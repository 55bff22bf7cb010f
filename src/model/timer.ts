/** The longest time of a timer. Node runs longer ones after 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The time as a timer takes it: at most 24.8 days, whatever was configured. */
export function timerMs(ms: number): number {
  return Math.min(ms, MAX_TIMER_MS);
}
