import { onAbort } from '../model/on-abort.ts';

/** What a slot's one invocation shares between its queues: handler calls, and the moment to stop. */
export interface SlotShare {
  /**
   * Waits for the right to call the handler of a topic's event. Queues have turns; one queue's calls have theirs in order.
   * @returns gives the right back; undefined: the signal ended the waiting, or nothing is called any more
   */
  permit(topic: string, queue: string, signal: AbortSignal): Promise<(() => void) | undefined>;
  /** A queue says whether it is idle. @returns are all idle? Before that none is given back: the slot's one invocation would be needed again */
  allIdle(queue: string, idle: boolean): boolean;
  /** The queue was given back. */
  leave(queue: string): void;
  /** A function that was called is not waited for any longer and may still be at work. */
  outlived(): void;
}

/** What the slot's invocation itself knows of it. */
export interface OwnSlotShare extends SlotShare {
  /** No handler is called any more. */
  close(): void;
  /** May a function still be at work? */
  readonly mayStillRun: boolean;
}

type Waiter = (granted: boolean) => void;

/** Rights to call one event's handler: queues that wait have their turns one after the other. */
class Permits {
  #free: number;
  /** By queue, the one whose turn is next first. */
  readonly #waiting = new Map<string, Waiter[]>();

  constructor(count: number) {
    this.#free = count;
  }

  async acquire(queue: string, signal: AbortSignal): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    if (signal.aborted) return false;
    return new Promise((resolve) => {
      const waiter: Waiter = (granted) => {
        unlink();
        resolve(granted);
      };
      const unlink = onAbort(signal, () => {
        this.#remove(queue, waiter);
        waiter(false);
      });
      const others = this.#waiting.get(queue);
      if (others === undefined) this.#waiting.set(queue, [waiter]);
      else others.push(waiter);
    });
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    const [queue, waiters] = next;
    const waiter = waiters.shift();
    this.#waiting.delete(queue);
    // To the end of the row.
    if (waiters.length > 0) this.#waiting.set(queue, waiters);
    waiter?.(true);
  }

  close(): void {
    const waiting = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    for (const waiter of waiting) waiter(false);
  }

  #remove(queue: string, waiter: Waiter): void {
    const left = this.#waiting.get(queue)?.filter((other) => other !== waiter) ?? [];
    if (left.length > 0) this.#waiting.set(queue, left);
    else this.#waiting.delete(queue);
  }
}

const FREE = (): void => {};

/** @param limits handler calls at once, by the first topic of their event; without one there is no limit */
export function createSlotShare(limits: ReadonlyMap<string, number>): OwnSlotShare {
  const permits = new Map([...limits].map(([topic, count]) => [topic, new Permits(count)]));
  const idle = new Map<string, boolean>();
  let closed = false;
  let mayStillRun = false;
  return {
    get mayStillRun() {
      return mayStillRun;
    },
    outlived() {
      mayStillRun = true;
    },
    async permit(topic, queue, signal) {
      if (closed) return undefined;
      const own = permits.get(topic);
      if (own === undefined) return FREE;
      if (!(await own.acquire(queue, signal))) return undefined;
      return () => own.release();
    },
    allIdle(queue, isIdle) {
      idle.set(queue, isIdle);
      return [...idle.values()].every(Boolean);
    },
    leave(queue) {
      idle.delete(queue);
    },
    close() {
      closed = true;
      for (const own of permits.values()) own.close();
    },
  };
}
