import type { Message, UndecodableRecord } from '../../model/message.ts';
import { takeInOrder } from '../order/lanes.ts';

/** One record of the queue that has no end yet. Made by ProcessQueue; only it writes the fields. */
export interface QueueEntry {
  readonly offset: bigint;
  /** undefined: the record could not be decoded. */
  readonly message: Message | undefined;
  readonly undecodable: UndecodableRecord | undefined;
  readonly bytes: number;
  /** Deliveries here that failed and could not be sent back: what the broker's count does not know. */
  readonly localRetries: number;
  /** Those of them that an earlier holder counted. */
  readonly countedBefore: number;
  readonly state: 'ready' | 'taken' | 'done';
  /** Messages of one lane are delivered in offset order, see decide/order/lanes. */
  readonly lane: string | undefined;
  /** Epoch ms: not to be taken before. */
  readonly notBefore: number;
  /** Epoch ms: here since. */
  readonly since: number;
  /** A pattern of its subscription matched it. */
  readonly matched: boolean;
}

/** An answer of the broker: its memory is free when the last of its messages has its end. */
export interface Answer {
  readonly bytes: number;
  /** Messages of it without an end. Only ProcessQueue writes it. */
  left: number;
}

interface MutableEntry {
  readonly offset: bigint;
  message: Message | undefined;
  /** As it came from the broker: `message` is another one while its body is decompressed. */
  stored: Message | undefined;
  readonly answer: Answer;
  undecodable: UndecodableRecord | undefined;
  readonly bytes: number;
  localRetries: number;
  readonly countedBefore: number;
  state: 'ready' | 'taken' | 'done';
  readonly lane: string | undefined;
  notBefore: number;
  readonly since: number;
  matched: boolean;
  /** Never taken. */
  fresh: boolean;
  readonly generation: number;
}

/** What an ordered source adds. */
export interface OrderOfQueue {
  /** The message's lane; undefined: a lane of its own. An undecodable record comes as undefined. */
  laneOf(message: Message | undefined): string | undefined;
  /** Failed deliveries at an offset that an earlier holder counted. */
  attemptsAt(offset: bigint): number;
}

/** So many entries may be taken again before a fresh one has its turn. */
const AGAIN_IN_A_ROW = 32;
/** Enough slack at the front before the array is moved up: keeps settling O(1) on average. */
const COMPACT_AFTER = 1024;

/**
 * The messages of one queue between pull and commit, in offset order. A plain structure: no I/O, no time of its own. Mirrors ProcessQueue.
 * What was pulled before `dropAll` belongs to an older generation, and settling it changes nothing.
 */
export class ProcessQueue {
  /** Offset order. Everything before #head is done. */
  #entries: MutableEntry[] = [];
  #head = 0;
  /** First entry that was never taken; older ones wait in #again. */
  #fresh = 0;
  /** First entry that was not sifted. */
  #unsifted = 0;
  /** Entries to be taken again, not before their time. Offset order. */
  #again: MutableEntry[] = [];
  #generation = 0;
  #nextOffset: bigint;
  #unfinished = 0;
  #bytes = 0;
  #taken = 0;
  #takenBytes = 0;
  #againInARow = 0;

  readonly #order: OrderOfQueue | undefined;
  readonly #attemptsAt: (offset: bigint) => number;
  readonly #onMemory: (bytes: number) => void;
  #memory = 0;

  /**
   * @param nextOffset where the first pull begins
   * @param onMemory told how many bytes of answers are held more, or less (negative)
   * @param attemptsAt without an order: failed deliveries at an offset that an earlier holder counted
   */
  constructor(
    nextOffset: bigint,
    order?: OrderOfQueue,
    onMemory: (bytes: number) => void = () => {},
    attemptsAt: (offset: bigint) => number = () => 0,
  ) {
    this.#nextOffset = nextOffset;
    this.#order = order;
    this.#onMemory = onMemory;
    this.#attemptsAt = attemptsAt;
  }

  /** +1 at every `dropAll`: the answer to a pull that was sent before belongs to nothing. */
  get generation(): number {
    return this.#generation;
  }

  /** Where the next pull begins. */
  get nextOffset(): bigint {
    return this.#nextOffset;
  }

  /** Entries without an end. */
  get count(): number {
    return this.#unfinished;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Entries that are with a handler now. */
  get taken(): number {
    return this.#taken;
  }

  /** Entries that have their end, but may not be committed because one below has none. Whoever goes on from here delivers them again. */
  get doneAhead(): number {
    return Math.max(0, this.#entries.length - this.#head - this.#unfinished);
  }

  /** Distance from the lowest unfinished offset to the highest pulled one. */
  get span(): number {
    const first = this.#entries[this.#head];
    const last = this.#entries[this.#entries.length - 1];
    return first === undefined || last === undefined ? 0 : Number(last.offset - first.offset);
  }

  /** What may be committed: the lowest unfinished offset, or where the next pull begins (filtered gaps advance it). */
  get committable(): bigint {
    return this.#entries[this.#head]?.offset ?? this.#nextOffset;
  }

  /**
   * Adds what one pull brought, in offset order. Offsets below what is already here are passed over.
   * @param now epoch ms
   * @param memory bytes that the answer takes
   */
  put(
    messages: readonly Message[],
    undecodable: readonly UndecodableRecord[],
    nextBeginOffset: bigint,
    now = 0,
    memory = 0,
  ): void {
    const answer: Answer = { bytes: memory, left: 0 };
    if (undecodable.length === 0)
      for (const message of messages)
        this.#add(message.queueOffset, message, undefined, message.body.length, now, answer);
    else {
      const records = [
        ...messages.map((message) => ({
          offset: message.queueOffset,
          message,
          undecodable: undefined,
        })),
        ...undecodable.map((record) => ({
          offset: record.queueOffset,
          message: undefined,
          undecodable: record,
        })),
      ].sort((a, b) => (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0));
      for (const record of records)
        this.#add(
          record.offset,
          record.message,
          record.undecodable,
          record.message?.body.length ?? 0,
          now,
          answer,
        );
    }
    if (answer.left > 0) this.#noteMemory(memory);
    this.advance(nextBeginOffset);
  }

  /**
   * Adds one that has no place of its own (POP): it gets the next.
   * @param now epoch ms
   * @param answer that it is part of
   */
  append(
    record: { readonly message: Message } | { readonly undecodable: UndecodableRecord },
    now = 0,
    answer: Answer = { bytes: 0, left: 0 },
  ): bigint {
    const offset = this.#nextOffset;
    if (answer.left === 0) this.#noteMemory(answer.bytes);
    if ('message' in record)
      this.#add(offset, record.message, undefined, record.message.body.length, now, answer);
    else this.#add(offset, undefined, record.undecodable, 0, now, answer);
    this.advance(offset + 1n);
    return offset;
  }

  #add(
    offset: bigint,
    message: Message | undefined,
    undecodable: UndecodableRecord | undefined,
    bytes: number,
    since: number,
    answer: Answer,
  ): void {
    // A pull that was repeated may bring again what is here already, or what is done.
    const last = this.#entries[this.#entries.length - 1];
    if (offset < this.#nextOffset || (last !== undefined && offset <= last.offset)) return;
    const countedBefore = this.#order?.attemptsAt(offset) ?? this.#attemptsAt(offset);
    this.#entries.push({
      offset,
      message,
      stored: message,
      answer,
      undecodable,
      bytes,
      localRetries: countedBefore,
      countedBefore,
      state: 'ready',
      lane: this.#order?.laneOf(message),
      notBefore: 0,
      since,
      matched: false,
      fresh: true,
      generation: this.#generation,
    });
    answer.left++;
    this.#unfinished++;
    this.#bytes += bytes;
  }

  #noteMemory(bytes: number): void {
    if (bytes === 0) return;
    this.#memory += bytes;
    this.#onMemory(bytes);
  }

  /** Gives an entry's message with its body decompressed, for as long as it is taken. */
  open(entry: QueueEntry, message: Message): void {
    (entry as MutableEntry).message = message;
  }

  /** The body of the entry's message does not decompress. */
  fail(entry: QueueEntry, undecodable: UndecodableRecord): void {
    const own = entry as MutableEntry;
    own.message = undefined;
    own.stored = undefined;
    own.undecodable = undecodable;
  }

  /** The next pull begins there; never goes back. */
  advance(nextBeginOffset: bigint): void {
    if (nextBeginOffset > this.#nextOffset) this.#nextOffset = nextBeginOffset;
  }

  /** The entry to take next: one that is due again, else the first that was never taken; but that one has its turn when many were taken again. */
  peek(now: number): QueueEntry | undefined {
    const fresh = this.#entries[this.#fresh];
    if (fresh !== undefined && this.#againInARow >= AGAIN_IN_A_ROW) return fresh;
    return this.#again.find(({ notBefore }) => notBefore <= now) ?? fresh;
  }

  /** The next entry that was never taken or sifted, to be marked by `sifted` or taken. */
  nextUnsifted(): QueueEntry | undefined {
    this.#unsifted = Math.max(this.#unsifted, this.#fresh);
    while (this.#entries[this.#unsifted]?.fresh === false) this.#unsifted++;
    return this.#entries[this.#unsifted];
  }

  /** Marks the entry that `nextUnsifted` returned. @param matched by a pattern of its subscription */
  sifted(entry: QueueEntry, matched: boolean): void {
    (entry as MutableEntry).matched = matched;
    this.#unsifted++;
  }

  /** Entries behind the last one that was sifted. */
  get unsifted(): number {
    return Math.max(0, this.#entries.length - Math.max(this.#unsifted, this.#fresh));
  }

  /** What `batch` would return now, without taking it. */
  *takeable(now: number): Generator<QueueEntry, undefined> {
    if (this.#order !== undefined) return yield* takeInOrder(this.unfinished(), now);
    for (const entry of this.#again) if (entry.notBefore <= now) yield entry;
    for (let index = this.#fresh; index < this.#entries.length; index++) {
      const entry = this.#entries[index] as MutableEntry;
      if (entry.fresh) yield entry;
    }
    return undefined;
  }

  /** What a batch could take now. @param limit of an ordered source: counting ends there. Default: none */
  waiting(now: number, limit?: number): { readonly count: number; readonly bytes: number } {
    if (this.#order !== undefined) return countUpTo(this.takeable(now), limit);
    let count = this.#unfinished - this.#taken;
    let bytes = this.#bytes - this.#takenBytes;
    for (const entry of this.#again)
      if (entry.notBefore > now) {
        count--;
        bytes -= entry.bytes;
      }
    return { count, bytes };
  }

  /** What one batch may take: each call gives the next entry, to be taken before the next call. An ordered source's lanes are kept. */
  batch(now: number): () => QueueEntry | undefined {
    if (this.#order === undefined) return () => this.peek(now);
    const entries = takeInOrder(this.unfinished(), now);
    return () => entries.next().value;
  }

  /** Entries without an end, in offset order; what was taken or settled since is seen. */
  *unfinished(): Generator<QueueEntry, undefined> {
    const entries = this.#entries;
    for (let index = this.#head; index < entries.length; index++) {
      const entry = entries[index] as MutableEntry;
      if (entry.state !== 'done') yield entry;
    }
  }

  /** When the first of the entries that wait for their time is due; undefined: none waits. */
  nextDue(now: number): number | undefined {
    const times = this.#again.flatMap(({ notBefore }) => (notBefore > now ? [notBefore] : []));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Marks an entry that `peek` or `batch` gave as being with a handler. */
  take(entry: QueueEntry): void {
    const own = entry as MutableEntry;
    if (own.fresh) {
      own.fresh = false;
      this.#againInARow = 0;
      while (this.#entries[this.#fresh]?.fresh === false) this.#fresh++;
    } else {
      this.#againInARow++;
      this.#again.splice(this.#again.indexOf(own), 1);
    }
    own.state = 'taken';
    this.#taken++;
    this.#takenBytes += own.bytes;
  }

  /** Is the entry still to be settled? Not when it belongs to an older generation: then its result counts for nothing. */
  expects(entry: QueueEntry): boolean {
    return (entry as MutableEntry).generation === this.#generation && entry.state === 'taken';
  }

  /** Gives an entry its end. False when it belongs to an older generation. */
  settle(entry: QueueEntry): boolean {
    if (!this.expects(entry)) return false;
    const own = entry as MutableEntry;
    own.state = 'done';
    // It keeps its place until everything below is done, but not its bytes.
    own.message = undefined;
    own.stored = undefined;
    own.undecodable = undefined;
    own.answer.left--;
    if (own.answer.left === 0) this.#noteMemory(-own.answer.bytes);
    this.#taken--;
    this.#takenBytes -= own.bytes;
    this.#unfinished--;
    this.#bytes -= own.bytes;
    while (this.#entries[this.#head]?.state === 'done') this.#head++;
    if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#fresh -= this.#head;
      this.#unsifted = Math.max(0, this.#unsifted - this.#head);
      this.#head = 0;
    } else if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#fresh = 0;
      this.#unsifted = 0;
      this.#head = 0;
    }
    return true;
  }

  /**
   * Puts a taken entry back, to be taken again from `notBefore` on.
   * @param failed counts as a delivery that the broker does not know of
   */
  giveBack(entry: QueueEntry, notBefore: number, failed: boolean): boolean {
    if (!this.expects(entry)) return false;
    const own = entry as MutableEntry;
    own.state = 'ready';
    own.message = own.stored;
    own.notBefore = notBefore;
    if (failed) own.localRetries++;
    this.#taken--;
    this.#takenBytes -= own.bytes;
    let place = this.#again.length;
    while (place > 0 && (this.#again[place - 1] as MutableEntry).offset > own.offset) place--;
    this.#again.splice(place, 0, own);
    return true;
  }

  /** Counts a failed delivery of a taken entry that the broker does not know of. */
  countFailure(entry: QueueEntry): void {
    if (this.expects(entry)) (entry as MutableEntry).localRetries++;
  }

  /** Entries that wait for their time become due earlier. @param dueAt epoch ms; undefined: the entry waits on */
  hasten(dueAt: (entry: QueueEntry) => number | undefined): void {
    for (const entry of this.#again)
      entry.notBefore = Math.min(entry.notBefore, dueAt(entry) ?? entry.notBefore);
  }

  /** Forgets everything, in flight too, and begins anew at the given offset, which may lie before. */
  dropAll(nextOffset: bigint): void {
    this.#generation++;
    this.#noteMemory(-this.#memory);
    this.#entries = [];
    this.#again = [];
    this.#head = 0;
    this.#fresh = 0;
    this.#unsifted = 0;
    this.#unfinished = 0;
    this.#bytes = 0;
    this.#taken = 0;
    this.#takenBytes = 0;
    this.#nextOffset = nextOffset;
  }
}

function countUpTo(
  entries: Iterable<Pick<QueueEntry, 'bytes'>>,
  limit: number | undefined,
): { readonly count: number; readonly bytes: number } {
  let count = 0;
  let bytes = 0;
  for (const entry of entries) {
    count++;
    bytes += entry.bytes;
    if (count === limit) break;
  }
  return { count, bytes };
}
