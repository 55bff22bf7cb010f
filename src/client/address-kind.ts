import { type BrokerEntry, parseBrokerEntry } from '../model/broker-entry.ts';
import { type IpBytes, mapped, samePrefix } from '../model/ip-address.ts';

/** What an address means to the machine that dials it. `ordinary`: public and private ones. */
export type AddressKind = 'ordinary' | 'loopback' | 'unspecified' | 'link-local' | 'metadata';

const IPV4_AT = 12;

/** Addresses with the first bits of `network`. */
type Block = Extract<BrokerEntry, { type: 'block' }>;

function block(text: string): Block {
  const entry = parseBrokerEntry(text);
  if (entry?.type !== 'block') throw new TypeError(`${text} is not a block of addresses`);
  return entry;
}

const isIn = (ip: IpBytes, { network, bits }: Block): boolean => samePrefix(ip, network, bits);

/** In this order: the first block that has the address tells its kind. */
const KINDS: readonly (readonly [AddressKind, readonly Block[]])[] = [
  [
    'metadata',
    [
      // AWS: instances, containers and the resolver. Google and Azure have 169.254.169.254, too.
      ...['169.254.169.0/24', '169.254.170.0/24', 'fd00:ec2::/32'],
      // Google over IPv6, Alibaba Cloud, Azure's host, Oracle Cloud.
      ...['fd20:ce::254/128', '100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32'],
    ].map(block),
  ],
  ['loopback', ['127.0.0.0/8', '::1/128'].map(block)],
  // Linux takes 0.0.0.0 and :: for itself.
  ['unspecified', ['0.0.0.0/8', '::/128'].map(block)],
  ['link-local', ['169.254.0.0/16', 'fe80::/10'].map(block)],
];

/** IPv6 addresses that lead to an IPv4 address, and where it stands. */
const EMBEDDINGS: readonly { readonly block: Block; readonly at: number; readonly flip?: true }[] =
  [
    // Translated (RFC 2765), NAT64 (RFC 6052 and 8215), 6to4, Teredo; IPv4-compatible ones last.
    { block: block('::ffff:0:0:0/96'), at: IPV4_AT },
    { block: block('64:ff9b::/96'), at: IPV4_AT },
    { block: block('64:ff9b:1::/48'), at: IPV4_AT },
    { block: block('2002::/16'), at: 2 },
    { block: block('2001::/32'), at: IPV4_AT, flip: true },
    { block: block('::/96'), at: IPV4_AT },
  ];

/** The kind of the address, or of the IPv4 address that it leads to. */
export function addressKind(ip: IpBytes): AddressKind {
  const own = kindOf(ip);
  if (own !== 'ordinary') return own;
  const embedding = EMBEDDINGS.find((one) => isIn(ip, one.block));
  if (embedding === undefined) return 'ordinary';
  const { at, flip } = embedding;
  const ipv4 = ip.subarray(at, at + 4).map((byte) => (flip ? byte ^ 0xff : byte));
  return kindOf(mapped(ipv4));
}

function kindOf(ip: IpBytes): AddressKind {
  return KINDS.find(([, blocks]) => blocks.some((one) => isIn(ip, one)))?.[0] ?? 'ordinary';
}
