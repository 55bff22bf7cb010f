import { crc32 } from 'node:zlib';
import { LimitExceededError, ProtocolError } from '../errors.ts';
import { ENTRY_BYTES, type Message, type UndecodableRecord } from '../model/message.ts';
import { ByteReader } from '../remoting/byte-reader.ts';
import { DEFAULT_LIMITS } from '../remoting/limits.ts';
import { innerBatchSize, isInnerBatch, unwrapInnerBatch } from './inner-batch.ts';
import { formatMessageId } from './message-id.ts';
import { isCompressed, openMessage } from './open-message.ts';
import { StoredMessage } from './stored-message.ts';
import { SystemFlag } from './system-flag.ts';

/*
 * Record => totalSize:int32 magic:int32 bodyCRC:int32 queueId:int32 flag:int32 queueOffset:int64 physicalOffset:int64 sysFlag:int32
 *           bornTimestamp:int64 bornHost storeTimestamp:int64 storeHost reconsumeTimes:int32 preparedTransactionOffset:int64
 *           bodyLength:int32 body topicLength:int8|int16 topic propertiesLength:int16 properties
 *   host => address:4|16 port:int32                16 when the sysFlag says so
 *   topicLength => int8 under MAGIC_V1, int16 under MAGIC_V2
 */
export const MAGIC_V1 = 0xdaa320a7 | 0;
export const MAGIC_V2 = 0xdaa320ab | 0;
/** Bytes up to and with sysFlag: enough to name a record that cannot be read further. */
const HEAD_BYTES = 40;
const SIZE_AND_MAGIC_BYTES = 8;
const QUEUE_OFFSET_AT = 20;
const CRC_MASK = 0x7fffffff;

export interface DecodeContext {
  readonly brokerName: string;
  /** Static topics: what to add to every queueOffset. */
  readonly offsetDelta?: bigint;
  /** Compare the stored body with its CRC. Default true; inner batches are never compared. */
  readonly checkCrc?: boolean;
  /** Bytes of one message's body after decompression. */
  readonly maxDecompressedBytes?: number;
  /**
   * Bytes of all bodies of the answer after decompression, and ENTRY_BYTES for each message of an inner batch. The
   * records from the first one that does not fit are left out, see `cutAt`; the first always fits. Default: no bound.
   */
  readonly maxAnswerBytes?: number;
  /** Compressed bodies stay as they are stored, see `openMessage`. Inner batches are opened all the same. */
  readonly keepCompressed?: boolean;
  /** Where the next pull begins: no inner batch reaches further, nor to the next record of the answer. */
  readonly nextBeginOffset?: bigint;
  /** Next offset of the queue behind a record, for answers of several queues. Default: `nextBeginOffset`. */
  readonly nextOffsetOf?: (record: Message) => bigint | undefined;
}

export interface DecodedRecords {
  readonly messages: StoredMessage[];
  readonly undecodable: UndecodableRecord[];
  /** Queue offset of the first record that `maxAnswerBytes` left out: the next pull begins there. */
  readonly cutAt?: bigint;
  /** Offsets of inner batches' messages that records of the answer have, too: the records stand. */
  readonly overlapping?: readonly bigint[];
}

/**
 * Reads the body of a pull answer: stored records back to back. A record that cannot be read keeps its place in `undecodable`, and reading goes on
 * behind it as long as its size is credible. Bodies are views of the answer, or decompressed. Mirrors MessageDecoder.decodesBatch, which drops such a record and the
 * rest of the buffer silently.
 * @throws ProtocolError when a damaged size leaves no way to the next record
 */
export function decodeRecords(body: Buffer, context: DecodeContext): DecodedRecords {
  const messages: StoredMessage[] = [];
  const undecodable: UndecodableRecord[] = [];
  const budget = new OpenBudget(context);
  // Only batches overlap: answers without one are not looked through again.
  let hasBatch = false;
  const decoded = (): DecodedRecords =>
    hasBatch ? withoutOverlap(messages, undecodable) : { messages, undecodable };
  for (let start = 0; start < body.length; ) {
    const end = start + recordSize(body, start);
    let record: StoredMessage | undefined;
    try {
      record = readRecord(new ByteReader(body, start, end), context);
      const opened = isInnerBatch(record.sysFlag)
        ? openInnerBatch(record, nextOffset(record, body, end, context), context, budget)
        : openRecord(record, context, budget);
      if (opened === undefined) return { ...decoded(), cutAt: record.queueOffset };
      if (Array.isArray(opened)) {
        hasBatch = true;
        for (const item of opened) messages.push(item);
      } else messages.push(opened);
    } catch (error) {
      // Whatever it is, it is this record's: the pull would fail again and again with all of them.
      const cause = error instanceof Error ? error : new Error(String(error));
      undecodable.push({
        ...describeUndecodable(new ByteReader(body, start, end), context, cause),
        stored: body.subarray(start, end),
        ...(record !== undefined && { unopened: record }),
      });
    }
    start = end;
  }
  return decoded();
}

/** The next offset of the queue behind a record; undefined: not known. */
function nextOffset(
  record: StoredMessage,
  body: Buffer,
  end: number,
  { nextBeginOffset, nextOffsetOf, offsetDelta = 0n }: DecodeContext,
): bigint | undefined {
  if (nextOffsetOf !== undefined) return nextOffsetOf(record);
  if (nextBeginOffset === undefined || end + HEAD_BYTES > body.length) return nextBeginOffset;
  const next = body.readBigInt64BE(end + QUEUE_OFFSET_AT) + offsetDelta;
  return next < nextBeginOffset ? next : nextBeginOffset;
}

/** A message of an inner batch gives way to the record that has its offset. */
function withoutOverlap(all: StoredMessage[], undecodable: UndecodableRecord[]): DecodedRecords {
  const ofRecords = new Set<string>(undecodable.map(placeOf));
  for (const message of all) if (message.storeSize > 0) ofRecords.add(placeOf(message));
  const messages: StoredMessage[] = [];
  const overlapping: bigint[] = [];
  for (const message of all)
    if (message.storeSize === 0 && ofRecords.has(placeOf(message)))
      overlapping.push(message.queueOffset);
    else messages.push(message);
  return { messages, undecodable, ...(overlapping.length === 0 ? {} : { overlapping }) };
}

function placeOf({ queueId, queueOffset }: Pick<Message, 'queueId' | 'queueOffset'>): string {
  return `${queueId}@${queueOffset}`;
}

/** What the bodies of one answer may take after decompression. */
class OpenBudget {
  readonly maxMessageBytes: number;
  /** undefined: as much as there is. */
  readonly #maxAnswerBytes: number | undefined;
  #opened = 0;

  constructor({ maxDecompressedBytes, maxAnswerBytes }: DecodeContext) {
    this.maxMessageBytes = maxDecompressedBytes ?? DEFAULT_LIMITS.maxDecompressedBytes;
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /** Bytes that the next body may take. */
  get room(): number {
    const max = this.#maxAnswerBytes;
    if (this.#opened === 0 || max === undefined) return this.maxMessageBytes;
    return Math.min(this.maxMessageBytes, Math.max(0, max - this.#opened));
  }

  fits(bytes: number): boolean {
    const max = this.#maxAnswerBytes;
    return this.#opened === 0 || max === undefined || this.#opened + bytes <= max;
  }

  add(bytes: number): void {
    this.#opened += bytes;
  }
}

/** undefined: the batch does not fit into the answer's budget. @throws ProtocolError, LimitExceededError */
function openInnerBatch(
  record: StoredMessage,
  nextOffset: bigint | undefined,
  context: DecodeContext,
  budget: OpenBudget,
): StoredMessage[] | undefined {
  const size = innerBatchSize(record, nextOffset);
  const itemBytes = size * ENTRY_BYTES;
  if (!budget.fits(itemBytes)) return undefined;
  const opened = openRecord(record, context, budget);
  if (opened === undefined) return undefined;
  budget.add(itemBytes);
  return unwrapInnerBatch(opened, size);
}

/** undefined: the body does not fit into the answer's budget. @throws ProtocolError, LimitExceededError */
function openRecord(
  record: StoredMessage,
  { keepCompressed }: DecodeContext,
  budget: OpenBudget,
): StoredMessage | undefined {
  if (!isCompressed(record) || (keepCompressed === true && !isInnerBatch(record.sysFlag)))
    return record;
  const { room } = budget;
  if (room === 0) return undefined;
  try {
    const opened = openMessage(record, room);
    budget.add(opened.body.length);
    return opened;
  } catch (error) {
    if (error instanceof LimitExceededError && room < budget.maxMessageBytes) return undefined;
    throw error;
  }
}

/** A size is credible when it fits, and when its record or whatever follows it looks like a record. */
function recordSize(body: Buffer, start: number): number {
  const reader = new ByteReader(body, start);
  const size = reader.int32('size of a stored record');
  const magic = reader.int32('magic of a stored record');
  const left = body.length - start;
  if (size < HEAD_BYTES || size > left)
    throw new ProtocolError(`a stored record announces ${size} bytes where ${left} are left`);
  if (!isMagic(magic) && size !== left && !isMagic(magicAt(body, start + size)))
    throw new ProtocolError(
      `a stored record has the unknown magic ${hex(magic)}, and none follows it after ${size} bytes`,
    );
  return size;
}

function magicAt(body: Buffer, start: number): number {
  return start + SIZE_AND_MAGIC_BYTES <= body.length ? body.readInt32BE(start + 4) : 0;
}

function isMagic(magic: number): boolean {
  return magic === MAGIC_V1 || magic === MAGIC_V2;
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

function readRecord(reader: ByteReader, context: DecodeContext): StoredMessage {
  const storeSize = reader.int32('size');
  const magic = reader.int32('magic');
  if (!isMagic(magic))
    throw new ProtocolError(
      `a stored record has the unknown magic ${hex(magic)}: it needs a newer client`,
    );
  const bodyCRC = reader.int32('body CRC');
  const queueId = reader.int32('queue id');
  const flag = reader.int32('flag');
  const queueOffset = reader.int64('queue offset') + (context.offsetDelta ?? 0n);
  const commitLogOffset = reader.int64('physical offset');
  const sysFlag = reader.int32('sysFlag');
  const bornTimestamp = Number(reader.int64('born timestamp'));
  const bornHostBytes = reader.bytes(hostBytes(sysFlag, SystemFlag.BORN_HOST_V6), 'born host');
  const storeTimestamp = Number(reader.int64('store timestamp'));
  const storeHostBytes = reader.bytes(hostBytes(sysFlag, SystemFlag.STORE_HOST_V6), 'store host');
  const reconsumeTimes = reader.int32('reconsume times');
  const preparedTransactionOffset = reader.int64('prepared transaction offset');
  const stored = reader.bytes(reader.int32('body length'), 'body');
  const topicLength =
    magic === MAGIC_V1 ? reader.uint8('topic length') : reader.uint16('topic length');
  const topic = reader.utf8(topicLength, 'topic');
  const propertyBytes = reader.bytes(reader.int16('properties length'), 'properties');
  if (
    context.checkCrc !== false &&
    !isInnerBatch(sysFlag) &&
    stored.length > 0 &&
    (crc32(stored) & CRC_MASK) !== bodyCRC
  )
    throw new ProtocolError(`the body of a stored record does not match its CRC ${bodyCRC}`);
  return new StoredMessage({
    brokerName: context.brokerName,
    body: stored,
    sysFlag,
    topic,
    queueId,
    queueOffset,
    commitLogOffset,
    flag,
    bornTimestamp,
    bornHostBytes,
    storeTimestamp,
    storeHostBytes,
    reconsumeTimes,
    preparedTransactionOffset,
    bodyCRC,
    storeSize,
    propertyBytes,
  });
}

/** Address and port. */
function hostBytes(sysFlag: number, v6Flag: number): number {
  return (sysFlag & v6Flag) === 0 ? 8 : 20;
}

/** Reads again what stands before the damage. */
function describeUndecodable(
  reader: ByteReader,
  context: DecodeContext,
  error: Error,
): UndecodableRecord {
  reader.bytes(12, 'what stands before the queue id');
  const queueId = reader.int32('queue id');
  reader.int32('flag');
  const queueOffset = reader.int64('queue offset') + (context.offsetDelta ?? 0n);
  const commitLogOffset = reader.int64('physical offset');
  const sysFlag = reader.int32('sysFlag');
  try {
    reader.bytes(8 + hostBytes(sysFlag, SystemFlag.BORN_HOST_V6) + 8, 'birth and store timestamp');
    const offsetMsgId = formatMessageId(
      reader.bytes(hostBytes(sysFlag, SystemFlag.STORE_HOST_V6), 'store host'),
      commitLogOffset,
    );
    return {
      queueId,
      queueOffset,
      commitLogOffset,
      reconsumeTimes: reader.int32('reconsume times'),
      offsetMsgId,
      error,
    };
  } catch {
    // Cut before these fields: the offsets are all that is known of it.
    return {
      ...{ queueId, queueOffset, commitLogOffset },
      reconsumeTimes: 0,
      offsetMsgId: undefined,
      error,
    };
  }
}
