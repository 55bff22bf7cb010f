import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardServer } from '../../infra/local-guard.ts';
import type { Delivery } from './tally.ts';

export interface ReportServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Takes the sample handlers' reports (POST, a JSON array of deliveries) on loopback. */
export async function startReportServer(
  onDelivery: (delivery: Delivery) => void,
): Promise<ReportServer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        for (const delivery of JSON.parse(Buffer.concat(chunks).toString('utf8')) as Delivery[])
          onDelivery(delivery);
        response.writeHead(204).end();
      } catch (error) {
        response.writeHead(400).end(String(error));
      }
    });
  });
  guardServer(server);
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(0, '127.0.0.1', resolve),
  );
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
