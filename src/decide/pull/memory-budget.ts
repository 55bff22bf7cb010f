import { bodyWithin, type EventUse, openedCost, unreadCost, type Weighed } from './memory-costs.ts';
import { MemoryPool, type PoolUser } from './memory-pool.ts';

/*
 * Memory of one puller invocation, in bytes: 40 % of what the process has, in three parts that do not lend to each other.
 *   stored     answers as they came from brokers, compressed bodies still compressed, from the header of the answer on.
 *              Half of it is divided among the queues, so that no other queue can take it; the other half goes to
 *              whichever queue has more to do.
 *   large      one answer that is larger than what is left of `stored`, of one queue at a time, in turn.
 *   delivered  bodies that were decompressed for a handler call, and the events made of them. Given out in order.
 * An answer for which there is no memory is not read: its bytes are passed over as they arrive, and the queue asks for
 * it again with the memory reserved. So nothing waits for memory while it holds a connection, and a poll that brings
 * nothing holds none.
 */
const STORED_SHARE = 0.0625;
const LARGE_SHARE = 0.0625;
const DELIVERED_SHARE = 0.275;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Of a process whose memory is not known: enough for the largest message with its texts. */
const UNKNOWN_MEMORY_BYTES = 4 * 1024 ** 3;

/** The memory that all queues of one puller invocation share. */
export class MemoryBudget {
  readonly delivered: MemoryPool;
  /** One queue at a time: an answer beyond the queue's share and what is left of the common part. */
  readonly large = new MemoryPool(1);
  /** Most that one answer should take with what is decompressed of it. */
  readonly maxAnswerBytes: number;
  readonly #storedBytes: number;
  readonly #minQueues: number;
  readonly #collectGarbage: () => void;
  readonly #queues = new Set<QueueMemory>();

  /**
   * @param memoryBytes of the process; default: 4 GiB
   * @param queues that are going to be opened: each keeps its share for itself from the beginning
   * @param collectGarbage called before a body is decompressed, when what large ones have left may still be there
   */
  constructor(
    memoryBytes = UNKNOWN_MEMORY_BYTES,
    queues = 1,
    collectGarbage: () => void = () => {},
  ) {
    this.#collectGarbage = collectGarbage;
    this.#storedBytes = memoryBytes * STORED_SHARE;
    this.#minQueues = Math.max(1, queues);
    this.maxAnswerBytes = Math.min(MAX_MESSAGE_BYTES, Math.floor(memoryBytes * LARGE_SHARE));
    this.delivered = new MemoryPool(memoryBytes * DELIVERED_SHARE);
  }

  /** A body is going to be decompressed. */
  beforeOpen(): void {
    if (this.delivered.takeReleased() > 0) this.#collectGarbage();
  }

  /** Bytes that one decompressed body may take. */
  maxMessageBytes(use: EventUse): number {
    return Math.min(MAX_MESSAGE_BYTES, bodyWithin(this.delivered.maxBytes, use));
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

  /** What is held now. `stored` with what is being read, and with the large answer. */
  get used(): { readonly stored: number; readonly delivered: number } {
    let stored = 0;
    for (const queue of this.#queues) stored += queue.held;
    return { stored, delivered: this.delivered.used };
  }

  /** What each queue may store, whatever the others do. */
  get share(): number {
    return this.#storedBytes / 2 / Math.max(this.#minQueues, this.#queues.size);
  }

  /** What a queue could store now beside what it has. */
  roomFor(held: number): number {
    const { share } = this;
    let common = this.#storedBytes / 2;
    let free = this.#storedBytes;
    for (const queue of this.#queues) {
      if (queue.isLarge) continue;
      common -= Math.max(0, queue.held - share);
      free -= queue.held;
    }
    const room = Math.max(0, share - held) + Math.max(0, common);
    // Shares become smaller when more queues come than were announced.
    return Math.max(0, Math.min(room, free));
  }
}

/** One queue's part of the memory. */
export class QueueMemory implements PoolUser {
  readonly wake: () => void;
  readonly #budget: MemoryBudget;
  readonly #leave: () => void;
  #stored = 0;
  /** For an answer that is asked for, or read, and not stored yet. */
  #reserved = 0;
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

  /** Bytes of the answers in hand, and of one that is being read. */
  get held(): number {
    return this.#stored + this.#reserved;
  }

  get isLarge(): boolean {
    return this.#large;
  }

  /** Most bytes that one body may take decompressed, with its text. */
  get maxMessageBytes(): number {
    return this.#budget.maxMessageBytes('text');
  }

  /** Most bytes that an answer may take with what is decompressed of it. */
  get maxAnswerBytes(): number {
    return this.#budget.maxAnswerBytes;
  }

  /** An answer did not fit, and the next pull waits for memory. */
  get waits(): boolean {
    return this.#needed !== undefined;
  }

  /** Nothing more is fetched before memory is free. */
  get isFull(): boolean {
    return this.waits || (this.#stored > 0 && this.room <= this.#typical);
  }

  /** Memory is reserved for the next answer: it is to be asked for at once, and not waited for at the broker. */
  get reserves(): boolean {
    return this.#reserved > 0;
  }

  /** Bytes that the queue could store now, beside what it has. */
  get room(): number {
    return this.#large ? 0 : this.#budget.roomFor(this.held);
  }

  /**
   * May the next pull be sent? A queue with nothing in hand always may, unless its last answer did not fit: then the
   * memory is reserved for it first.
   */
  mayFetch(now: number): boolean {
    if (this.#needed !== undefined) return this.#reserve(this.#needed, now);
    return this.#stored === 0 || this.room > this.#typical;
  }

  /**
   * An answer begins to arrive. False: there is no memory for it, so it is not to be read, but asked for again when
   * `mayFetch` says so.
   * @param bytes of its body
   * @param asked messages that were asked for
   */
  receive(bytes: number, asked: number, now: number): boolean {
    if (bytes === 0) return true;
    const cost = unreadCost(bytes, asked);
    if (cost <= this.#reserved || this.#reserve(cost, now)) return true;
    this.#needed = cost;
    return false;
  }

  /**
   * An answer was read. False: what was decompressed of it does not fit. It is to be dropped and asked for again when
   * `mayFetch` says so, with `fewer` messages.
   * @param bytes that it takes
   * @param records that it has at most: an inner batch is one
   */
  admit(bytes: number, records: number, now: number): boolean {
    if (bytes > this.#reserved && !this.#reserve(bytes, now)) {
      this.#needed = Math.ceil((bytes * fewer(records)) / Math.max(1, records));
      return false;
    }
    this.#reserved = 0;
    if (this.#large && this.#stored === 0 && bytes <= this.#budget.roomFor(0)) this.#leaveLarge();
    this.#needed = undefined;
    if (bytes > 0) this.#typical = bytes;
    return true;
  }

  /**
   * Reserves memory for messages that are popped: they cannot be dropped and asked for again.
   * @param max how many are wanted
   * @param patient the broker may have none for a while: only what no other queue can take is reserved, if that is enough
   * @returns how many may be asked for, and whether the broker may wait for them
   */
  reservePop(
    max: number,
    messageBytes: number,
    patient: boolean,
    now: number,
  ): { readonly count: number; readonly mayWait: boolean } {
    const own = Math.min(this.room, this.#budget.share - this.#stored);
    const free = Math.min(this.room, 2 * this.#budget.share - this.#stored);
    const countIn = (bytes: number): number =>
      Math.max(0, Math.min(max, Math.floor(bytes / messageBytes)));
    const mine = countIn(own);
    const count = patient && mine > 0 ? mine : countIn(free);
    if (count > 0) this.#reserved = count * messageBytes;
    else if (this.#stored > 0 || !this.#reserve(messageBytes, now))
      return { count: 0, mayWait: false };
    return { count: Math.max(1, count), mayWait: count > 0 && count <= mine };
  }

  /** A popped answer begins to arrive. False: it is much larger than what was reserved, and must not be read. */
  receivePopped(bytes: number, asked: number, now: number): boolean {
    const cost = unreadCost(bytes, asked);
    if (cost <= this.#reserved || this.#reserve(cost, now)) return true;
    if (!this.#large && !this.#budget.large.take(this, 1, now)) return false;
    this.#large = true;
    this.#reserved = cost;
    return true;
  }

  /** The request has ended. What it brought is stored, or dropped; another queue need not wait for it. */
  endFetch(): void {
    this.#reserved = 0;
    this.#leaveLargeIfSmall();
  }

  /** What is in hand became more, or less. */
  note(bytes: number): void {
    this.#stored += bytes;
    if (bytes < 0 && this.#reserved === 0) this.#leaveLargeIfSmall();
  }

  /** What a handler call is to get. */
  startDelivery(): DeliveryMemory {
    return new DeliveryMemory(this, this.#budget.delivered);
  }

  /** What the end of a message takes that no handler gets. It waits in a line of its own, beside the queue's deliveries. */
  startEnd(): DeliveryMemory {
    return new DeliveryMemory({ wake: this.wake }, this.#budget.delivered);
  }

  /**
   * Decompresses a message within what is free. undefined: it needs more than that, and the queue waits for it.
   * @param message names it
   * @throws what `rules.open` throws, unless a larger limit helps; `rules.tooLarge`
   */
  open<T extends Opened>(
    message: object,
    delivery: DeliveryMemory,
    rules: OpenRules<T>,
    now: number,
  ): T | undefined {
    const { delivered } = this.#budget;
    const { open, isTooLarge, meanwhile, textBytes, tooLarge, use } = rules;
    const maxMessageBytes = this.#budget.maxMessageBytes(use);
    const costOf = (opened: T): number => openedCost(opened, textBytes(opened), use);
    if (!this.#tooLarge.has(message)) {
      const maxBytes = Math.min(maxMessageBytes, bodyWithin(delivery.freeAt(now), use));
      if (maxBytes > 0) this.#budget.beforeOpen();
      try {
        const opened = maxBytes > 0 ? open(maxBytes) : undefined;
        if (opened !== undefined && delivery.takeWithin(costOf(opened), now, meanwhile(opened)))
          return opened;
      } catch (error) {
        if (maxBytes === maxMessageBytes || !isTooLarge(error)) throw error;
      }
      // It is not decompressed again before there is room for the largest.
      this.#tooLarge.add(message);
    }
    const largest = { body: { length: maxMessageBytes } };
    const most = Math.min(
      delivered.maxBytes,
      openedCost(largest, MAX_TEXT_COPIES * maxMessageBytes, use),
    );
    if (!delivery.take(most, now)) return undefined;
    this.#budget.beforeOpen();
    try {
      const opened = open(maxMessageBytes);
      const cost = costOf(opened);
      if (cost > most) throw tooLarge(cost, most);
      delivery.give(most - cost);
      return opened;
    } catch (error) {
      delivery.give(most);
      throw error;
    }
  }

  /** The queue is not worked any more. */
  close(): void {
    this.#stored = 0;
    this.#reserved = 0;
    this.#needed = undefined;
    this.#leaveLarge();
    this.#budget.large.forget(this);
    this.#budget.delivered.forget(this);
    this.#leave();
  }

  /** Reserves so much in the place of what was reserved before. */
  #reserve(bytes: number, now: number): boolean {
    const before = this.#reserved;
    this.#reserved = 0;
    if (!this.#fits(bytes, now)) {
      this.#reserved = before;
      return false;
    }
    this.#reserved = bytes;
    return true;
  }

  #fits(bytes: number, now: number): boolean {
    if (bytes <= this.room || (this.#large && this.#stored === 0)) return true;
    if (this.#stored > 0) return false;
    this.#large = this.#budget.large.take(this, 1, now);
    return this.#large;
  }

  /** What is in hand fits into the ordinary part. */
  #leaveLargeIfSmall(): void {
    if (!this.#large) return;
    const { share } = this.#budget;
    if (this.#stored <= Math.min(share, this.#budget.roomFor(0))) this.#leaveLarge();
  }

  #leaveLarge(): void {
    if (!this.#large) return;
    this.#large = false;
    this.#budget.large.give(1);
  }
}

/** Bytes of a character at most. */
const MAX_TEXT_COPIES = 2;

type Opened = Omit<Weighed, 'storeSize'>;

/** How a message is decompressed. */
interface OpenRules<T> {
  /** Throws when the body would take more than `maxBytes`. */
  readonly open: (maxBytes: number) => T;
  readonly isTooLarge: (error: unknown) => boolean;
  /** What the message takes beside its event before this turn of the event loop ends. */
  readonly meanwhile: (opened: T) => number;
  /** What the body takes as a text. */
  readonly textBytes: (opened: T) => number;
  /** The error of a body that takes more than there is for one message. */
  readonly tooLarge: (bytes: number, maxBytes: number) => Error;
  readonly use: EventUse;
}

/** What one handler call takes. */
export class DeliveryMemory {
  readonly #user: PoolUser;
  readonly #pool: MemoryPool;
  #held = 0;

  constructor(user: PoolUser, pool: MemoryPool) {
    this.#user = user;
    this.#pool = pool;
  }

  get held(): number {
    return this.#held;
  }

  /** What could be taken now. */
  freeAt(now: number): number {
    return this.#pool.freeFor(this.#user, now);
  }

  /**
   * False: the queue waits for its turn.
   * @param meanwhile that much must be free beside it, as far as the pool has it: for what is gone when this turn of the event loop ends
   */
  take(bytes: number, now: number, meanwhile = 0): boolean {
    const most = Math.max(bytes, Math.min(bytes + meanwhile, this.#pool.maxBytes));
    if (!this.#pool.take(this.#user, most, now)) return false;
    this.#held += most;
    this.give(most - bytes);
    return true;
  }

  /** As `take`, but never more than the pool has. */
  takeWithin(bytes: number, now: number, meanwhile: number): boolean {
    return bytes <= this.#pool.maxBytes && this.take(bytes, now, meanwhile);
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

/** How many records to ask for after an answer of so many that did not fit. */
export function fewer(records: number): number {
  return Math.max(1, Math.floor(records / 2));
}
