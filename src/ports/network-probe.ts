import type { ClusterConfig, TlsOptions } from '../model/source.ts';

/** Looks at the network as it is, below RocketMQ's protocol. Addresses are `host:port`. Each throws with the reason. */
export interface NetworkProbe {
  /** Why clients of the cluster refuse to connect to a broker's address; undefined: they do not. */
  refusal(address: string, cluster: ClusterConfig): Promise<string | undefined>;
  /** IP addresses of the address's host. */
  lookup(address: string): Promise<string[]>;
  /** Opens a connection (with TLS where `tls` is enabled) by the cluster's rules and closes it; how many ms it took. */
  connect(address: string, tls: TlsOptions | undefined, cluster: ClusterConfig): Promise<number>;
}
