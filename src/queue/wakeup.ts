import { timerMs } from '../model/timer.ts';
import type { Clock } from '../ports/clock.ts';

/** Calls `fire` after `ms`, unless it is cancelled before by calling what it returns. */
type StartTimer = (ms: number, fire: () => void) => () => void;

const NODE_TIMER: StartTimer = (ms, fire) => {
  const timer = setTimeout(fire, timerMs(ms));
  return () => clearTimeout(timer);
};

/** Timers of a clock. */
export function timerOf(clock: Clock): StartTimer {
  return (ms, fire) => {
    const cancelled = new AbortController();
    clock.sleep(ms, cancelled.signal).then(fire, () => {});
    return () => cancelled.abort();
  };
}

/** Lets loops sleep until something changed or a time has passed. */
export class Wakeup {
  #waiting = new Set<() => void>();
  readonly #onChange: () => void;
  readonly #startTimer: StartTimer;

  /** @param onChange called at every change, before those who wait */
  constructor(onChange: () => void = () => {}, startTimer: StartTimer = NODE_TIMER) {
    this.#onChange = onChange;
    this.#startTimer = startTimer;
  }

  /** Resolves at the next `all`, or after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = this.#startTimer(ms, done);
      this.#waiting.add(done);
    });
  }

  /** Only after something changed: loops that woke each other for nothing would never let a timer or socket have its turn. */
  all(): void {
    this.#onChange();
    const waiting = this.#waiting;
    // A cleared set would stay linked to the tables of those before it, see CutMap.
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }
}
