import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '::1'];
/** Listening there, a server is called by whatever address the machine has. */
const ANY_ADDRESS = ['0.0.0.0', '::'];
const REFUSAL = 'requests of web pages and under other host names are not answered';

/**
 * May a server of a local run answer? Not when a web page asks (any page: these servers have none of their own), and not under a name that is not
 * this machine's (DNS rebinding).
 * @param host that the server listens on
 */
export function isAllowedLocally(headers: IncomingHttpHeaders, host = '127.0.0.1'): boolean {
  const fetchSite = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (fetchSite !== undefined && fetchSite !== 'none'))
    return false;
  const asked = hostName(headers.host);
  if (asked === undefined) return false;
  return (
    LOOPBACK_HOSTS.includes(asked) ||
    asked === host.toLowerCase() ||
    (ANY_ADDRESS.includes(host) && isIP(asked) !== 0)
  );
}

function hostName(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** Answers 403 in place of the server to what `isAllowedLocally` refuses. For servers of ours, before they are called. */
export function guardServer(server: Server): void {
  const listeners = server.listeners('request') as ((
    request: IncomingMessage,
    response: ServerResponse,
  ) => void)[];
  server.removeAllListeners('request');
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!isAllowedLocally(request.headers)) {
      response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' }).end(REFUSAL);
      return;
    }
    for (const listener of listeners) listener.call(server, request, response);
  });
}

const REQUEST_START = 'http.server.request.start';
/** A path and method that no server has a route for. */
const NOWHERE = { method: 'GET', url: '/rocketmq-refused' };

/**
 * The same for a server of another plugin in this process, which is not at hand: a request that is refused loses its path and method before the
 * server reads them, so that it finds no function.
 * @returns ends it
 */
export function guardPort(port: number, host: string): () => void {
  const check = (message: unknown): void => {
    const { request, server } = message as { request: IncomingMessage; server: Server };
    if ((server.address() as AddressInfo | null)?.port !== port) return;
    if (!isAllowedLocally(request.headers, host)) Object.assign(request, NOWHERE);
  };
  subscribe(REQUEST_START, check);
  return () => unsubscribe(REQUEST_START, check);
}
