import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy whose open connections can go silent without an end, as behind a NAT gateway that lost its table. */
export interface SilentProxy {
  readonly address: string;
  /** Connections that it has ever taken. */
  readonly connections: number;
  /** Forwards nothing more on the connections that are open now; new ones work. */
  silence(): void;
  stop(): Promise<void>;
}

export async function startSilentProxy(target: string): Promise<SilentProxy> {
  const [host = '', port = ''] = target.split(':');
  const open = new Set<Socket>();
  const silent = new Set<Socket>();
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connect(Number(port), host);
    open.add(near);
    near.on('data', (chunk) => void (silent.has(near) || far.write(chunk)));
    far.on('data', (chunk) => void (silent.has(near) || near.write(chunk)));
    near
      .on('error', () => {})
      .on('close', () => {
        open.delete(near);
        far.destroy();
      });
    far.on('error', () => {}).on('close', () => void (silent.has(near) || near.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    silence() {
      for (const socket of open) silent.add(socket);
    },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
