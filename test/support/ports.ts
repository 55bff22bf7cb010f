import { type AddressInfo, createServer, type Server } from 'node:net';

/** Ports on loopback that were free a moment ago, all different and held open until all are found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(close));
  return ports;
}

/** A broker's port: the VIP port two below and the HA port one above must be free as well. */
export async function freeBrokerPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = await listen(0);
    const port = (first.address() as AddressInfo).port;
    const others = await Promise.allSettled([listen(port - 2), listen(port + 1)]);
    await close(first);
    for (const other of others) if (other.status === 'fulfilled') await close(other.value);
    if (port > 1_030 && port < 65_500 && others.every(({ status }) => status === 'fulfilled')) return port;
  }
  throw new Error('no three free ports in a row for a broker');
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server)));
}

function close(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}
