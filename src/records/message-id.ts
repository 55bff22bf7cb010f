import { ProtocolError } from '../errors.ts';
import type { HostAndPort } from '../model/message.ts';
import { ByteReader } from '../remoting/byte-reader.ts';
import { ByteWriter } from '../remoting/byte-writer.ts';
import { formatAddress, parseAddress } from './host.ts';

/** Upper-case hex of store host (4 or 16 bytes), port (4) and physical offset (8): 32 or 56 characters. Mirrors MessageDecoder.createMessageId. */
export function offsetMsgId(storeHost: HostAndPort, commitLogOffset: bigint): string {
  return formatMessageId(
    new ByteWriter(32).bytes(parseAddress(storeHost.address)).int32(storeHost.port).finish(),
    commitLogOffset,
  );
}

/** The same, from a host's bytes as records hold them. */
export function formatMessageId(hostBytes: Buffer, commitLogOffset: bigint): string {
  return (
    hostBytes.toString('hex') + BigInt.asUintN(64, commitLogOffset).toString(16).padStart(16, '0')
  ).toUpperCase();
}

/** @throws ProtocolError for text that is no offsetMsgId */
export function parseOffsetMsgId(id: string): { storeHost: HostAndPort; commitLogOffset: bigint } {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9a-fA-F]+$/.test(id))
    throw new ProtocolError(`"${id}" is no offset message id: 32 or 56 hex characters`);
  const reader = new ByteReader(Buffer.from(id, 'hex'));
  const address = formatAddress(reader.bytes(reader.remaining - 12, 'address'));
  return {
    storeHost: { address, port: reader.int32('port') },
    commitLogOffset: reader.int64('physical offset'),
  };
}

/** Who makes keys, and from what. The counter lives in the closure, not in the module: a thawed instance goes on counting. */
export interface UniqKeySource {
  /** Of this machine; IPv4 gives keys of 32 characters, IPv6 of 56. */
  readonly address: string;
  readonly pid: number;
  /** 32 random bits in the place of Java's class loader hash. */
  readonly random: number;
  /** Epoch milliseconds. */
  now(): number;
}

/** Makes UNIQ_KEYs: address (4 or 16 bytes), pid (2), random (4), ms since the start of the month (4), counter (2). Mirrors MessageClientIDSetter. */
export function createUniqKeys(source: UniqKeySource): () => string {
  const head = new ByteWriter()
    .bytes(parseAddress(source.address))
    .int16(source.pid)
    .int32(source.random)
    .finish();
  let counter = 0;
  return () => {
    const now = source.now();
    const date = new Date(now);
    const sinceMonth = now - Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    const tail = new ByteWriter(16).int32(sinceMonth).int16(counter);
    counter = (counter + 1) & 0xffff;
    return (head.toString('hex') + tail.finish().toString('hex')).toUpperCase();
  };
}
