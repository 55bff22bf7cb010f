import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ConnectionError } from '../errors.ts';
import type { TlsOptions } from '../model/source.ts';
import { parseEndpoint } from './endpoint.ts';

/** Java's client waits as long. */
const CONNECT_TIMEOUT_MS = 3000;
/** NAT gateways and load balancers drop connections that are silent for 350 s. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Opens a plain or TLS connection; brokers take both on the same port.
 * @throws ConnectionError that names the address and the cause
 */
export function openSocket(address: string, tls: TlsOptions | undefined, signal?: AbortSignal): Promise<Socket> {
  const { host, port } = parseEndpoint(address);
  return new Promise((resolve, reject) => {
    const socket =
      tls?.enabled === true
        ? connectTls({
            host,
            port,
            // An IP address is no server name (RFC 6066); without one the certificate is checked against the host.
            ...(tls.serverName !== undefined ? { servername: tls.serverName } : isIP(host) === 0 ? { servername: host } : {}),
            ...(tls.caCertificate !== undefined ? { ca: tls.caCertificate } : {}),
            ...(tls.clientCertificate !== undefined ? { cert: tls.clientCertificate } : {}),
            ...(tls.clientKey !== undefined ? { key: tls.clientKey } : {}),
            rejectUnauthorized: tls.verify !== false,
          })
        : connectPlain({ host, port });
    const timer = setTimeout(() => fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)), CONNECT_TIMEOUT_MS);
    const onAbort = (): void => fail(signal?.reason);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
    };
    const fail = (cause: unknown): void => {
      settle();
      // Late errors of a socket that nobody wants any more must not end the process.
      socket.on('error', () => {});
      socket.destroy();
      reject(
        signal?.aborted === true
          ? signal.reason
          : new ConnectionError(address, `cannot connect to ${address}: ${messageOf(cause)}`, { cause }),
      );
    };
    if (signal?.aborted === true) return fail(signal.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('closed by the peer')));
    socket.once(tls?.enabled === true ? 'secureConnect' : 'connect', () => {
      settle();
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      resolve(socket);
    });
  });
}

/** The text of an error; an AggregateError of several addresses has none of its own. */
export function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(messageOf).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}
