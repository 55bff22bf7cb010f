import { setTimeout as delay } from 'node:timers/promises';
import { timerMs } from '../model/timer.ts';
import type { Clock } from '../ports/clock.ts';

/** The clock of programs that use the client by themselves: what waits for it keeps the process alive. */
export const PROGRAM_CLOCK: Clock = {
  now: Date.now,
  sleep: (ms, signal) =>
    delay(timerMs(ms), undefined, signal === undefined ? {} : { signal }).catch(
      (error: unknown) => {
        throw signal?.aborted === true ? signal.reason : error;
      },
    ),
};
