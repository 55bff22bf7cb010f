/** Kept back at the end of an invocation to settle, commit and release. */
export const RESERVE_MS = 8_000;
/** Brokers end a long poll at the next tick of their own clock (PullRequestHoldService). */
export const BROKER_TICK_MS = 5_000;
/** DefaultMQPushConsumer's brokerSuspendMaxTimeMillis. */
export const MAX_SUSPEND_MS = 15_000;

/** Time for new work: what the invocation has left, less the reserve. Negative: drain. */
export function workTime(remainingMs: number, reserveMs: number): number {
  return remainingMs - reserveMs;
}

/** How long a pull may be held so that it ends within the work time whatever the broker's tick; 0: do not hold. */
export function suspendTime(workMs: number, maxSuspendMs: number = MAX_SUSPEND_MS): number {
  return Math.max(0, Math.min(maxSuspendMs, workMs - BROKER_TICK_MS));
}

/** May a handler be called that may take its whole timeout? The reserve stays whole: a holder may not act in its lease's last seconds. */
export function fitsHandler(
  remainingMs: number,
  handlerTimeoutMs: number,
  reserveMs: number,
): boolean {
  return handlerTimeoutMs + reserveMs <= remainingMs;
}

/** When handlers that have not answered are given up, though their own timeout should have ended them: the queue is to be given back in time. */
export function mustGiveUp(remainingMs: number, reserveMs: number): boolean {
  return remainingMs <= reserveMs * 0.8;
}
