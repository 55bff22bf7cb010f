import { crc32 } from 'node:zlib';
import { LimitExceededError, ProtocolError } from '../errors.ts';
import type { HostAndPort, Message, UndecodableRecord } from '../model/message.ts';
import { ByteReader } from '../remoting/byte-reader.ts';
import { DEFAULT_LIMITS } from '../remoting/limits.ts';
import { decompress } from './compression/decompress.ts';
import { formatAddress } from './host.ts';
import { offsetMsgId } from './message-id.ts';
import { Property, parseProperties } from './properties.ts';
import { compressionType, SystemFlag } from './system-flag.ts';

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
const CRC_MASK = 0x7fffffff;

export interface DecodeContext {
  readonly brokerName: string;
  /** Static topics: what to add to every queueOffset. */
  readonly offsetDelta?: bigint;
  /** Compare the stored body with its CRC. Default true; inner batches are never compared. */
  readonly checkCrc?: boolean;
  readonly maxDecompressedBytes?: number;
}

export interface DecodedRecords {
  readonly messages: Message[];
  readonly undecodable: UndecodableRecord[];
}

/**
 * Reads the body of a pull answer: stored records back to back. A record that is damaged inside keeps its place in `undecodable`, and reading goes on behind it.
 * Mirrors MessageDecoder.decodesBatch, which drops such a record and the rest of the buffer silently.
 * @throws ProtocolError when a record's size or magic leaves no way to the next one
 */
export function decodeRecords(body: Buffer, context: DecodeContext): DecodedRecords {
  const messages: Message[] = [];
  const undecodable: UndecodableRecord[] = [];
  for (let start = 0; start < body.length; ) {
    if (start + 8 > body.length) throw new ProtocolError(`a stored record of ${body.length - start} bytes has no size and magic`);
    const size = body.readInt32BE(start);
    const magic = body.readInt32BE(start + 4);
    if (size < HEAD_BYTES || start + size > body.length)
      throw new ProtocolError(`a stored record announces ${size} bytes where ${body.length - start} are left`);
    if (magic !== MAGIC_V1 && magic !== MAGIC_V2)
      throw new ProtocolError(`a stored record has the unknown magic 0x${(magic >>> 0).toString(16)}`);
    try {
      const record = readRecord(new ByteReader(body, start, start + size), magic, context);
      if (isInnerBatch(record.sysFlag)) messages.push(...unwrap(record, context));
      else messages.push(record);
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof LimitExceededError)) throw error;
      undecodable.push(describeUndecodable(body, start, context, error));
    }
    start += size;
  }
  return { messages, undecodable };
}

function isInnerBatch(sysFlag: number): boolean {
  const both = SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH;
  return (sysFlag & both) === both;
}

function readRecord(reader: ByteReader, magic: number, context: DecodeContext): StoredMessage {
  const storeSize = reader.int32('size');
  reader.int32('magic');
  const bodyCRC = reader.int32('body CRC');
  const queueId = reader.int32('queue id');
  const flag = reader.int32('flag');
  const queueOffset = reader.int64('queue offset') + (context.offsetDelta ?? 0n);
  const commitLogOffset = reader.int64('physical offset');
  const sysFlag = reader.int32('sysFlag');
  const bornTimestamp = Number(reader.int64('born timestamp'));
  const bornHost = readHost(reader, (sysFlag & SystemFlag.BORN_HOST_V6) !== 0);
  const storeTimestamp = Number(reader.int64('store timestamp'));
  const storeHost = readHost(reader, (sysFlag & SystemFlag.STORE_HOST_V6) !== 0);
  const reconsumeTimes = reader.int32('reconsume times');
  const preparedTransactionOffset = reader.int64('prepared transaction offset');
  const stored = reader.bytes(reader.int32('body length'), 'body');
  const topicLength = magic === MAGIC_V1 ? reader.uint8('topic length') : reader.uint16('topic length');
  const topic = reader.utf8(topicLength, 'topic');
  const propertyBytes = reader.bytes(reader.uint16('properties length'), 'properties');
  if (context.checkCrc !== false && !isInnerBatch(sysFlag) && stored.length > 0 && (crc32(stored) & CRC_MASK) !== bodyCRC)
    throw new ProtocolError(`the body of a stored record does not match its CRC ${bodyCRC}`);
  return new StoredMessage({
    ...{
      topic,
      brokerName: context.brokerName,
      queueId,
      queueOffset,
      commitLogOffset,
      flag,
      bornTimestamp,
      bornHost,
      storeTimestamp,
      storeHost,
    },
    ...{ reconsumeTimes, preparedTransactionOffset, bodyCRC, storeSize, propertyBytes },
    ...openBody(stored, sysFlag, context),
  });
}

function openBody(stored: Buffer, sysFlag: number, context: DecodeContext): { body: Buffer; sysFlag: number } {
  if ((sysFlag & SystemFlag.COMPRESSED) === 0 || stored.length === 0) return { body: stored, sysFlag };
  const type = compressionType(sysFlag);
  if (type === undefined) throw new ProtocolError(`a body is compressed in an unknown way (sysFlag 0x${sysFlag.toString(16)})`);
  const body = decompress(type, stored, context.maxDecompressedBytes ?? DEFAULT_LIMITS.maxDecompressedBytes);
  return { body, sysFlag: sysFlag & ~SystemFlag.COMPRESSED };
}

/** Host bytes, turned into text only when somebody asks. */
function readHost(reader: ByteReader, v6: boolean): HostAndPort {
  const bytes = reader.bytes(v6 ? 16 : 4, 'host');
  const port = reader.int32('port');
  return new StoredHost(bytes, port);
}

class StoredHost implements HostAndPort {
  readonly #bytes: Buffer;
  readonly port: number;

  constructor(bytes: Buffer, port: number) {
    this.#bytes = bytes;
    this.port = port;
  }

  get address(): string {
    return formatAddress(this.#bytes);
  }
}

type Fields = Omit<Message, 'properties' | 'offsetMsgId' | 'msgId'> & { readonly propertyBytes: Buffer };

/** A record as it was read; properties and ids are worked out when they are asked for. */
class StoredMessage implements Message {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
  readonly commitLogOffset: bigint;
  readonly flag: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: HostAndPort;
  readonly storeTimestamp: number;
  readonly storeHost: HostAndPort;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: bigint;
  readonly bodyCRC: number;
  readonly storeSize: number;
  readonly body: Buffer;
  readonly #propertyBytes: Buffer;
  #properties: ReadonlyMap<string, string> | undefined;

  constructor(fields: Fields) {
    this.topic = fields.topic;
    this.brokerName = fields.brokerName;
    this.queueId = fields.queueId;
    this.queueOffset = fields.queueOffset;
    this.commitLogOffset = fields.commitLogOffset;
    this.flag = fields.flag;
    this.sysFlag = fields.sysFlag;
    this.bornTimestamp = fields.bornTimestamp;
    this.bornHost = fields.bornHost;
    this.storeTimestamp = fields.storeTimestamp;
    this.storeHost = fields.storeHost;
    this.reconsumeTimes = fields.reconsumeTimes;
    this.preparedTransactionOffset = fields.preparedTransactionOffset;
    this.bodyCRC = fields.bodyCRC;
    this.storeSize = fields.storeSize;
    this.body = fields.body;
    this.#propertyBytes = fields.propertyBytes;
  }

  get properties(): ReadonlyMap<string, string> {
    this.#properties ??= parseProperties(this.#propertyBytes.toString('utf8'));
    return this.#properties;
  }

  get offsetMsgId(): string {
    return offsetMsgId(this.storeHost, this.commitLogOffset);
  }

  get msgId(): string {
    return this.properties.get(Property.UNIQ_KEY) ?? this.offsetMsgId;
  }
}

/*
 * Item of an inner batch => size:int32 magic:int32 crc:int32 flag:int32 bodyLength:int32 body propertiesLength:int16 properties
 */
/** Mirrors MessageDecoder.decodeMessages: items take place, hosts and times from the record around them, queueOffset counts up from it. */
function unwrap(outer: StoredMessage, context: DecodeContext): Message[] {
  const reader = new ByteReader(outer.body);
  const items: Message[] = [];
  while (reader.remaining > 0) {
    reader.int32('size of an inner message');
    reader.int32('magic of an inner message');
    const bodyCRC = reader.int32('CRC of an inner message');
    const flag = reader.int32('flag of an inner message');
    const body = reader.bytes(reader.int32('body length of an inner message'), 'body of an inner message');
    const propertyBytes = reader.bytes(reader.uint16('properties length of an inner message'), 'properties of an inner message');
    const { topic, queueId, commitLogOffset, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost, preparedTransactionOffset } =
      outer;
    items.push(
      new StoredMessage({
        ...{ topic, brokerName: context.brokerName, queueId, commitLogOffset, sysFlag, bornTimestamp, bornHost, storeTimestamp, storeHost },
        ...{ preparedTransactionOffset, reconsumeTimes: 0, storeSize: 0, bodyCRC, flag, body, propertyBytes },
        queueOffset: outer.queueOffset + BigInt(items.length),
      }),
    );
  }
  return items;
}

function describeUndecodable(body: Buffer, start: number, context: DecodeContext, error: Error): UndecodableRecord {
  const commitLogOffset = body.readBigInt64BE(start + 28);
  const sysFlag = body.readInt32BE(start + 36);
  const storeHostAt = start + 56 + ((sysFlag & SystemFlag.BORN_HOST_V6) !== 0 ? 12 : 0);
  const reader = new ByteReader(body, Math.min(storeHostAt, body.length));
  let id = '';
  let reconsumeTimes = 0;
  try {
    const bornHostBytes = (sysFlag & SystemFlag.BORN_HOST_V6) !== 0 ? 20 : 8;
    reader.offset = start + 48 + bornHostBytes + 8;
    id = offsetMsgId(readHost(reader, (sysFlag & SystemFlag.STORE_HOST_V6) !== 0), commitLogOffset);
    reconsumeTimes = reader.int32('reconsume times');
  } catch {
    // Cut short before these fields: the offsets above are all that is known of it.
  }
  return {
    queueOffset: body.readBigInt64BE(start + 20) + (context.offsetDelta ?? 0n),
    commitLogOffset,
    reconsumeTimes,
    offsetMsgId: id,
    error,
  };
}
