import { type AddressInfo, createServer, type Server } from 'node:net';

/** Below the range that systems take source ports from: a client that keeps calling a stopped server there can meet itself and hold the port. */
const LOWEST = 15_000;
const HIGHEST = 32_000;
const ATTEMPTS = 200;

/** A port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port = 0] = await portsNextToEachOther([0]);
  return port;
}

/** Ports for a name server and brokers. Beside each broker's the VIP port two below and the HA port one above are free as well. */
export async function freeRocketMQPorts(
  brokers: number,
): Promise<{ readonly nameServer: number; readonly brokers: readonly number[] }> {
  const distances = Array.from({ length: brokers }, (_, index) => 4 * (index + 1));
  const [nameServer = 0] = await portsNextToEachOther([
    0,
    ...distances.flatMap((distance) => [distance - 2, distance, distance + 1]),
  ]);
  return { nameServer, brokers: distances.map((distance) => nameServer + distance) };
}

/** All are held until all are found. */
async function portsNextToEachOther(distances: readonly number[]): Promise<number[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    const listening = await Promise.allSettled(
      distances.map((distance) => listen(first + distance)),
    );
    const servers = listening.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
    const ports = servers.map((server) => (server.address() as AddressInfo).port);
    await Promise.all(servers.map(close));
    if (ports.length === distances.length) return ports;
  }
  throw new Error(`no ${distances.length} free ports between ${LOWEST} and ${HIGHEST}`);
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) =>
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server)),
  );
}

function close(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}
