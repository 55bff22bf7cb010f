import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CLIENT_VERSION,
  Connection,
  type ConnectionOptions,
} from '../../../src/client/connection.ts';
import { openSocket } from '../../../src/client/open-socket.ts';
import {
  AnswerDroppedError,
  ConnectionError,
  LimitExceededError,
  RequestTimeoutError,
} from '../../../src/errors.ts';
import { isResponse, type RemotingCommand } from '../../../src/remoting/command.ts';
import {
  answerFrame,
  type FrameServer,
  type Peer,
  startFrameServer,
} from '../../support/frame-server.ts';
import { until } from '../../support/until.ts';

const MAX_OFFSET = { code: 30, extFields: { topic: 'T', queueId: '0' } };
const opened: { connections: Connection[]; servers: FrameServer[] } = {
  connections: [],
  servers: [],
};

/** A server and a connection to it; both end with the test. */
async function connect(
  onCommand: (command: RemotingCommand, peer: Peer) => void,
  options: ConnectionOptions = {},
): Promise<{ server: FrameServer; connection: Connection }> {
  const server = await startFrameServer(onCommand);
  const connection = new Connection(
    server.address,
    await openSocket(server.address, undefined, new AbortController().signal),
    options,
  );
  opened.servers.push(server);
  opened.connections.push(connection);
  return { server, connection };
}

/** Answers with the number that the request carries. */
const echo = (command: RemotingCommand, peer: Peer): void =>
  peer.answer(command, { extFields: { n: command.extFields.n ?? '' } });
const numbered = (n: number) => ({ code: 30, extFields: { n: String(n) } });

afterEach(async () => {
  for (const connection of opened.connections.splice(0)) connection.close();
  for (const server of opened.servers.splice(0)) await server.stop();
});

describe('a late answer', () => {
  it('of a request that timed out is dropped, and the connection stays good', async () => {
    const held: [RemotingCommand, Peer][] = [];
    const { server, connection } = await connect((command, peer) => {
      if (command.extFields.n === '1') held.push([command, peer]);
      else echo(command, peer);
    });
    await assert.rejects(connection.request(numbered(1), 30), (error) => {
      assert(error instanceof RequestTimeoutError);
      assert.match(
        error.message,
        /GET_MAX_OFFSET to 127\.0\.0\.1:\d+ was not answered within 30 ms/,
      );
      return true;
    });
    assert.equal(connection.inFlight, 0);
    const next = connection.request(numbered(2), 1000);
    for (const [command, peer] of held)
      peer.answer(command, { extFields: { n: 'late' }, body: Buffer.alloc(100_000) });
    assert.equal((await next).extFields.n, '2');
    assert.equal((await connection.request(numbered(3), 1000)).extFields.n, '3');
    assert.deepEqual([server.connections, connection.closed], [1, false]);
  });

  it('of a request that was aborted is dropped too; the signal’s reason is thrown', async () => {
    const held: [RemotingCommand, Peer][] = [];
    const { server, connection } = await connect((command, peer) => {
      if (command.extFields.n === '1') held.push([command, peer]);
      else echo(command, peer);
    });
    const controller = new AbortController();
    const request = connection.request(numbered(1), 5000, controller.signal);
    await until(() => held.length === 1, 'the request arrived');
    const reason = new Error('the lease was lost');
    controller.abort(reason);
    await assert.rejects(request, reason);
    for (const [command, peer] of held) peer.answer(command, { extFields: { n: 'late' } });
    assert.equal((await connection.request(numbered(2), 1000)).extFields.n, '2');
    assert.equal(server.connections, 1);
  });
});

describe('an answer for which there is no memory', () => {
  const large = (command: RemotingCommand, peer: Peer): void =>
    peer.answer(command, { body: Buffer.alloc(3_000_000, command.extFields.n ?? '') });

  it('is passed over, and the requests behind it are answered on the same connection', async () => {
    const { server, connection } = await connect(large);
    const asked: number[] = [];
    const reserve = (bytes: number): boolean => {
      asked.push(bytes);
      return false;
    };
    const dropped = connection.request({ ...numbered(1), reserve }, 5_000);
    const next = connection.request({ ...numbered(2), reserve: () => true }, 5_000);
    await assert.rejects(dropped, (error) => {
      assert(error instanceof AnswerDroppedError);
      assert.equal(error.bytes, 3_000_000);
      return true;
    });
    assert.equal((await next).body.length, 3_000_000);
    assert.deepEqual([asked, server.connections, connection.closed], [[3_000_000], 1, false]);
  });

  it('may be one whose request was given up while it arrived', async () => {
    const held: [RemotingCommand, Peer][] = [];
    const { connection } = await connect((command, peer) => {
      if (command.extFields.n === '1') held.push([command, peer]);
      else echo(command, peer);
    });
    let reserved = 0;
    const reserve = (bytes: number): boolean => {
      reserved = bytes;
      return true;
    };
    const controller = new AbortController();
    const given = assert.rejects(
      connection.request({ ...numbered(1), reserve }, 5_000, controller.signal),
      /given up/,
    );
    await until(() => held.length === 1, 'the request arrived');
    const [[command, peer]] = held as [[RemotingCommand, Peer]];
    const frame = answerFrame(command, { body: Buffer.alloc(100_000) });
    peer.write(frame.subarray(0, 50_000));
    await until(() => reserved > 0, 'the answer began');
    controller.abort(new Error('given up'));
    await given;
    peer.write(frame.subarray(50_000));
    assert.equal((await connection.request(numbered(2), 5_000)).extFields.n, '2');
  });
});

describe('a request that times out', () => {
  it('in silence ends the connection, and what is in flight fails by a name', async () => {
    const { connection } = await connect(() => {});
    const poll = assert.rejects(connection.request(numbered(1), 20_000), (error) => {
      assert(error instanceof ConnectionError);
      assert.match(
        error.message,
        /closed here: nothing arrived on it while GET_MAX_OFFSET waited 150 ms/,
      );
      return true;
    });
    await assert.rejects(connection.request(numbered(2), 150), RequestTimeoutError);
    await poll;
    assert.equal(connection.closed, true);
    await assert.rejects(connection.request(numbered(3), 150), ConnectionError);
  });

  it('may have any time: what no timer can hold is bounded', async () => {
    const { connection } = await connect((command, peer) => {
      setTimeout(() => echo(command, peer), 50);
    });
    for (const timeoutMs of [2 ** 31, 1e15, Number.POSITIVE_INFINITY])
      assert.equal((await connection.request(numbered(1), timeoutMs)).extFields.n, '1');
    assert.equal(connection.closed, false);
  });

  it('while other answers arrive leaves the connection open', async () => {
    const { server, connection } = await connect((command, peer) => {
      if (command.extFields.n !== '1') echo(command, peer);
    });
    const lost = assert.rejects(connection.request(numbered(1), 300), RequestTimeoutError);
    await sleep(50);
    assert.equal((await connection.request(numbered(2), 2000)).extFields.n, '2');
    await lost;
    assert.equal((await connection.request(numbered(3), 2000)).extFields.n, '3');
    assert.deepEqual([server.connections, connection.closed], [1, false]);
  });

  it('while a large answer is on its way leaves the connection open', async () => {
    const { connection } = await connect((command, peer) => {
      if (command.extFields.n === '2') return echo(command, peer);
      const frame = answerFrame(command, { body: Buffer.alloc(1000) });
      setTimeout(() => peer.write(frame.subarray(0, 500)), 50);
      setTimeout(() => peer.write(frame.subarray(500)), 400);
    });
    await assert.rejects(connection.request(numbered(1), 250), RequestTimeoutError);
    await sleep(300);
    assert.equal(connection.closed, false);
    assert.equal((await connection.request(numbered(2), 2000)).extFields.n, '2');
  });

  it('is not one whose answer came while the process stood still', async () => {
    const { connection } = await connect((command, peer) => {
      echo(command, peer);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    });
    const request = connection.request(numbered(1), 150);
    assert.equal((await request).extFields.n, '1');
    assert.equal(connection.closed, false);
  });
});

describe('many requests in flight', () => {
  it('are matched by opaque in any order', async () => {
    const waiting: [RemotingCommand, Peer][] = [];
    const { connection } = await connect((command, peer) => {
      waiting.push([command, peer]);
      if (waiting.length === 100) for (const [one, its] of waiting.reverse()) echo(one, its);
    });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => connection.request(numbered(n), 2000)),
    );
    assert.deepEqual(
      answers.map(({ extFields }) => Number(extFields.n)),
      Array.from({ length: 100 }, (_, n) => n),
    );
  });

  it('leave in one piece when they are written in one turn', async () => {
    const { server, connection } = await connect(echo);
    await Promise.all(Array.from({ length: 20 }, (_, n) => connection.request(numbered(n), 2000)));
    assert.equal(server.chunks.length, 1);
  });

  it('are answered in pieces of one byte, or many at once', async () => {
    const commands: RemotingCommand[] = [];
    const { connection } = await connect((command, peer) => {
      commands.push(command);
      if (commands.length === 1)
        for (const byte of answerFrame(command, { extFields: { n: '0' } }))
          peer.write(Buffer.from([byte]));
      if (commands.length === 3)
        peer.write(
          Buffer.concat(
            commands.slice(1).map((one) => answerFrame(one, { extFields: one.extFields })),
          ),
        );
    });
    assert.equal((await connection.request(numbered(0), 2000)).extFields.n, '0');
    const both = await Promise.all([
      connection.request(numbered(1), 2000),
      connection.request(numbered(2), 2000),
    ]);
    assert.deepEqual(
      both.map(({ extFields }) => extFields.n),
      ['1', '2'],
    );
  });
});

describe('a request', () => {
  it('says who asks: JSON, language OTHER, version 475', async () => {
    const { server, connection } = await connect(echo);
    await connection.request(MAX_OFFSET, 1000);
    const [{ language, version, flag, code, extFields } = {} as RemotingCommand] = server.received;
    assert.deepEqual(
      [language, version, flag, code, extFields],
      ['OTHER', 475, 0, 30, MAX_OFFSET.extFields],
    );
    assert.equal(CLIENT_VERSION, 475);
  });

  it('is not sent when its signal has aborted before', async () => {
    const { server, connection } = await connect(echo);
    const reason = new Error('over');
    await assert.rejects(connection.request(numbered(1), 1000, AbortSignal.abort(reason)), reason);
    await connection.request(numbered(2), 1000);
    assert.deepEqual(
      server.received.map(({ extFields }) => extFields.n),
      ['2'],
    );
  });

  it('over the frame limit fails here, because the broker would cut the connection without a word', async () => {
    const { connection } = await connect(echo, { maxFrameBytes: 1000 });
    await assert.rejects(
      connection.request({ ...MAX_OFFSET, body: Buffer.alloc(1000) }, 1000),
      LimitExceededError,
    );
    assert.equal(connection.inFlight, 0);
    assert.equal((await connection.request(numbered(1), 1000)).extFields.n, '1');
  });

  it('whose answer is over the frame limit fails, and the connection ends', async () => {
    const { connection } = await connect(
      (command, peer) => peer.answer(command, { body: Buffer.alloc(2000) }),
      { maxFrameBytes: 1000 },
    );
    await assert.rejects(connection.request(MAX_OFFSET, 1000), /over the limit of 1000/);
    assert.equal(connection.closed, true);
  });

  for (const pieces of [1, 7, 4096])
    it(`whose answer is over the frame limit is the only one that fails for it (pieces of ${pieces} bytes)`, async () => {
      const { connection } = await connect(
        (command, peer) => {
          if (command.extFields.n !== '2') return;
          const frame = answerFrame(command, { body: Buffer.alloc(2000) });
          for (let at = 0; at < frame.length; at += pieces)
            peer.write(frame.subarray(at, at + pieces));
        },
        { maxFrameBytes: 1000 },
      );
      const innocent = assert.rejects(connection.request(numbered(1), 2000), ConnectionError);
      await assert.rejects(connection.request(numbered(2), 2000), (error) => {
        assert(error instanceof LimitExceededError);
        assert.match(error.message, /the answer of \S+ to GET_MAX_OFFSET is a frame of 2\d+ bytes/);
        return true;
      });
      await innocent;
    });

  it('one-way waits for nothing', async () => {
    const { server, connection } = await connect(() => {});
    connection.oneway(MAX_OFFSET);
    await until(() => server.received.length === 1, 'the request arrived');
    assert.equal(server.received[0]?.flag, 2);
  });
});

describe('a request of the server', () => {
  it('that nobody knows is answered with code 3 and the same opaque; one-way ones with nothing', async () => {
    const { server, connection } = await connect(echo);
    const [peer] = server.peers;
    assert(peer);
    peer.request({ code: 40, opaque: 77, oneway: true });
    peer.request({ code: 307, opaque: 78 });
    await connection.request(numbered(1), 1000);
    await until(() => server.received.some(isResponse), 'an answer');
    assert.deepEqual(
      server.received.filter(isResponse).map(({ code, opaque, remark }) => [code, opaque, remark]),
      [[3, 78, 'GET_CONSUMER_RUNNING_INFO is not supported by this client']],
    );
  });

  it('with the opaque of a request in flight is not taken for its answer', async () => {
    const { connection } = await connect((command, peer) => {
      if (isResponse(command)) return;
      peer.request({ code: 220, opaque: command.opaque, oneway: true });
      peer.answer(command, { extFields: { n: 'mine' } });
    });
    assert.equal((await connection.request(MAX_OFFSET, 1000)).extFields.n, 'mine');
  });

  it('goes to the handler that is given; one that throws costs only its own request', async () => {
    const seen: [number, string][] = [];
    const { server, connection } = await connect(echo, {
      onServerRequest: (command, address) => {
        seen.push([command.code, address]);
        if (command.code === 309) throw new Error('oops');
        return command.code === 307
          ? { code: 0, extFields: { a: 'b' }, body: Buffer.from('{}') }
          : undefined;
      },
    });
    const [peer] = server.peers;
    for (const code of [307, 309, 999]) peer?.request({ code, opaque: code });
    await until(() => server.received.filter(isResponse).length === 3, 'three answers');
    assert.deepEqual(
      server.received
        .filter(isResponse)
        .map(({ opaque, code, body }) => [opaque, code, String(body)]),
      [
        [307, 0, '{}'],
        [309, 1, ''],
        [999, 3, ''],
      ],
    );
    assert.deepEqual(seen, [
      [307, server.address],
      [309, server.address],
      [999, server.address],
    ]);
    assert.equal((await connection.request(numbered(1), 1000)).extFields.n, '1');
  });
});

describe('an answer to the server that cannot be written', () => {
  const withoutText = Object.create(null);
  for (const [what, onServerRequest] of [
    ['over the frame limit', () => ({ code: 0, body: Buffer.alloc(2000) })],
    ['over the frame limit, found later', async () => ({ code: 0, body: Buffer.alloc(2000) })],
    ['a header over 16 MiB', () => ({ code: 0, remark: 'x'.repeat(17 * 1024 * 1024) })],
    ['a rejection without a text', () => Promise.reject(withoutText)],
    ['a rejection with a long text', () => Promise.reject(new Error('x'.repeat(5000)))],
  ] as const)
    it(`(${what}) becomes an error, and harms nothing else`, async () => {
      const { server, connection } = await connect(echo, { maxFrameBytes: 1500, onServerRequest });
      server.peers[0]?.request({ code: 309, opaque: 7 });
      await until(() => server.received.some(isResponse), 'an answer');
      assert.deepEqual(
        server.received.filter(isResponse).map(({ opaque, code }) => [opaque, code]),
        [[7, 1]],
      );
      assert.equal((await connection.request(numbered(1), 1000)).extFields.n, '1');
    });
});

describe('the end of a connection', () => {
  it('fails everything in flight', async () => {
    const { server, connection } = await connect(() => {});
    const requests = [connection.request(numbered(1), 5000), connection.request(numbered(2), 5000)];
    const ended = Promise.allSettled(requests);
    await until(() => server.received.length === 2, 'the requests arrived');
    server.peers[0]?.socket.destroy();
    for (const result of await ended)
      assert(result.status === 'rejected' && result.reason instanceof ConnectionError);
    assert.equal(connection.inFlight, 0);
  });

  for (const [how, end] of [
    ['ends its half', (peer: Peer) => peer.socket.end()],
    ['resets', (peer: Peer) => peer.socket.resetAndDestroy()],
  ] as const)
    it(`is noticed without a request when the peer ${how}`, async () => {
      const { server, connection } = await connect(echo);
      await connection.request(numbered(1), 1000);
      const told: ConnectionError[] = [];
      connection.onClose((error) => told.push(error));
      const [peer] = server.peers;
      assert(peer);
      end(peer);
      await until(() => connection.closed, 'the end was noticed');
      assert.equal(told.length, 1);
      await assert.rejects(connection.request(numbered(2), 1000), ConnectionError);
      assert.equal(server.received.length, 1);
    });

  it('before any answer hints at the wrong port and at TLS', async () => {
    const { connection } = await connect((_, peer) => peer.socket.destroy());
    await assert.rejects(
      connection.request(MAX_OFFSET, 1000),
      /closed by the peer before it answered anything.*TLS/,
    );
  });

  it('comes at once with a server that talks garbage', async () => {
    for (const garbage of [
      'HTTP/1.1 400 Bad Request\r\n\r\n',
      '\0\0\0\x0a\0\0\0\x06nojson',
      '\xff\xff\xff\xff',
    ]) {
      const { connection } = await connect((_, peer) => peer.write(Buffer.from(garbage, 'latin1')));
      const others = assert.rejects(connection.request(numbered(2), 2000), ConnectionError);
      await assert.rejects(connection.request(numbered(1), 2000), /sent what cannot be read/);
      await others;
      assert.equal(connection.closed, true);
    }
  });

  it('by our own hand fails what is in flight and tells the listeners, late ones too', async () => {
    const { connection } = await connect(() => {});
    const request = connection.request(numbered(1), 5000);
    const rejected = assert.rejects(request, /was closed here/);
    let told = 0;
    connection.onClose(() => told++);
    connection.close();
    connection.onClose(() => told++);
    await rejected;
    assert.equal(told, 2);
  });
});

describe('the process', () => {
  it('is kept alive by a request that waits, and not by an idle connection', async () => {
    const server = await startFrameServer(
      (command, peer) => void setTimeout(() => echo(command, peer), 300),
    );
    opened.servers.push(server);
    const script = `
      import { Connection } from ${JSON.stringify(import.meta.resolve('../../../src/client/connection.ts'))};
      import { openSocket } from ${JSON.stringify(import.meta.resolve('../../../src/client/open-socket.ts'))};
      const address = ${JSON.stringify(server.address)};
      const connection = new Connection(address, await openSocket(address, undefined, new AbortController().signal));
      await connection.request({ code: 30, extFields: { n: 'x' } }, 5000);
      console.log('answered');`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += String(chunk);
    });
    const killed = sleep(8000, 'still alive', { ref: false }).then(() => child.kill());
    const [code] = await Promise.race([
      once(child, 'exit'),
      killed.then(() => ['it did not end by itself']),
    ]);
    assert.deepEqual([output.trim(), code], ['answered', 0]);
  });
});

describe('opening a socket', () => {
  it('names the address and the cause when it is refused', async () => {
    const server = await startFrameServer(echo);
    await server.stop();
    await assert.rejects(
      openSocket(server.address, undefined, new AbortController().signal),
      (error) => {
        assert(error instanceof ConnectionError);
        assert.equal(error.address, server.address);
        assert.match(error.message, /cannot connect to 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
        return true;
      },
    );
  });

  it('ends with the signal', async () => {
    const reason = new Error('over');
    await assert.rejects(openSocket('127.0.0.1:1', undefined, AbortSignal.abort(reason)), reason);
  });

  const hasIPv6 = Object.values(networkInterfaces()).some((entries) =>
    entries?.some(({ address }) => address === '::1'),
  );
  it('reaches IPv6', { skip: hasIPv6 ? false : 'this machine has no ::1' }, async () => {
    const server = await startFrameServer(echo, { host: '::1' });
    opened.servers.push(server);
    const connection = new Connection(
      server.address,
      await openSocket(server.address, undefined, new AbortController().signal),
    );
    opened.connections.push(connection);
    assert.equal((await connection.request(numbered(6), 1000)).extFields.n, '6');
  });
});
