/** Requests of a server that wait for their answer. Brokers ask one after the other; a handler may take its time. Of what needs no answer, the allowance is the bound. */
const MAX_OPEN = 128;
/** Bytes of their bodies, at least one frame. */
const MAX_OPEN_BYTES = 32 * 1024 * 1024;
/** One notification per member that joins or leaves, for every group of the client. */
const MAX_BURST = 2_000;
const PER_SECOND = 200;

/** How much a server may ask of its client. The state of one connection. */
export class ServerRequests {
  readonly #now: () => number;
  #open = 0;
  #openBytes = 0;
  #allowance = MAX_BURST;
  #refilledAt: number;

  /** @param now epoch ms */
  constructor(now: () => number) {
    this.#now = now;
    this.#refilledAt = now();
  }

  /** May the body of a request be read? Without it the request is one too much. */
  hasRoomFor(bytes: number): boolean {
    return this.#openBytes + bytes <= MAX_OPEN_BYTES;
  }

  /** Why the request is one too much; undefined: it is open until `done`, which is told the same. */
  begin(bytes: number, isOneway: boolean): string | undefined {
    const now = this.#now();
    const refill = (Math.max(0, now - this.#refilledAt) * PER_SECOND) / 1000;
    this.#allowance = Math.min(MAX_BURST, this.#allowance + refill) - 1;
    this.#refilledAt = now;
    if (this.#allowance < 0) return `more than ${PER_SECOND} requests a second`;
    if (!isOneway && this.#open === MAX_OPEN)
      return `more than ${MAX_OPEN} requests without reading answers`;
    if (!this.hasRoomFor(bytes)) return `open requests of more than ${MAX_OPEN_BYTES} bytes`;
    if (!isOneway) this.#open++;
    this.#openBytes += bytes;
    return undefined;
  }

  done(bytes: number, isOneway: boolean): void {
    if (!isOneway) this.#open--;
    this.#openBytes -= bytes;
  }
}
