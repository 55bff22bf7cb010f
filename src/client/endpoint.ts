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
