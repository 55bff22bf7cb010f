import { type IpBytes, ipBytes, MAPPED_BITS } from './ip-address.ts';

/** One entry of `brokers`: a host name, all names below one, or a block of addresses. */
export type BrokerEntry =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'below'; readonly suffix: string }
  | { readonly type: 'block'; readonly network: IpBytes; readonly bits: number };

export const BROKER_ENTRY =
  'an address block (10.0.0.0/16, fd00::/8), an address, a host name, or *.name for the names below one';

/** The last part of a host name has a letter: 127.1 and 0x7f.1 are addresses to resolvers. */
const NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*(?!0x)(?=[a-z0-9_-]*[a-z])[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

export function normalName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

/** undefined: not valid. */
export function parseBrokerEntry(text: string): BrokerEntry | undefined {
  const [address = '', bits, ...more] = text
    .trim()
    .replace(/^\[(.+)\]$/, '$1')
    .split('/');
  const network = ipBytes(address);
  if (network !== undefined && more.length === 0) {
    const offset = address.includes(':') ? 0 : MAPPED_BITS;
    const all = 128 - offset;
    const own = bits === undefined ? all : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    return own <= all ? { type: 'block', network, bits: own + offset } : undefined;
  }
  const name = normalName(text.trim());
  const suffix = name.startsWith('*.') ? name.slice(2) : undefined;
  if (!NAME.test(suffix ?? name)) return undefined;
  return suffix === undefined ? { type: 'name', name } : { type: 'below', suffix: `.${suffix}` };
}
