import { ProtocolError } from '../errors.ts';
import type { HostAndPort } from '../model/message.ts';

/** The 4 or 16 bytes of an address as text: dotted, or eight groups of hex without leading zeros, as Java's getHostAddress prints them. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return groups.join(':');
}

/** Text (dotted IPv4, or IPv6 in any spelling) to 4 or 16 bytes. */
export function parseAddress(address: string): Buffer {
  if (!address.includes(':')) {
    const parts = address.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255))
      throw new ProtocolError(`"${address}" is no IP address`);
    return Buffer.from(parts);
  }
  const [head = '', tail] = address.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) throw new ProtocolError(`"${address}" is no IP address`);
  const bytes = Buffer.alloc(16);
  all.forEach((group, index) => {
    bytes.writeUInt16BE(group, index * 2);
  });
  return bytes;
}

/** `10.0.3.17:52114`, `[2001:db8::1]:10911`. */
export function formatHost(host: HostAndPort): string {
  return host.address.includes(':') ? `[${host.address}]:${host.port}` : `${host.address}:${host.port}`;
}
