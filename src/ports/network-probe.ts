import type { TlsOptions } from '../model/source.ts';

/** Looks at the network as it is, below RocketMQ's protocol. Addresses are `host:port`. Each throws with the reason. */
export interface NetworkProbe {
  /** IP addresses of the address's host. */
  lookup(address: string): Promise<string[]>;
  /** Opens a connection (with TLS where `tls` is enabled) and closes it; how many ms it took. */
  connect(address: string, tls: TlsOptions | undefined): Promise<number>;
}
