import { lookup } from 'node:dns/promises';
import type { NetworkProbe } from '../ports/network-probe.ts';
import { bracketed, parseEndpoint } from './endpoint.ts';
import { openSocket } from './open-socket.ts';

/** The system's resolver and sockets, with the client's own TLS rules. */
export const networkProbe: NetworkProbe = {
  async lookup(address) {
    const found = await lookup(parseEndpoint(bracketed(address)).host, { all: true });
    return found.map((one) => one.address);
  },
  async connect(address, tls) {
    const started = performance.now();
    const socket = await openSocket(bracketed(address), tls, new AbortController().signal);
    socket.destroy();
    return Math.round(performance.now() - started);
  },
};
