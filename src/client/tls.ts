import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { TlsOptions } from '../model/source.ts';

/** What node:tls wants to know. Brokers speak TLS on the same port as plain TCP: they look at the first byte. */
export function tlsConnectionOptions(host: string, tls: TlsOptions): ConnectionOptions {
  // An IP address is no server name (RFC 6066); without one the certificate is checked against the host.
  const servername = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  return {
    ...(servername !== undefined ? { servername } : {}),
    ...(tls.caCertificate !== undefined ? { ca: tls.caCertificate } : {}),
    ...(tls.clientCertificate !== undefined ? { cert: tls.clientCertificate } : {}),
    ...(tls.clientKey !== undefined ? { key: tls.clientKey } : {}),
    rejectUnauthorized: tls.verify !== false,
  };
}

const UNTRUSTED: ReadonlySet<unknown> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** With TLS 1.3 a server refuses a client's certificate, or that there is none, after the client has its connection. */
const REFUSED_CLIENT =
  /alert (bad certificate|certificate required|certificate unknown|unknown ca|unsupported certificate|certificate expired)/i;

/** What to do about a failed handshake; empty for errors that speak for themselves. */
export function tlsAdvice(cause: unknown): string {
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (UNTRUSTED.has(code))
    return '. Give the authority that signed it as tls.caCertificate (tls.verify: false accepts any certificate, and any man in the middle)';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return '. Give the name that the certificate is made for as tls.serverName';
  if (cause instanceof Error && REFUSED_CLIENT.test(cause.message))
    return '. The server wants to know who asks: give tls.clientCertificate and tls.clientKey, signed by an authority that it trusts';
  return '';
}
