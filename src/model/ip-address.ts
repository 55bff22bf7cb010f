/** 16 bytes; IPv4 in its mapped form (::ffff:0:0/96). */
export type IpBytes = Buffer;

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
/** Bits in front of the IPv4 address in its mapped form. */
export const MAPPED_BITS = MAPPED.length * 8;

/** What URLs may have between brackets; they say what is valid. */
const IPV6 = /^[0-9a-fA-F:.]+$/;
/** Without leading zeros, which resolvers read as octal. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** undefined: not an IP address. The zone of IPv6 (`%eth0`) is left out. */
export function ipBytes(text: string): IpBytes | undefined {
  if (IPV4.test(text)) return mapped(Buffer.from(text.split('.').map(Number)));
  const [address = ''] = text.split('%');
  if (!address.includes(':')) return undefined;
  const url = `http://[${address}]`;
  if (!IPV6.test(address) || !URL.canParse(url)) return undefined;
  return ipv6Bytes(new URL(url).hostname.slice(1, -1));
}

/** @param ipv4 its 4 bytes */
export function mapped(ipv4: Uint8Array): IpBytes {
  return Buffer.concat([MAPPED, ipv4]);
}

/** Of the canonical spelling: groups of hex, no dots. */
function ipv6Bytes(address: string): IpBytes {
  const [front = [], back = []] = address
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const groups = [...front, ...zeros, ...back].map((group) => group.padStart(4, '0'));
  return Buffer.from(groups.join(''), 'hex');
}

/** Are the first `bits` the same? */
export function samePrefix(a: IpBytes, b: IpBytes, bits: number): boolean {
  const whole = bits >> 3;
  if (a.compare(b, 0, whole, 0, whole) !== 0) return false;
  const rest = bits & 7;
  return rest === 0 || ((a[whole] ?? 0) ^ (b[whole] ?? 0)) >> (8 - rest) === 0;
}
