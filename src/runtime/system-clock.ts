import { setTimeout as delay } from 'node:timers/promises';
import { timerMs } from '../model/timer.ts';
import type { Clock } from '../ports/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
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
