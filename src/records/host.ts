import { isIPv4, isIPv6 } from 'node:net';
import { ProtocolError } from '../errors.ts';
import type { HostAndPort } from '../model/message.ts';
import { ByteWriter } from '../remoting/byte-writer.ts';

/** The 4 or 16 bytes of an address as text: dotted, or eight groups of hex without leading zeros, as Java's getHostAddress prints them. */
export function formatAddress(bytes: Uint8Array): string {
  // Made for every message: join takes five times as long.
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const groups: string[] = [];
  for (let i = 0; i < bytes.length; i += 2)
    groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return groups.join(':');
}

const MAPPED_V4 = /^::ffff:(?=\d+\.)/i;

/**
 * Text to 4 or 16 bytes: dotted IPv4, also in the clothes of IPv6 (`::ffff:10.0.0.1`, as dual-stack sockets and Java take it), or IPv6 in any spelling.
 * @throws ProtocolError for anything else, host names too
 */
export function parseAddress(address: string): Buffer {
  const text = address.replace(MAPPED_V4, '');
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('.') || text.includes('%'))
    throw new ProtocolError(`"${address}" is no IP address`);
  const [head = '', tail = ''] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = groups(tail);
  const writer = new ByteWriter(16);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0);
  for (const group of [...front, ...zeros, ...back]) writer.int16(group);
  return writer.finish();
}

/** `10.0.3.17:52114`, `[2001:db8::1]:10911`. */
export function formatHost(host: HostAndPort): string {
  return host.address.includes(':')
    ? `[${host.address}]:${host.port}`
    : `${host.address}:${host.port}`;
}
