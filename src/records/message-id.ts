import { ProtocolError } from '../errors.ts';
import type { HostAndPort } from '../model/message.ts';
import { formatAddress, parseAddress } from './host.ts';

/** Upper-case hex of store host (4 or 16 bytes), port (4) and physical offset (8): 32 or 56 characters. Mirrors MessageDecoder.createMessageId. */
export function offsetMsgId(storeHost: HostAndPort, commitLogOffset: bigint): string {
  const address = parseAddress(storeHost.address);
  const bytes = Buffer.allocUnsafe(address.length + 12);
  bytes.set(address);
  bytes.writeInt32BE(storeHost.port, address.length);
  bytes.writeBigInt64BE(commitLogOffset, address.length + 4);
  return bytes.toString('hex').toUpperCase();
}

/** @throws ProtocolError for text that is no offsetMsgId */
export function parseOffsetMsgId(id: string): { storeHost: HostAndPort; commitLogOffset: bigint } {
  if ((id.length !== 32 && id.length !== 56) || !/^[0-9a-fA-F]+$/.test(id))
    throw new ProtocolError(`"${id}" is no offset message id: 32 or 56 hex characters`);
  const bytes = Buffer.from(id, 'hex');
  const addressLength = bytes.length - 12;
  return {
    storeHost: { address: formatAddress(bytes.subarray(0, addressLength)), port: bytes.readInt32BE(addressLength) },
    commitLogOffset: bytes.readBigInt64BE(addressLength + 4),
  };
}

/**
 * Makes UNIQ_KEYs: ip (4 bytes), pid (2), a random word in the place of Java's class loader hash (4), ms since the start of the month (4), counter (2).
 * Mirrors MessageClientIDSetter.
 */
export function createUniqKeys(source: {
  readonly address: string;
  readonly pid: number;
  readonly random: number;
  now(): number;
}): () => string {
  const prefix = Buffer.alloc(10);
  prefix.set(parseAddress(source.address).subarray(-4), 0);
  prefix.writeUInt16BE(source.pid & 0xffff, 4);
  prefix.writeUInt32BE(source.random >>> 0, 6);
  const head = prefix.toString('hex').toUpperCase();
  let counter = 0;
  return () => {
    const now = source.now();
    const date = new Date(now);
    const sinceMonth = now - Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    counter = (counter + 1) & 0xffff;
    return head + (sinceMonth >>> 0).toString(16).toUpperCase().padStart(8, '0') + counter.toString(16).toUpperCase().padStart(4, '0');
  };
}
