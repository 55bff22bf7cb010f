import assert from 'node:assert/strict';
import zlib from 'node:zlib';

/** A stored record, read here by hand (layout: message.md §1) so that the check does not lean on the product's decoder. IPv4 hosts only. */
export interface RawRecord {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: bigint;
  readonly flag: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: string;
  readonly storeTimestamp: number;
  readonly storeHost: string;
  readonly reconsumeTimes: number;
  readonly body: string;
  readonly properties: Record<string, string>;
  readonly size: number;
  /** As the broker computes it: store host and physical offset. */
  readonly offsetMsgId: string;
}

const MAGIC_V1 = 0xdaa320a7;
const MAGIC_V2 = 0xdaa320ab;

function hostAt(bytes: Buffer, at: number): string {
  return `${[...bytes.subarray(at, at + 4)].join('.')}:${bytes.readInt32BE(at + 4)}`;
}

function propertiesOf(text: string): Record<string, string> {
  const pairs = text.split('\u0002').map((pair) => pair.split('\u0001'));
  return Object.fromEntries(
    pairs.flatMap(([key, value]) => (key && value !== undefined ? [[key, value]] : [])),
  );
}

function readRecord(bytes: Buffer): RawRecord {
  const magic = bytes.readUInt32BE(4);
  assert(magic === MAGIC_V1 || magic === MAGIC_V2, `unknown magic ${magic.toString(16)}`);
  const bodyLength = bytes.readInt32BE(84);
  const body = bytes.subarray(88, 88 + bodyLength);
  assert.equal(bytes.readUInt32BE(8), zlib.crc32(body) & 0x7fffffff, 'body CRC');
  const topicStart = 88 + bodyLength + (magic === MAGIC_V1 ? 1 : 2);
  const topicEnd =
    topicStart +
    (magic === MAGIC_V1 ? bytes.readUInt8(topicStart - 1) : bytes.readUInt16BE(topicStart - 2));
  const propertiesEnd = topicEnd + 2 + bytes.readInt16BE(topicEnd);
  assert.equal(propertiesEnd, bytes.length, 'the record ends with its properties');
  return {
    topic: bytes.toString('utf8', topicStart, topicEnd),
    queueId: bytes.readInt32BE(12),
    flag: bytes.readInt32BE(16),
    queueOffset: Number(bytes.readBigInt64BE(20)),
    physicalOffset: bytes.readBigInt64BE(28),
    sysFlag: bytes.readInt32BE(36),
    bornTimestamp: Number(bytes.readBigInt64BE(40)),
    bornHost: hostAt(bytes, 48),
    storeTimestamp: Number(bytes.readBigInt64BE(56)),
    storeHost: hostAt(bytes, 64),
    reconsumeTimes: bytes.readInt32BE(72),
    body: body.toString(),
    properties: propertiesOf(bytes.toString('utf8', topicEnd + 2, propertiesEnd)),
    size: bytes.length,
    offsetMsgId: (bytes.toString('hex', 64, 72) + bytes.toString('hex', 28, 36)).toUpperCase(),
  };
}

/** The records of a pull answer's body, in order. */
export function recordsIn(body: Buffer): RawRecord[] {
  const records: RawRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const size = body.readInt32BE(at);
    records.push(readRecord(body.subarray(at, at + size)));
    at += size;
  }
  return records;
}

/** The one record that a body should hold. */
export function onlyRecord(records: readonly RawRecord[]): RawRecord {
  const [first] = records;
  assert(
    first !== undefined && records.length === 1,
    `one record expected, ${records.length} came`,
  );
  return first;
}
