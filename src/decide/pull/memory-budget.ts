import { ENTRY_BYTES } from '../../model/message.ts';

/*
 * Memory of one puller invocation, in bytes. Two parts:
 *   stored     answers as they came from brokers, compressed bodies still compressed. Half of it is divided among the
 *              queues, so that no other queue can take it; the other half goes to whichever queue has more to do.
 *   delivered  bodies that were decompressed for a handler call, and the events made of them. Given out in order.
 * One queue at a time may also hold an answer that is larger than what is left, if it holds nothing else.
 */
const STORED_SHARE = 0.2;
const DELIVERED_SHARE = 0.4;
/** What a decompressed body takes, in times of its size: itself, and its text at two bytes per character. */
const OPENED_COPIES = 3;
/** A body that is not compressed is a view of its answer: only the text comes on top. */
const TEXT_COPIES = 2;
/**
 * What an event takes beside bodies and texts, by what it is for. For Lambda: JSON, a payload and a request body. In
 * base64, for a handler in this process: the bytes and their base64.
 */
const EVENT_COPIES = { lambda: 4, base64: 3, text: 0 } as const;
export type EventUse = keyof typeof EVENT_COPIES;
/** A record without the body. */
const RECORD_BYTES = 4096;
/** A queue that waits asks again at least twice a second. One that does not ask any more loses its place. */
const TICKET_MS = 2_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Lambda's limit of an event, about. */
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;

/** Memory that is given out in the order in which it was asked for. */
class Pool {
  readonly #maxBytes: number;
  #used = 0;
  /** Who waits, in order, and until when their place is kept, epoch ms. */
  readonly #waiting = new Map<QueueMemory, { bytes: number; until: number }>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get used(): number {
    return this.#used;
  }

  /** What the queue could take now. */
  freeFor(queue: QueueMemory, now: number): number {
    if (!this.#isNext(queue, now)) return 0;
    return this.#used === 0 ? Number.POSITIVE_INFINITY : Math.max(0, this.#maxBytes - this.#used);
  }

  /** False: the queue waits, and is woken when it is its turn. A request that is larger than the pool gets all of it. */
  take(queue: QueueMemory, bytes: number, now: number): boolean {
    if (bytes > this.freeFor(queue, now)) {
      this.#waiting.set(queue, { bytes, until: now + TICKET_MS });
      return false;
    }
    this.#waiting.delete(queue);
    this.#used += bytes;
    this.#wakeNext();
    return true;
  }

  /** Takes without asking: it is there already. */
  add(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    this.#wakeNext();
  }

  forget(queue: QueueMemory): void {
    if (this.#waiting.delete(queue)) this.#wakeNext();
  }

  #isNext(queue: QueueMemory, now: number): boolean {
    for (const [first, { until }] of this.#waiting) {
      if (first === queue) return true;
      if (until > now) return false;
      this.#waiting.delete(first);
    }
    return true;
  }

  #wakeNext(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [queue, { bytes }] = next;
    if (this.#used === 0 || this.#used + bytes <= this.#maxBytes) queue.wake();
  }
}

/** The memory that all queues of one puller invocation share. */
export class MemoryBudget {
  /** Bytes that one decompressed body may take. */
  readonly maxMessageBytes: number;
  readonly delivered: Pool;
  /** One queue at a time: an answer beyond the queue's share and what is left of the common part. */
  readonly large = new Pool(1);
  readonly #storedBytes: number;
  readonly #queues = new Set<QueueMemory>();

  /** @param memoryBytes of the process; undefined: no bound but that of a single message */
  constructor(memoryBytes = Number.POSITIVE_INFINITY) {
    this.#storedBytes = memoryBytes * STORED_SHARE;
    this.delivered = new Pool(memoryBytes * DELIVERED_SHARE);
    this.maxMessageBytes = Math.floor(
      Math.min(MAX_MESSAGE_BYTES, (memoryBytes * DELIVERED_SHARE) / OPENED_COPIES),
    );
  }

  /** For a process that only stores answers. @param storedBytes of all queues together */
  static ofAnswers(storedBytes: number): MemoryBudget {
    return new MemoryBudget(storedBytes / STORED_SHARE);
  }

  /** @param wake called when a queue that waits may ask again */
  open(wake: () => void): QueueMemory {
    const queue = new QueueMemory(this, wake, () => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }

  /** What is held now. */
  get used(): { readonly stored: number; readonly delivered: number } {
    let stored = 0;
    for (const queue of this.#queues) stored += queue.stored;
    return { stored, delivered: this.delivered.used };
  }

  /** What each queue may store, whatever the others do. */
  get share(): number {
    return this.#storedBytes / 2 / Math.max(1, this.#queues.size);
  }

  /** What is left of the part that no queue owns. */
  get common(): number {
    const { share } = this;
    let free = this.#storedBytes / 2;
    for (const queue of this.#queues) free -= Math.max(0, queue.stored - share);
    return Math.max(0, free);
  }
}

/** One queue's part of the memory. */
export class QueueMemory {
  readonly wake: () => void;
  readonly #budget: MemoryBudget;
  readonly #leave: () => void;
  #stored = 0;
  /** Bytes of the last answer that fitted. */
  #typical = 0;
  /** Bytes of an answer that did not fit. */
  #needed: number | undefined;
  #large = false;
  /** Messages that need more than what was free when they were tried. */
  readonly #tooLarge = new WeakSet<object>();

  constructor(budget: MemoryBudget, wake: () => void, leave: () => void) {
    this.#budget = budget;
    this.wake = wake;
    this.#leave = leave;
  }

  /** Bytes of the answers in hand. */
  get stored(): number {
    return this.#stored;
  }

  /** Most bytes that one body may take decompressed. */
  get maxMessageBytes(): number {
    return this.#budget.maxMessageBytes;
  }

  /** An answer did not fit, and the next pull waits for memory. */
  get waits(): boolean {
    return this.#needed !== undefined;
  }

  /** Bytes that the queue could store now, beside what it has. */
  get room(): number {
    const { share, common } = this.#budget;
    return this.#stored <= share ? share - this.#stored + common : common;
  }

  /** May the next pull be sent? A queue with nothing in hand always may, unless its last answer did not fit. */
  mayFetch(now: number): boolean {
    if (this.#needed !== undefined) return this.#fits(this.#needed, now);
    return this.#stored === 0 || this.room > this.#typical;
  }

  /**
   * An answer has come. False: there is no memory for it. It is to be dropped and asked for again when `mayFetch` says
   * so, with `fewer` messages.
   */
  admit(bytes: number, count: number, now: number): boolean {
    if (!this.#fits(bytes, now)) {
      this.#needed = Math.ceil((bytes * fewer(count)) / Math.max(1, count));
      return false;
    }
    if (this.room >= bytes) this.#leaveLarge();
    this.#needed = undefined;
    if (bytes > 0) this.#typical = bytes;
    return true;
  }

  /** How many messages of so many bytes may be popped. What was popped cannot be dropped and asked for again. */
  countOf(messageBytes: number, now: number): number {
    const free = Math.min(this.room, 2 * this.#budget.share - this.#stored);
    const count = Math.max(0, Math.floor(free / messageBytes));
    return count === 0 && this.#stored === 0 && this.#fits(messageBytes, now) ? 1 : count;
  }

  /** The request failed, or brought nothing: another queue that waits for memory is not to wait for the next one. */
  withdraw(): void {
    if (this.#stored === 0) this.#leaveLarge();
  }

  /** What is in hand became more, or less. */
  note(bytes: number): void {
    this.#stored += bytes;
    if (bytes < 0 && this.#stored <= this.#budget.share) this.#leaveLarge();
  }

  /** What a handler call is to get. */
  startDelivery(): DeliveryMemory {
    return new DeliveryMemory(this, this.#budget.delivered);
  }

  /**
   * Decompresses a message within what is free. undefined: it needs more than that, and the queue waits for it.
   * @param message names it
   * @throws what `rules.open` throws, unless a larger limit helps
   */
  open<T extends { readonly body: { readonly length: number } }>(
    message: object,
    delivery: DeliveryMemory,
    rules: OpenRules<T>,
    now: number,
  ): T | undefined {
    const { maxMessageBytes, delivered } = this.#budget;
    const { open, isTooLarge, use } = rules;
    if (!this.#tooLarge.has(message)) {
      const free = delivered.freeFor(this, now);
      const maxBytes = Math.min(maxMessageBytes, bodyWithin(free, use));
      try {
        const opened = maxBytes > 0 ? open(maxBytes) : undefined;
        if (opened !== undefined && delivery.take(openedCost(opened.body.length, use), now))
          return opened;
      } catch (error) {
        if (maxBytes === maxMessageBytes || !isTooLarge(error)) throw error;
      }
      // It is not decompressed again before there is room for the largest.
      this.#tooLarge.add(message);
    }
    const most = openedCost(maxMessageBytes, use);
    if (!delivery.take(most, now)) return undefined;
    try {
      const opened = open(maxMessageBytes);
      delivery.give(most - openedCost(opened.body.length, use));
      return opened;
    } catch (error) {
      delivery.give(most);
      throw error;
    }
  }

  /** The queue is not worked any more. */
  close(): void {
    this.#stored = 0;
    this.#leaveLarge();
    this.#budget.large.forget(this);
    this.#budget.delivered.forget(this);
    this.#leave();
  }

  #fits(bytes: number, now: number): boolean {
    if (this.#large || bytes <= this.room) return true;
    if (this.#stored > 0) return false;
    this.#large = this.#budget.large.take(this, 1, now);
    return this.#large;
  }

  #leaveLarge(): void {
    if (!this.#large) return;
    this.#large = false;
    this.#budget.large.give(1);
  }
}

/** How a message is decompressed. */
interface OpenRules<T> {
  /** Throws when the body would take more than `maxBytes`. */
  readonly open: (maxBytes: number) => T;
  readonly isTooLarge: (error: unknown) => boolean;
  readonly use: EventUse;
}

/** What one handler call takes. */
export class DeliveryMemory {
  readonly #queue: QueueMemory;
  readonly #pool: Pool;
  #held = 0;

  constructor(queue: QueueMemory, pool: Pool) {
    this.#queue = queue;
    this.#pool = pool;
  }

  get held(): number {
    return this.#held;
  }

  /** False: the queue waits for its turn. */
  take(bytes: number, now: number): boolean {
    if (!this.#pool.take(this.#queue, bytes, now)) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    if (bytes === 0) return;
    this.#held -= bytes;
    this.#pool.give(bytes);
  }

  /** The call has ended. May be called again. */
  release(): void {
    this.give(this.#held);
  }
}

/** What an answer takes: its bytes, and what is kept of each message beside them. */
export function answerCost(bytes: number, count: number): number {
  return bytes + count * ENTRY_BYTES;
}

/** What a body takes whose message is delivered as it came. */
export function deliveryCost(bodyBytes: number, use: EventUse): number {
  return RECORD_BYTES + bodyBytes * TEXT_COPIES + eventCost(bodyBytes, use);
}

function openedCost(bodyBytes: number, use: EventUse): number {
  return RECORD_BYTES + bodyBytes * OPENED_COPIES + eventCost(bodyBytes, use);
}

/** A body that fits into no payload does not become one. */
function eventCost(bodyBytes: number, use: EventUse): number {
  const bytes = use === 'lambda' ? Math.min(bodyBytes, MAX_PAYLOAD_BYTES) : bodyBytes;
  return EVENT_COPIES[use] * bytes;
}

/** The largest body that may be decompressed within so many bytes. */
function bodyWithin(bytes: number, use: EventUse): number {
  const free = Math.max(0, bytes - RECORD_BYTES);
  const small = free / (OPENED_COPIES + EVENT_COPIES[use]);
  const most =
    use === 'lambda' && small > MAX_PAYLOAD_BYTES
      ? (free - eventCost(small, use)) / OPENED_COPIES
      : small;
  return Math.floor(most);
}

/**
 * How many records to ask for after an answer that did not fit.
 * @param count messages of the answer: an inner batch is one record with up to 32,767 of them
 * @param asked records that were asked for
 */
export function fewer(count: number, asked = count): number {
  return Math.max(1, Math.floor(Math.min(count, asked) / 2));
}
