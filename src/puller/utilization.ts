import type { Clock } from '../ports/clock.ts';
import type { Meter } from '../ports/meter.ts';

/** As often as CloudWatch keeps a value. */
const TELL_MS = 60_000;

/**
 * The share of the time in which any queue of a puller has messages in hand, from the answer that brings them until the last is settled. Told once a
 * minute by the changes themselves, and for the rest at the end; not by a puller that never had a queue.
 */
export class Utilization {
  readonly #clock: Clock;
  readonly #meter: Meter;
  readonly #busy = new Set<string>();
  #worked = false;
  #since: number;
  #busySince: number | undefined;
  #busyMs = 0;

  constructor(clock: Clock, meter: Meter) {
    this.#clock = clock;
    this.#meter = meter;
    this.#since = clock.now();
  }

  /** A queue says whether it has messages in hand. */
  note(queue: string, busy: boolean): void {
    const now = this.#clock.now();
    this.#worked = true;
    if (busy) this.#busy.add(queue);
    else this.#busy.delete(queue);
    if (this.#busy.size > 0) this.#busySince ??= now;
    else this.#pause(now);
    if (now - this.#since >= TELL_MS) this.#tell(now);
  }

  /** The puller ends. */
  finish(): void {
    if (this.#worked) this.#tell(this.#clock.now());
  }

  #pause(now: number): void {
    if (this.#busySince !== undefined) this.#busyMs += now - this.#busySince;
    this.#busySince = undefined;
  }

  #tell(now: number): void {
    this.#pause(now);
    const ms = now - this.#since;
    if (ms > 0)
      this.#meter.observe(
        'PollerUtilization',
        Math.min(100, Math.max(0, (this.#busyMs / ms) * 100)),
      );
    this.#since = now;
    this.#busyMs = 0;
    if (this.#busy.size > 0) this.#busySince = now;
  }
}
