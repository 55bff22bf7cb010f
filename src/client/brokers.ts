import { ConnectionError } from '../errors.ts';
import { type BrokerData, MASTER_ID } from '../model/route.ts';

/** Addresses of the brokers that routes and cluster infos have told of. */
export class Brokers {
  readonly #byName = new Map<string, ReadonlyMap<number, string>>();
  readonly #addressMap: Readonly<Record<string, string>>;

  constructor(addressMap: Readonly<Record<string, string>> | undefined) {
    this.#addressMap = addressMap ?? {};
  }

  learn(brokers: readonly BrokerData[]): void {
    for (const { brokerName, brokerAddrs } of brokers) this.#byName.set(brokerName, brokerAddrs);
  }

  knows(brokerName: string): boolean {
    return this.#byName.has(brokerName);
  }

  get names(): string[] {
    return [...this.#byName.keys()];
  }

  /** The announced address of the wanted id, and for a pull also of any other when that one is not there (MQClientInstance.findBrokerAddressInSubscribe). */
  announced(brokerName: string, brokerId: number, orAny: boolean): string {
    const addresses = this.#byName.get(brokerName);
    const wanted = addresses?.get(brokerId) ?? (orAny ? (addresses?.get(MASTER_ID) ?? addresses?.values().next().value) : undefined);
    if (wanted === undefined)
      throw new ConnectionError(
        brokerName,
        `broker ${brokerName} has no ${brokerId === MASTER_ID ? 'master' : `address of id ${brokerId}`} in the route: it may be down`,
      );
    return wanted;
  }

  /** Where the announced address is reached from here. */
  reachable(announced: string): string {
    return this.#addressMap[announced] ?? announced;
  }

  /** What to say when an announced address does not answer: the usual cause is NAT. */
  advice(announced: string): string {
    return this.#addressMap[announced] === undefined
      ? `. The broker announces itself as ${announced}: when that address is not reachable from here, translate it with addressMap`
      : `. The broker announces itself as ${announced}, which addressMap translates`;
  }
}
