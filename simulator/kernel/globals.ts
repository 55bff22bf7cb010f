import { AsyncLocalStorage } from 'node:async_hooks';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import timersPromises from 'node:timers/promises';
import type { Random } from './random.ts';
import { createHost, type Host, type Scheduler, type SimulatedEvent } from './scheduler.ts';

/** What the replaced globals talk to while a simulation runs. */
export interface VirtualWorld {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** A host added a listener to a signal that has so many already. */
  onListeners(host: Host, count: number): void;
  connect(host: Host, endpoint: { readonly host: string; readonly port: number }): unknown;
}

const hosts = new AsyncLocalStorage<Host>();
const NOBODY = createHost('nobody');
let world: VirtualWorld | undefined;

/** The process whose code runs now. */
export function currentHost(): Host {
  return hosts.getStore() ?? NOBODY;
}

export function runAs<T>(host: Host, run: () => T): T {
  return hosts.run(host, run);
}

/** From now on time, timers, sockets and randomness of this thread are the world's. `undefined`: the real ones again. */
export function enterWorld(next: VirtualWorld | undefined): void {
  world = next;
}

const MAX_TIMER_MS = 0x7fffffff;

/** What setTimeout and setInterval answer. */
class VirtualTimer {
  #event: SimulatedEvent | undefined;
  readonly #host: Host;
  readonly #everyMs: number | undefined;
  readonly #run: () => void;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler, delayMs: number, repeats: boolean, run: () => void) {
    // As Node: what is no delay is 1 ms.
    const ms = delayMs >= 1 && delayMs <= MAX_TIMER_MS ? Math.trunc(delayMs) : 1;
    this.#scheduler = scheduler;
    this.#host = currentHost();
    this.#everyMs = repeats ? ms : undefined;
    this.#run = run;
    this.#arm(ms);
  }

  #arm(ms: number): void {
    const event = this.#scheduler.schedule(ms, this.#host, () => {
      this.#host.timers.delete(event);
      if (this.#everyMs !== undefined) this.#arm(this.#everyMs);
      this.#run();
    });
    this.#event = event;
    this.#host.timers.add(event);
  }

  clear(): void {
    if (this.#event === undefined) return;
    this.#event.cancelled = true;
    this.#host.timers.delete(this.#event);
    this.#event = undefined;
  }

  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return false;
  }
  [Symbol.dispose](): void {
    this.clear();
  }
}

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  Date: globalThis.Date,
  random: Math.random,
  now: performance.now.bind(performance),
  abortTimeout: AbortSignal.timeout.bind(AbortSignal),
  delay: timersPromises.setTimeout,
  connect: net.connect,
  randomUUID: crypto.randomUUID,
  randomInt: crypto.randomInt,
};

const hostNow = (from: VirtualWorld): number => from.scheduler.now + currentHost().skewMs;

class VirtualDate extends real.Date {
  constructor(...given: readonly unknown[]) {
    if (given.length === 0 && world !== undefined) super(hostNow(world));
    else super(...(given as [number]));
  }

  static override now(): number {
    return world === undefined ? real.Date.now() : hostNow(world);
  }
}

type Callback = (...given: unknown[]) => void;

function timer(repeats: boolean, whenReal: typeof setTimeout | typeof setInterval) {
  return (callback: Callback, ms = 0, ...given: unknown[]): unknown =>
    world === undefined
      ? whenReal(callback, ms, ...given)
      : new VirtualTimer(world.scheduler, ms, repeats, () => callback(...given));
}

function clear(handle: unknown): void {
  if (handle instanceof VirtualTimer) handle.clear();
  else real.clearTimeout(handle as NodeJS.Timeout);
}

/** After everything that is due now. A real one would come dozens of events later, or in the next run. */
function immediate(callback: Callback, ...given: unknown[]): unknown {
  return world === undefined
    ? real.setImmediate(callback, ...given)
    : world.scheduler.schedule(0, currentHost(), () => callback(...given));
}

function clearVirtualImmediate(handle: unknown): void {
  if (world === undefined) real.clearImmediate(handle as NodeJS.Immediate);
  else if (handle !== undefined) (handle as SimulatedEvent).cancelled = true;
}

function delay(
  ms: number,
  value: unknown,
  { signal }: { signal?: AbortSignal } = {},
): Promise<unknown> {
  const current = world;
  if (current === undefined) return real.delay(ms, value, signal === undefined ? {} : { signal });
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      waiting.clear();
      reject(new DOMException('The operation was aborted', 'AbortError'));
    };
    if (signal?.aborted === true)
      return reject(new DOMException('The operation was aborted', 'AbortError'));
    const waiting = new VirtualTimer(current.scheduler, ms, false, () => {
      signal?.removeEventListener('abort', aborted);
      resolve(value);
    });
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

function randomUUID(from: Random): string {
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => from.int(0, 15).toString(16)).join('');
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
}

/** Each time that a signal has so many more. */
const LISTENERS_STEP = 40;

/** Counts the listeners of every signal: one that lives long must not gather them. */
function countListeners(): void {
  const counts = new WeakMap<AbortSignal, Set<unknown>>();
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  AbortSignal.prototype.addEventListener = function (
    this: AbortSignal,
    ...given: Parameters<typeof addEventListener>
  ) {
    const listeners = counts.get(this) ?? new Set();
    counts.set(this, listeners.add(given[1]));
    if (listeners.size % LISTENERS_STEP === 0) world?.onListeners(currentHost(), listeners.size);
    return addEventListener.apply(this, given);
  };
  AbortSignal.prototype.removeEventListener = function (
    this: AbortSignal,
    ...given: Parameters<typeof removeEventListener>
  ) {
    counts.get(this)?.delete(given[1]);
    return removeEventListener.apply(this, given);
  };
}

/** Replaces what the product takes from Node in this thread. Once, before the product is loaded. */
export function replaceGlobals(): void {
  Object.assign(globalThis, {
    setTimeout: timer(false, real.setTimeout),
    setInterval: timer(true, real.setInterval),
    clearTimeout: clear,
    clearInterval: clear,
    setImmediate: immediate,
    clearImmediate: clearVirtualImmediate,
    Date: VirtualDate,
  });
  Math.random = () => (world === undefined ? real.random() : world.random.next());
  performance.now = () => (world === undefined ? real.now() : world.scheduler.now);
  AbortSignal.timeout = (ms) => {
    if (world === undefined) return real.abortTimeout(ms);
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('timeout', 'TimeoutError')), ms);
    return controller.signal;
  };
  countListeners();
  Object.assign(timersPromises, { setTimeout: delay });
  Object.assign(net, {
    connect: (...given: unknown[]) =>
      world === undefined
        ? (real.connect as (...given: unknown[]) => unknown)(...given)
        : world.connect(currentHost(), given[0] as { host: string; port: number }),
  });
  Object.assign(crypto, {
    randomUUID: () => (world === undefined ? real.randomUUID() : randomUUID(world.random)),
    randomInt: (...given: number[]) =>
      world === undefined
        ? (real.randomInt as (...given: number[]) => number)(...given)
        : world.random.int(given.length > 1 ? given[0]! : 0, given[given.length - 1]! - 1),
  });
  syncBuiltinESMExports();
}
