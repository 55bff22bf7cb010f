import { lookup } from 'node:dns/promises';
import { connect as connectPlain, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AddressRefusedError } from '../errors.ts';
import { onAbort } from '../model/on-abort.ts';
import type { TlsOptions } from '../model/source.ts';
import { NotConnectedError } from './connection.ts';
import type { DialRules } from './dial-rules.ts';
import { parseEndpoint } from './endpoint.ts';
import { tlsAdvice, tlsConnectionOptions } from './tls.ts';

/** Java's client waits as long. */
const CONNECT_TIMEOUT_MS = 3000;
/** NAT gateways and load balancers drop connections that are silent for 350 s. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Opens a plain or TLS connection. A host's name is looked up once, and only addresses of that answer that were checked are dialled.
 * @param rules what is refused. Default: nothing
 * @throws AddressRefusedError; NotConnectedError that names the address and the cause; the signal's reason
 */
export function openSocket(
  address: string,
  tls: TlsOptions | undefined,
  signal: AbortSignal,
  rules?: DialRules,
): Promise<Socket> {
  const endpoint = parseEndpoint(address);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const secure = tls?.enabled === true;
    const target = { ...endpoint, ...checkedLookup(address, endpoint.host, rules) };
    const socket = secure
      ? connectTls({ ...target, ...tlsConnectionOptions(endpoint.host, tls) })
      : connectPlain(target);
    const connected = secure ? 'secureConnect' : 'connect';
    const timer = setTimeout(
      () => onFailure(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
      CONNECT_TIMEOUT_MS,
    );
    // Only our own listeners go: the socket has some of its own, without which it would not notice its end.
    const settle = (): void => {
      clearTimeout(timer);
      unlink();
      socket.off(connected, onConnected).off('error', onFailure).off('close', onClose);
    };
    const giveUp = (reason: unknown): void => {
      settle();
      // Late errors of a socket that nobody wants any more must not end the process.
      socket.on('error', () => {});
      socket.destroy();
      reject(reason);
    };
    const onClose = (): void => onFailure(new Error('closed by the peer'));
    const onFailure = (cause: Error): void =>
      giveUp(
        cause instanceof AddressRefusedError
          ? cause
          : new NotConnectedError(
              address,
              `cannot connect to ${address}: ${messageOf(cause)}${tlsAdvice(cause)}`,
              { cause },
            ),
      );
    const onConnected = (): void => {
      settle();
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      resolve(socket);
    };
    const unlink = onAbort(signal, () => giveUp(signal.reason));
    socket.once(connected, onConnected).once('error', onFailure).once('close', onClose);
  });
}

/**
 * Checks the host, and leaves out every address of its name that must not be dialled.
 * @throws AddressRefusedError when the host alone shows it
 */
function checkedLookup(
  address: string,
  host: string,
  rules: DialRules | undefined,
): { lookup?: LookupFunction } {
  if (rules === undefined || rules.isTrusted(address)) return {};
  const refused = rules.refusal(host, []);
  if (refused !== undefined) throw new AddressRefusedError(address, refused);
  if (isIP(host) !== 0) return {};
  return {
    lookup: (name, options, callback) => {
      lookup(name, { ...options, all: true }).then(
        (found) => {
          const dialable = rules.dialable(host, found);
          if ('reason' in dialable)
            return callback(new AddressRefusedError(address, dialable.reason), '');
          const [first] = dialable.addresses;
          if (options.all === true) callback(null, [...dialable.addresses]);
          else callback(null, first?.address ?? '', first?.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, ''),
      );
    },
  };
}

/** The text of an error; an AggregateError of several addresses has none of its own. */
function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '')
    return cause.errors.map(messageOf).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}
