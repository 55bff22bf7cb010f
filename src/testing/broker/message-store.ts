import type { HostAndPort } from '../../model/message.ts';
import { SCHEDULE_TOPIC } from './names.ts';

/** What a producer, a send-back or the delay schedule hands to the store. */
export interface MessageToStore {
  readonly topic: string;
  readonly queueId: number;
  /** As it came: compressed when sysFlag says so. */
  readonly body: Buffer;
  readonly flag: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: HostAndPort;
  readonly reconsumeTimes: number;
  readonly properties: ReadonlyMap<string, string>;
}

export interface StoredMessage extends MessageToStore {
  readonly queueOffset: number;
  /** Byte position in the commit log. */
  readonly physicalOffset: number;
  readonly storeTimestamp: number;
  readonly offsetMsgId: string;
  /** Hash of TAGS; 0 without tags. */
  readonly tagsCode: number;
  /** The bytes that a pull transfers. */
  readonly record: Buffer;
}

export type GetStatus =
  | 'FOUND'
  | 'NO_MATCHED_MESSAGE'
  | 'NO_MESSAGE_IN_QUEUE'
  | 'OFFSET_OVERFLOW_ONE'
  | 'OFFSET_OVERFLOW_BADLY'
  | 'OFFSET_TOO_SMALL';

export interface GetResult {
  readonly status: GetStatus;
  readonly nextBeginOffset: bigint;
  readonly minOffset: bigint;
  readonly maxOffset: bigint;
  readonly messages: readonly StoredMessage[];
}

/** Turns a placed message into its record. */
export type Encode = (placed: Omit<StoredMessage, 'record' | 'offsetMsgId' | 'tagsCode'>) => Buffer;

/** Commit log and consume queues of one broker, in memory. Mirrors DefaultMessageStore. */
export interface MessageStore {
  /** Delayed messages (DELAY > 0) are parked in the schedule topic instead. */
  put(message: MessageToStore): StoredMessage;
  /** Stores it where it says, whatever its DELAY. */
  append(message: MessageToStore): StoredMessage;
  minOffset(topic: string, queueId: number): number;
  /** The next offset to be written. */
  maxOffset(topic: string, queueId: number): number;
  get(
    topic: string,
    queueId: number,
    offset: bigint,
    maxMessages: number,
    matches: (tagsCode: number) => boolean,
  ): GetResult;
  at(topic: string, queueId: number, offset: number): StoredMessage | undefined;
  /** Undefined unless a record starts exactly there. */
  atPhysicalOffset(offset: bigint): StoredMessage | undefined;
  /** First offset stored at or after the time; the queue's end when all are older. `upper`: the last one stored at or before. */
  searchByTime(
    topic: string,
    queueId: number,
    timestamp: bigint,
    boundary: 'lower' | 'upper',
  ): number;
  /** Every message of the topic, queue by queue. */
  all(topic: string): StoredMessage[];
  /** Forgets what is older, as an expired commit log file would: the queue's minimum rises. */
  trim(topic: string, queueId: number, minOffset: number): void;
  /** Forgets the topic's messages: its queues begin at 0 again. */
  drop(topic: string): void;
}

/** Per pull: transfer limits of data in memory (MessageStoreConfig), and how much consume queue a filter scans. */
const MAX_TRANSFER_BYTES = 256 * 1024;
const MAX_TRANSFER_COUNT = 32;
const MAX_FILTER_BYTES = 16_000;
const CONSUME_QUEUE_UNIT = 20;

interface Queue {
  /** Offset of entries[0]. */
  base: number;
  entries: StoredMessage[];
}

const EMPTY: Queue = { base: 0, entries: [] };
const end = (queue: Queue) => queue.base + queue.entries.length;

export interface MessageStoreOptions {
  /** Milliseconds of each delay level, level 1 first. */
  readonly delayLevels: readonly number[];
  readonly encode: Encode;
  readonly tagsCode: (tags: string | undefined) => number;
  readonly offsetMsgId: (physicalOffset: number) => string;
  readonly now: () => number;
  readonly onAppend: (message: StoredMessage) => void;
}

export function createMessageStore({
  delayLevels,
  encode,
  tagsCode,
  offsetMsgId,
  now,
  onAppend,
}: MessageStoreOptions): MessageStore {
  const queues = new Map<string, Map<number, Queue>>();
  const log = new Map<number, StoredMessage>();
  let logEnd = 0;

  const find = (topic: string, queueId: number): Queue => queues.get(topic)?.get(queueId) ?? EMPTY;

  function queueToWrite(topic: string, queueId: number): Queue {
    const ofTopic = queues.get(topic) ?? new Map<number, Queue>();
    const queue = ofTopic.get(queueId) ?? { base: 0, entries: [] };
    queues.set(topic, ofTopic);
    ofTopic.set(queueId, queue);
    return queue;
  }

  function park(message: MessageToStore): MessageToStore {
    const asked = Number(message.properties.get('DELAY') ?? 0);
    if (message.topic === SCHEDULE_TOPIC || !(asked > 0)) return message;
    const properties = new Map(message.properties);
    properties.set('REAL_TOPIC', message.topic).set('REAL_QID', String(message.queueId));
    return {
      ...message,
      properties,
      topic: SCHEDULE_TOPIC,
      queueId: Math.min(asked, delayLevels.length) - 1,
    };
  }

  function append(message: MessageToStore): StoredMessage {
    const queue = queueToWrite(message.topic, message.queueId);
    const placed = {
      ...message,
      queueOffset: end(queue),
      physicalOffset: logEnd,
      storeTimestamp: now(),
    };
    const stored: StoredMessage = {
      ...placed,
      record: encode(placed),
      offsetMsgId: offsetMsgId(logEnd),
      tagsCode: tagsCode(message.properties.get('TAGS')),
    };
    logEnd += stored.record.length;
    queue.entries.push(stored);
    log.set(stored.physicalOffset, stored);
    onAppend(stored);
    return stored;
  }

  function collect(
    queue: Queue,
    from: number,
    maxMessages: number,
    matches: (tagsCode: number) => boolean,
  ) {
    const messages: StoredMessage[] = [];
    const lastToScan = from + Math.max(MAX_FILTER_BYTES / CONSUME_QUEUE_UNIT, maxMessages);
    let bytes = 0;
    let next = from;
    for (; next < end(queue) && next < lastToScan; next++) {
      const entry = queue.entries[next - queue.base];
      if (entry === undefined) break;
      const full =
        messages.length >= Math.min(maxMessages, MAX_TRANSFER_COUNT) ||
        bytes + entry.record.length > MAX_TRANSFER_BYTES;
      if (messages.length > 0 && full) break;
      if (!matches(entry.tagsCode)) continue;
      messages.push(entry);
      bytes += entry.record.length;
    }
    return { messages, next };
  }

  return {
    put: (message) => append(park(message)),
    append,
    minOffset: (topic, queueId) => find(topic, queueId).base,
    maxOffset: (topic, queueId) => end(find(topic, queueId)),
    get(topic, queueId, offset, maxMessages, matches) {
      const queue = find(topic, queueId);
      const [min, max] = [BigInt(queue.base), BigInt(end(queue))];
      const nothing = (status: GetStatus, next: bigint): GetResult => ({
        status,
        nextBeginOffset: next,
        minOffset: min,
        maxOffset: max,
        messages: [],
      });
      if (max === 0n) return nothing('NO_MESSAGE_IN_QUEUE', 0n);
      if (offset < min) return nothing('OFFSET_TOO_SMALL', min);
      if (offset === max) return nothing('OFFSET_OVERFLOW_ONE', offset);
      if (offset > max) return nothing('OFFSET_OVERFLOW_BADLY', max);
      const { messages, next } = collect(queue, Number(offset), maxMessages, matches);
      return {
        ...nothing(messages.length > 0 ? 'FOUND' : 'NO_MATCHED_MESSAGE', BigInt(next)),
        messages,
      };
    },
    at(topic, queueId, offset) {
      const queue = find(topic, queueId);
      return queue.entries[offset - queue.base];
    },
    atPhysicalOffset: (offset) => log.get(Number(offset)),
    searchByTime(topic, queueId, timestamp, boundary) {
      const { base, entries } = find(topic, queueId);
      const first = entries.findIndex((entry) =>
        boundary === 'lower'
          ? BigInt(entry.storeTimestamp) >= timestamp
          : BigInt(entry.storeTimestamp) > timestamp,
      );
      const lower = base + (first === -1 ? entries.length : first);
      return boundary === 'lower' ? lower : Math.max(base, lower - 1);
    },
    all: (topic) => [...(queues.get(topic)?.values() ?? [])].flatMap((queue) => queue.entries),
    trim(topic, queueId, minOffset) {
      const queue = queueToWrite(topic, queueId);
      const gone = queue.entries.splice(0, Math.max(0, minOffset - queue.base));
      queue.base += gone.length;
      for (const message of gone) log.delete(message.physicalOffset);
    },
    drop(topic) {
      for (const { entries } of queues.get(topic)?.values() ?? [])
        for (const message of entries) log.delete(message.physicalOffset);
      queues.delete(topic);
    },
  };
}
