import { timerMs } from '../model/timer.ts';

/** Lets loops sleep until something changed or a time has passed. */
export class Wakeup {
  #waiting = new Set<() => void>();
  readonly #onChange: () => void;

  /** @param onChange told of every change before those who wait */
  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Resolves at the next `all`, or after `ms`. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timerMs(ms));
      this.#waiting.add(done);
    });
  }

  /** Only after something changed: loops that woke each other for nothing would never let a timer or socket have its turn. */
  all(): void {
    this.#onChange();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
