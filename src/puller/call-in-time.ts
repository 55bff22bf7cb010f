import { SAFETY_MARGIN_MS } from '../decide/lease/lease.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { onAbort } from '../model/on-abort.ts';
import { timerMs } from '../model/timer.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { PullerDeps } from './puller-deps.ts';

/** What of the invocation is left when a call is given up: a holder does not act in its lease's last seconds, and has to commit before. */
const CALL_RESERVE_MS = SAFETY_MARGIN_MS + 1_000;
/** More than the SDK takes for all its attempts: a call beyond it hangs. */
const MAX_CALL_MS = 15_000;

/** The invocation ends before the call has. It may have been carried out. */
export class NoTimeLeftError extends Error {
  constructor() {
    super('not completed before the end of the invocation');
    this.name = 'NoTimeLeftError';
  }
}

/** The call took longer than any that still has an answer. It may have been carried out. */
class CallTimeoutError extends Error {
  constructor() {
    super(`no answer within ${MAX_CALL_MS / 1000} s`);
    this.name = 'CallTimeoutError';
  }
}

export interface InTimeParts extends Pick<PullerDeps, 'remainingMs'> {
  readonly lifecycle: Pick<LifecycleKeeper, 'signal'>;
}

/**
 * Makes a call to a system that may not respond. It is given up, whether it obeys its signal or not, after 15 s, when the queue's requests end, and in
 * time for the end of the invocation.
 * @param reserveMs what is left of the invocation then
 * @throws NoTimeLeftError when the invocation ends, else what the call throws, or why it was given up
 */
export async function callInTime(
  { remainingMs, lifecycle }: InTimeParts,
  call: (signal: AbortSignal) => Promise<unknown>,
  reserveMs = CALL_RESERVE_MS,
): Promise<void> {
  const leftMs = remainingMs() - reserveMs;
  if (leftMs <= 0) throw new NoTimeLeftError();
  const timeUp = new AbortController();
  const { signal, unlink } = linkSignals(lifecycle.signal('requests'), timeUp.signal);
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  // A call that obeys the signal has ended a turn later.
  const giveUp = (): void => void setTimeout(() => reject(signal.reason), 0);
  if (signal.aborted) giveUp();
  const forget = onAbort(signal, giveUp);
  const timer = setTimeout(
    () => timeUp.abort(leftMs > MAX_CALL_MS ? new CallTimeoutError() : new NoTimeLeftError()),
    timerMs(Math.min(leftMs, MAX_CALL_MS)),
  );
  try {
    await Promise.race([call(signal), givenUp]);
  } catch (error) {
    // What the call makes of its signal is no news of its own.
    throw timeUp.signal.aborted ? timeUp.signal.reason : error;
  } finally {
    clearTimeout(timer);
    forget();
    unlink();
  }
}
