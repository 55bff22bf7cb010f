import { type BrokerEntry, normalName, parseBrokerEntry } from '../model/broker-entry.ts';
import { type IpBytes, samePrefix } from '../model/ip-address.ts';
import { type AddressKind, addressKind } from './address-kind.ts';

/** The brokers that a cluster's configuration allows. */
export class BrokerList {
  readonly #entries: readonly BrokerEntry[];

  /** @param entries as `parseBrokerEntry` takes them */
  constructor(entries: readonly string[]) {
    this.#entries = entries.flatMap((text) => parseBrokerEntry(text) ?? []);
  }

  hasName(host: string): boolean {
    const name = normalName(host);
    return this.#entries.some(
      (entry) =>
        (entry.type === 'name' && entry.name === name) ||
        (entry.type === 'below' && name.endsWith(entry.suffix)),
    );
  }

  hasAddress(ip: IpBytes): boolean {
    return this.#blocksWith(ip).length > 0;
  }

  /** Is the address listed as what it is? 0.0.0.0/0 lists no loopback addresses. */
  hasSpecial(ip: IpBytes, kind: AddressKind): boolean {
    return this.#blocksWith(ip).some(({ network, bits }) =>
      [0, 0xff].every((fill) => addressKind(filled(network, bits, fill)) === kind),
    );
  }

  #blocksWith(ip: IpBytes): Extract<BrokerEntry, { type: 'block' }>[] {
    return this.#entries.filter(
      (entry) => entry.type === 'block' && samePrefix(ip, entry.network, entry.bits),
    ) as Extract<BrokerEntry, { type: 'block' }>[];
  }
}

/** The first address of a block (0) or its last one (0xff). */
function filled(network: IpBytes, bits: number, fill: number): IpBytes {
  return Buffer.from(
    network.map((byte, index) => {
      const kept = Math.min(8, Math.max(0, bits - index * 8));
      const mask = (0xff << (8 - kept)) & 0xff;
      return (byte & mask) | (fill & ~mask & 0xff);
    }),
  );
}
