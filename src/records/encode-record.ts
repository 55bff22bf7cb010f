import { crc32 } from 'node:zlib';
import { ProtocolError } from '../errors.ts';
import type { HostAndPort } from '../model/message.ts';
import { ByteWriter } from '../remoting/byte-writer.ts';
import { MAGIC_V1, MAGIC_V2 } from './decode-records.ts';
import { parseAddress } from './host.ts';
import { formatProperties } from './properties.ts';
import { SystemFlag } from './system-flag.ts';

/** What a broker stores of a message. `body` as stored, compressed or not; the host bits of sysFlag are set here. */
export interface RecordFields {
  readonly topic: string;
  readonly queueId: number;
  readonly flag: number;
  readonly queueOffset: bigint;
  readonly commitLogOffset: bigint;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: HostAndPort;
  readonly storeTimestamp: number;
  readonly storeHost: HostAndPort;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset?: bigint;
  readonly body: Buffer;
  readonly properties: ReadonlyMap<string, string> | Readonly<Record<string, string>>;
}

const LONGEST_V1_TOPIC = 127;
const LONGEST_TOPIC = 0x7fff;
const LONGEST_PROPERTIES = 0x7fff;

/** One stored record, V2 when the topic needs it. The grammar stands in decode-records.ts. Mirrors MessageExtEncoder. */
export function encodeRecord(fields: RecordFields): Buffer {
  const topic = Buffer.from(fields.topic);
  const properties = Buffer.from(formatProperties(fields.properties));
  if (properties.length > LONGEST_PROPERTIES || topic.length > LONGEST_TOPIC)
    throw new ProtocolError(
      `a topic of ${topic.length} or properties of ${properties.length} bytes do not fit a record`,
    );
  const bornAddress = parseAddress(fields.bornHost.address);
  const storeAddress = parseAddress(fields.storeHost.address);
  const sysFlag =
    (fields.sysFlag & ~(SystemFlag.BORN_HOST_V6 | SystemFlag.STORE_HOST_V6)) |
    (bornAddress.length === 16 ? SystemFlag.BORN_HOST_V6 : 0) |
    (storeAddress.length === 16 ? SystemFlag.STORE_HOST_V6 : 0);
  const v2 = topic.length > LONGEST_V1_TOPIC;
  const writer = new ByteWriter(128 + topic.length + properties.length + fields.body.length)
    .int32(0)
    .int32(v2 ? MAGIC_V2 : MAGIC_V1)
    .int32(crc32(fields.body) & 0x7fffffff)
    .int32(fields.queueId)
    .int32(fields.flag)
    .int64(fields.queueOffset)
    .int64(fields.commitLogOffset)
    .int32(sysFlag)
    .int64(BigInt(fields.bornTimestamp))
    .bytes(bornAddress)
    .int32(fields.bornHost.port)
    .int64(BigInt(fields.storeTimestamp))
    .bytes(storeAddress)
    .int32(fields.storeHost.port)
    .int32(fields.reconsumeTimes)
    .int64(fields.preparedTransactionOffset ?? 0n)
    .int32(fields.body.length)
    .bytes(fields.body);
  if (v2) writer.int16(topic.length);
  else writer.int8(topic.length);
  writer.bytes(topic).int16(properties.length).bytes(properties);
  return writer.patchInt32(0, writer.length).finish();
}
