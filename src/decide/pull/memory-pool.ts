/** What takes memory of a pool. */
export interface PoolUser {
  /** Called when it may ask again. */
  readonly wake: () => void;
}

/** A user that waits asks again at least twice a second. One that does not ask any more loses its place. */
const TICKET_MS = 2_000;

/** V8 collects what is smaller soon enough. */
const LARGE_PART_BYTES = 1024 * 1024;
const COLLECTED_SHARE = 0.25;

/** Memory that is given out in the order in which it was asked for. */
export class MemoryPool {
  readonly maxBytes: number;
  #used = 0;
  #released = 0;
  /** The users that wait, in order, and until when their place is kept, epoch ms. */
  readonly #waiting = new Map<PoolUser, { bytes: number; until: number }>();

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get used(): number {
    return this.#used;
  }

  /** What was given back in large parts since this was asked last, when it is a good part of the pool: it may not have been collected yet. */
  takeReleased(): number {
    if (this.#released < this.maxBytes * COLLECTED_SHARE) return 0;
    const released = this.#released;
    this.#released = 0;
    return released;
  }

  /** What the user could take now. */
  freeFor(user: PoolUser, now: number): number {
    return this.#isNext(user, now) ? Math.max(0, this.maxBytes - this.#used) : 0;
  }

  /** False: the user waits, and is woken when it is its turn. A request that is larger than the pool gets all of it. */
  take(user: PoolUser, bytes: number, now: number): boolean {
    if (!this.#isNext(user, now) || !this.#fits(bytes)) {
      this.#waiting.set(user, { bytes, until: now + TICKET_MS });
      return false;
    }
    this.#waiting.delete(user);
    this.#used += bytes;
    this.#wakeNext();
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (bytes >= LARGE_PART_BYTES) this.#released += bytes;
    this.#wakeNext();
  }

  forget(user: PoolUser): void {
    if (this.#waiting.delete(user)) this.#wakeNext();
  }

  #isNext(user: PoolUser, now: number): boolean {
    for (const [first, { until }] of this.#waiting) {
      if (first === user) return true;
      if (until > now) return false;
      this.#waiting.delete(first);
    }
    return true;
  }

  #wakeNext(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [user, { bytes }] = next;
    if (this.#fits(bytes)) user.wake();
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.maxBytes;
  }
}
