import { workTime } from '../decide/budget/time-budget.ts';
import type { Clock } from '../ports/clock.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';

interface FetchTime {
  readonly remainingMs: PullerDeps['remainingMs'];
  readonly options: Pick<PullerOptions, 'reserveMs'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'stop'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
}

/**
 * How much time there is to fetch messages and deliver them, ms; undefined: none, and the queue
 * ends, or its lease has ended, which is lost or comes back (regain-lease).
 */
export function fetchTime({
  remainingMs,
  options,
  lifecycle,
  lease,
}: FetchTime): number | undefined {
  const workMs = workTime(remainingMs(), options.reserveMs);
  if (workMs <= 0) lifecycle.stop('deadline');
  return workMs > 0 && lease.mayAct() ? workMs : undefined;
}

/** Waits out a back-off; ends early only when the queue is on its way out. */
export async function pause(
  {
    clock,
    lifecycle,
  }: { readonly clock: Clock; readonly lifecycle: Pick<LifecycleKeeper, 'signal'> },
  ms: number,
): Promise<void> {
  await clock.sleep(ms, lifecycle.signal('backoff')).catch(() => {});
}
