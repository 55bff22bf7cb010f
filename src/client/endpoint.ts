import { isIPv6 } from 'node:net';
import { ConfigError } from '../errors.ts';

export interface Endpoint {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `host:port`, `10.0.0.1:9876`, `[::1]:9876`.
 * @throws ConfigError that quotes the text
 */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || !(port >= 1 && port <= 65535))
    throw new ConfigError(
      `"${text}" is no address: write host:port, such as 10.0.0.1:9876 or [::1]:9876`,
    );
  return { host, port };
}

/**
 * A broker's address in the form that `parseEndpoint` reads. Brokers announce IPv6 without brackets (`fd00::1:10911`, `fe80::1%eth0:10911`):
 * the last colon divides. What is no such address stays as it is. Mirrors NettyRemotingClient.getHostAndPort.
 */
export function bracketed(announced: string): string {
  const colon = announced.lastIndexOf(':');
  if (colon === -1) return announced;
  const host = announced.slice(0, colon);
  // Not with its zone: node:net knows fewer characters than interfaces have in their names.
  const [address = ''] = host.split('%');
  return isIPv6(address) ? `[${host}]${announced.slice(colon)}` : announced;
}
