import { onAbort } from '../model/on-abort.ts';
import { timerMs } from '../model/timer.ts';

export interface WaitLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What to throw when the time is up. */
  readonly timeoutError: () => Error;
}

/** The promise's result, unless the time is up or the signal aborts first; the promise itself goes on. */
export function within<T>(
  promise: Promise<T>,
  { timeoutMs, signal, timeoutError }: WaitLimits,
): Promise<T> {
  if (signal?.aborted === true) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      settle();
      reject(timeoutError());
    }, timerMs(timeoutMs));
    const settle = (): void => {
      clearTimeout(timer);
      unlink();
    };
    const unlink = onAbort(signal, () => {
      settle();
      reject(signal?.reason);
    });
    promise.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}
