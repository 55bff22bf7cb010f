import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { Connection, type ConnectionOptions } from '../../../src/client/connection.ts';
import { openSocket } from '../../../src/client/open-socket.ts';
import { ServerRequests } from '../../../src/client/server-requests.ts';
import { ConnectionError, PeerFloodError } from '../../../src/errors.ts';
import { encodeFrame } from '../../../src/remoting/frame.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A connection, and the server's end of it, which does not read. */
async function connected(options: ConnectionOptions): Promise<[Connection, Socket]> {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const socket = await openSocket(address, undefined, new AbortController().signal);
  const peer = await accepted;
  peer.on('error', () => {});
  const connection = new Connection(address, socket, options);
  cleanups.push(() => {
    connection.close();
    peer.destroy();
    server.close();
  });
  return [connection, peer];
}

const request = (opaque: number, body = Buffer.alloc(0), flag = 0): Buffer =>
  encodeFrame({
    code: 307,
    language: 'JAVA',
    version: 475,
    opaque,
    flag,
    remark: undefined,
    extFields: {},
    body,
  });
const many = (count: number, frame: (n: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, n) => frame(n)));
const ended = (connection: Connection): Promise<ConnectionError> =>
  new Promise((resolve) => connection.onClose(resolve));

describe('a server that floods is disconnected by name', () => {
  it('with requests that are answered at once, or want no answer', async () => {
    for (const flag of [0, 2]) {
      const [connection, peer] = await connected({ onServerRequest: () => ({ code: 0 }) });
      peer.write(many(5_000, (n) => request(n, undefined, flag)));
      const error = await ended(connection);
      assert.ok(error instanceof PeerFloodError, String(error));
      assert.match(error.message, /requests a second/);
      assert.equal(error.code, 'ROCKETMQ_PEER_FLOOD');
    }
  });

  it('with requests whose handlers do not end, and with their bodies', async () => {
    const onServerRequest = (): Promise<undefined> => new Promise(() => {});
    const [open, first] = await connected({ onServerRequest });
    first.write(many(200, (n) => request(n)));
    assert.match((await ended(open)).message, /more than 128 requests/);
    const [large, second] = await connected({ onServerRequest });
    second.write(many(5, (n) => request(n, Buffer.alloc(8 * 1024 * 1024))));
    assert.match((await ended(large)).message, /open requests of more than 33554432 bytes/);
  });

  it('with requests while it does not read the answers', async () => {
    const body = Buffer.alloc(1024 * 1024);
    const [connection, peer] = await connected({ onServerRequest: () => ({ code: 0, body }) });
    peer.write(many(1_000, (n) => request(n)));
    assert.ok((await ended(connection)) instanceof PeerFloodError);
  });
});

it('a server that does not read gets no more than it may hold; what waits was not sent', async () => {
  const [connection, peer] = await connected({});
  // Something arrives, so that the connection is not silent.
  const trickle = setInterval(() => peer.write(request(1, undefined, 2)), 20);
  cleanups.push(() => clearInterval(trickle));
  const body = Buffer.alloc(4 * 1024 * 1024);
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, () => connection.request({ code: 310, extFields: {}, body }, 300)),
  );
  const reasons = results.map((one) => (one.status === 'rejected' ? one.reason : undefined));
  const unsent = reasons.filter(
    (error) => error instanceof ConnectionError && error.maybeSent === false,
  );
  assert.ok(unsent.length >= 6, reasons.map(String).join('\n'));
  assert.match(String(unsent[0]), /was not sent .* does not read/);
  assert.equal(connection.closed, false);
});

it('what brokers ask in a lifetime is no flood', () => {
  let now = 1_000_000;
  const requests = new ServerRequests(() => now);
  for (let second = 0; second < 600; second++, now += 1_000)
    for (let n = 0; n < 150; n++) {
      assert.equal(requests.begin(100, false), undefined);
      requests.done(100, false);
    }
});

it('a burst of notifications that need no answer is none, however slowly they are handled', () => {
  const requests = new ServerRequests(() => 1_000_000);
  for (let n = 0; n < 2_000; n++) assert.equal(requests.begin(150, true), undefined);
  assert.match(requests.begin(150, true) ?? '', /more than 200 requests a second/);
});
