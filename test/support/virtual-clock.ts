import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/ports/clock.ts';

/** Turns of the event loop in which code that waits for no time comes to rest. */
const TURNS = 3;

/** A clock that a test moves. Code that waits for it goes on at once when its time has come. */
export interface VirtualClock extends Clock {
  /** Passes time from sleeper to sleeper until the promise has settled. @throws when nothing sleeps, or after an hour */
  finish<T>(promise: Promise<T>): Promise<T>;
  /** Passes so many ms. */
  pass(ms: number): Promise<void>;
}

export function virtualClock(start = 1_700_000_000_000): VirtualClock {
  let now = start;
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  async function rest(): Promise<void> {
    for (let turns = 0; turns < TURNS; turns++) await turn();
  }
  function wakeNext(until: number): boolean {
    const [next] = [...sleepers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
    if (next === undefined) return false;
    sleepers.delete(next);
    now = Math.max(now, next.at);
    next.wake();
    return true;
  }

  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason);
        const sleeper = {
          at: now + ms,
          wake: () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        const onAbort = (): void => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        sleepers.add(sleeper);
      }),
    async finish(promise) {
      let settled = false;
      const onEnd = (): void => {
        settled = true;
      };
      promise.then(onEnd, onEnd);
      const limit = now + 3_600_000;
      for (;;) {
        await rest();
        if (settled) return promise;
        if (!wakeNext(limit)) throw new Error('nothing happens within an hour');
      }
    },
    async pass(ms) {
      const until = now + ms;
      do await rest();
      while (wakeNext(until));
      now = until;
    },
  };
}
