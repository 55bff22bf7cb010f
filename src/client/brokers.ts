import { type BrokerData, MASTER_ID } from '../model/route.ts';
import { bracketed } from './endpoint.ts';

const MAX_KNOWN_BROKERS = 4_000;

/** Addresses of the brokers that routes and cluster infos have told of. */
export class Brokers {
  readonly #byName = new Map<string, ReadonlyMap<number, string>>();
  readonly #addressMap: ReadonlyMap<string, string>;

  constructor(addressMap: Readonly<Record<string, string>> | undefined) {
    this.#addressMap = new Map(Object.entries(addressMap ?? {}));
  }

  /** The names that were announced last are kept: those of a name server that invents some must not fill the memory. */
  learn(brokers: readonly BrokerData[]): void {
    for (const { brokerName, brokerAddrs } of brokers) {
      this.#byName.delete(brokerName);
      this.#byName.set(brokerName, brokerAddrs);
    }
    for (const name of this.#byName.keys()) {
      if (this.#byName.size <= MAX_KNOWN_BROKERS) return;
      this.#byName.delete(name);
    }
  }

  /**
   * The announced address of the wanted id. `orAny`: when that one is not there, the master's or any other (MQClientInstance.findBrokerAddressInSubscribe).
   */
  announced(brokerName: string, brokerId: number, orAny: boolean): string | undefined {
    const addresses = this.#byName.get(brokerName);
    const wanted = addresses?.get(brokerId);
    return wanted === undefined && orAny
      ? (addresses?.get(MASTER_ID) ?? addresses?.values().next().value)
      : wanted;
  }

  /** Where the announced address is reached from here. */
  reachable(announced: string): string {
    return this.#translated(announced) ?? bracketed(announced);
  }

  /** What to say when an announced address does not answer: the usual cause is NAT. */
  advice(announced: string): string {
    const translated = this.#translated(announced);
    return translated === undefined
      ? `. The broker announces itself as ${announced}: when that address is not reachable from here, translate it with addressMap`
      : `. The broker announces itself as ${announced}, which addressMap translates to ${translated}`;
  }

  /** Whoever writes IPv6 into addressMap may write brackets. */
  #translated(announced: string): string | undefined {
    return this.#addressMap.get(announced) ?? this.#addressMap.get(bracketed(announced));
  }
}
