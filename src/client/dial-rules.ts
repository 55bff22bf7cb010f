import { normalName } from '../model/broker-entry.ts';
import { ipBytes } from '../model/ip-address.ts';
import type { ClusterConfig } from '../model/source.ts';
import { type AddressKind, addressKind } from './address-kind.ts';
import { BrokerList } from './broker-list.ts';
import { parseEndpoint } from './endpoint.ts';
import { hostsFileAddresses } from './hosts-file.ts';

/** What of a cluster's configuration says where its client may connect. */
export type DialConfig = Pick<ClusterConfig, 'nameServers' | 'addressMap' | 'brokers'>;

/** Names under which clouds give away credentials. What they resolve to is refused as well. */
const METADATA_NAMES: ReadonlySet<string> = new Set([
  ...['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data'],
  ...['instance-data.ec2.internal', 'metadata.azure.com', 'metadata.tencentyun.com'],
]);

const MEANING: Readonly<Record<Exclude<AddressKind, 'ordinary'>, string>> = {
  loopback: 'is a loopback address',
  unspecified: 'means this machine itself',
  'link-local': 'is a link-local address',
  metadata: 'belongs to a metadata service',
};

/**
 * Where a client connects. Name servers and the targets of addressMap stand in the configuration and are dialled as they are. Brokers' addresses come
 * from others: those of this machine, of its link and of metadata services are refused, and with `brokers` all that it does not list.
 */
export class DialRules {
  readonly #trusted: ReadonlySet<string>;
  readonly #list: BrokerList | undefined;
  readonly #nameServers: readonly string[];
  readonly #hostsFile: (name: string) => readonly string[];
  #isLocal: boolean | undefined;

  /** @param hostsFile addresses that this machine's hosts file has for a name */
  constructor(
    { nameServers, addressMap = {}, brokers }: DialConfig,
    hostsFile: (name: string) => readonly string[] = hostsFileAddresses,
  ) {
    this.#trusted = new Set([...nameServers, ...Object.values(addressMap)]);
    this.#list = brokers === undefined ? undefined : new BrokerList(brokers);
    this.#nameServers = nameServers;
    this.#hostsFile = hostsFile;
  }

  /** @param address `host:port` as it is dialled */
  isTrusted(address: string): boolean {
    return this.#trusted.has(address);
  }

  /**
   * Which addresses of a host may be dialled. One address that must not be dialled does not take the others with it: it is left out.
   * @param addresses all that the host's name has
   * @returns the reason where none may be dialled
   */
  dialable<Address extends { readonly address: string }>(
    host: string,
    addresses: readonly Address[],
  ): { readonly addresses: readonly Address[] } | { readonly reason: string } {
    const allowed = addresses.filter((one) => this.refusal(host, [one.address]) === undefined);
    if (allowed.length > 0) return { addresses: allowed };
    const all = addresses.map((one) => one.address);
    return { reason: this.refusal(host, all) ?? `${host} has no address` };
  }

  /**
   * Why a host of a broker must not be dialled at one of these addresses; undefined: it may be at all of them.
   * @param addresses of the host's name; none: it was not looked up yet
   */
  refusal(host: string, addresses: readonly string[]): string | undefined {
    const isName = ipBytes(host) === undefined;
    if (isName && METADATA_NAMES.has(normalName(host)))
      return `${host} is the name of a metadata service`;
    const isListed = isName && this.#list?.hasName(host) === true;
    for (const address of isName || addresses.length > 0 ? addresses : [host]) {
      const what = isName ? `${host} resolves to ${address}, which` : address;
      const ip = ipBytes(address);
      if (ip === undefined) return `${what} is not an IP address`;
      const kind = addressKind(ip);
      if (kind !== 'ordinary' && !this.#allowsSpecial(ip, kind)) return `${what} ${MEANING[kind]}`;
      if (!isListed && this.#list?.hasAddress(ip) === false)
        return `${what} is not in brokers of the cluster`;
    }
    return undefined;
  }

  /** Metadata services are no brokers, wherever the name server is. */
  #allowsSpecial(ip: Buffer, kind: AddressKind): boolean {
    return (
      (kind !== 'metadata' && this.#hasLocalNameServer()) ||
      this.#list?.hasSpecial(ip, kind) === true
    );
  }

  /** Read when an address depends on it: few clients ever meet one. */
  #hasLocalNameServer(): boolean {
    this.#isLocal ??= this.#nameServers.some((one) => isLocal(one, this.#hostsFile));
    return this.#isLocal;
  }
}

/**
 * By what stands in the configuration or in this machine's hosts file, never by DNS: a name that resolves to this machine only now and then must not
 * open it.
 */
function isLocal(nameServer: string, hostsFile: (name: string) => readonly string[]): boolean {
  const { host } = parseEndpoint(nameServer);
  const name = normalName(host);
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipBytes(host) === undefined ? hostsFile(name).some(isLocalAddress) : isLocalAddress(host);
}

function isLocalAddress(address: string): boolean {
  const ip = ipBytes(address);
  return ip !== undefined && ['loopback', 'unspecified', 'link-local'].includes(addressKind(ip));
}
