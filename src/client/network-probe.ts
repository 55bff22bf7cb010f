import { lookup } from 'node:dns/promises';
import type { NetworkProbe } from '../ports/network-probe.ts';
import { DialRules } from './dial-rules.ts';
import { bracketed, parseEndpoint } from './endpoint.ts';
import { openSocket } from './open-socket.ts';

/** The system's resolver and sockets, with the client's own rules for addresses and TLS. */
export const networkProbe: NetworkProbe = {
  async refusal(announced, cluster) {
    const rules = new DialRules(cluster);
    const address = bracketed(announced);
    if (rules.isTrusted(address)) return undefined;
    const { host } = parseEndpoint(address);
    // A name that is refused as such is not looked up.
    const refused = rules.refusal(host, []);
    if (refused !== undefined) return refused;
    const dialable = rules.dialable(host, await lookup(host, { all: true }));
    return 'reason' in dialable ? dialable.reason : undefined;
  },
  lookup: (address) => addressesOf(parseEndpoint(bracketed(address)).host),
  async connect(address, tls, cluster) {
    const started = performance.now();
    const { signal } = new AbortController();
    const socket = await openSocket(bracketed(address), tls, signal, new DialRules(cluster));
    socket.destroy();
    return Math.round(performance.now() - started);
  },
};

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map((one) => one.address);
}
