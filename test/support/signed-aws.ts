import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Lambda and DynamoDB, as far as a signature tells who asks which region; an operator function without groups, an empty table. */
export async function startSignedAws() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const [, key, region, service] =
      /Credential=([^/]+)\/\d+\/([^/]+)\/([^/]+)/.exec(request.headers.authorization ?? '') ?? [];
    asked.push(`${service} ${region} ${key}`);
    const answer =
      service === 'lambda'
        ? { ok: true, answer: { service: 'shop', sources: [] } }
        : { Items: [], Count: 0, ScannedCount: 0 };
    request
      .resume()
      .once('end', () =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    asked,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
