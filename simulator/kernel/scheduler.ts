/** A process of the simulated world. Everything that its code waits for belongs to it. */
export interface Host {
  readonly name: string;
  /** Added to the virtual time by its own clock, ms. */
  readonly skewMs: number;
  state: 'running' | 'frozen' | 'dead';
  /** Events that came due while it was frozen. */
  deferred: SimulatedEvent[];
  /** Timers of its code that have not fired yet. */
  readonly timers: Set<SimulatedEvent>;
}

export interface SimulatedEvent {
  readonly at: number;
  readonly sequence: number;
  readonly host: Host;
  readonly run: () => void;
  cancelled: boolean;
}

export function createHost(name: string, skewMs = 0): Host {
  return { name, skewMs, state: 'running', deferred: [], timers: new Set() };
}

/** Captured before the globals are replaced. */
const realImmediate = setImmediate;
/** Node drains ticks and microtasks between two immediates of one turn; a turn of many is cheaper than many turns. */
const EVENTS_A_TURN = 64;

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

/**
 * Virtual time. Events run in the order of their times, ties in the order of their making. Between two events all microtasks are drained,
 * so that between events every piece of code waits for an event.
 */
export class Scheduler {
  #heap: SimulatedEvent[] = [];
  #sequence = 0;
  #now: number;
  #events = 0;
  readonly #within: (host: Host, run: () => void) => void;

  /** @param within runs code as the host's */
  constructor(start: number, within: (host: Host, run: () => void) => void) {
    this.#now = start;
    this.#within = within;
  }

  /** Epoch ms of the world. No host's clock need agree. */
  get now(): number {
    return this.#now;
  }

  /** Events that have run. */
  get events(): number {
    return this.#events;
  }

  schedule(delayMs: number, host: Host, run: () => void): SimulatedEvent {
    const event: SimulatedEvent = {
      at: this.#now + Math.max(0, delayMs),
      sequence: this.#sequence++,
      host,
      run,
      cancelled: false,
    };
    this.#push(event);
    return event;
  }

  freeze(host: Host): void {
    if (host.state === 'running') host.state = 'frozen';
  }

  thaw(host: Host): void {
    if (host.state !== 'frozen') return;
    host.state = 'running';
    const { deferred } = host;
    host.deferred = [];
    for (const { run, ...event } of deferred) if (!event.cancelled) this.schedule(0, host, run);
  }

  /** Nothing of it runs any more. */
  kill(host: Host): void {
    host.state = 'dead';
    host.deferred = [];
    host.timers.clear();
  }

  /** Runs events until `isDone` says so after one, or none is left. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let settled = false;
      const step = (): void => {
        if (settled) return;
        try {
          const event = isDone() ? undefined : this.#pop();
          if (event === undefined) {
            settled = true;
            resolve();
            return;
          }
          this.#now = Math.max(this.#now, event.at);
          this.#fire(event);
        } catch (error) {
          settled = true;
          reject(error);
        }
      };
      const turn = (): void => {
        if (settled) return;
        for (let count = 0; count < EVENTS_A_TURN; count++) realImmediate(step);
        realImmediate(turn);
      };
      turn();
    });
  }

  #fire(event: SimulatedEvent): void {
    const { host } = event;
    if (event.cancelled || host.state === 'dead') return;
    if (host.state === 'frozen') {
      host.deferred.push(event);
      return;
    }
    this.#events++;
    this.#within(host, event.run);
  }

  #push(event: SimulatedEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): SimulatedEvent | undefined {
    const heap = this.#heap;
    for (;;) {
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined) return undefined;
      if (heap.length > 0) this.#sink(last);
      if (!first.cancelled && first.host.state !== 'dead') return first;
    }
  }

  #sink(event: SimulatedEvent): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, event)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = event;
  }
}
