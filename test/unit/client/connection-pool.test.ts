import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Connection, NotConnectedError } from '../../../src/client/connection.ts';
import { ConnectionPool } from '../../../src/client/connection-pool.ts';
import { exchangeOver } from '../../../src/client/exchange.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { getMaxOffset } from '../../../src/requests/get-max-offset.ts';
import { type FrameServer, type Peer, startFrameServer } from '../../support/frame-server.ts';
import { until } from '../../support/until.ts';

const QUEUE = { topic: 'T', queueId: 0 };
const REQUEST = { code: 30, extFields: {} };
const answer = (command: RemotingCommand, peer: Peer): void =>
  peer.answer(command, { extFields: { offset: '7' } });
const cleanups: (() => Promise<void> | void)[] = [];

/** Time stands still, except that sleeping passes it. */
function jumpingClock(): Clock & { slept: number[] } {
  let now = 1_000_000;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
    },
  };
}

/** Time stands still, and who sleeps waits for `wake` or its signal. */
function heldClock(): Clock & { wake(): void; readonly sleepers: number; pass(ms: number): void } {
  let now = 1_000_000;
  let sleepers: (() => void)[] = [];
  return {
    now: () => now,
    sleep: (_, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason));
      }),
    wake() {
      for (const resolve of sleepers) resolve();
      sleepers = [];
    },
    get sleepers() {
      return sleepers.length;
    },
    pass(ms) {
      now += ms;
    },
  };
}

function newPool(clock: Clock = jumpingClock(), random = () => 1): ConnectionPool {
  const pool = new ConnectionPool({ clock, random });
  cleanups.push(() => pool.close());
  return pool;
}

async function newServer(
  onCommand: (command: RemotingCommand, peer: Peer) => void = answer,
  port = 0,
): Promise<FrameServer> {
  const server = await startFrameServer(onCommand, { port });
  cleanups.push(() => server.stop());
  return server;
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('ConnectionPool', () => {
  const soon = { timeoutMs: 2000 };

  it('makes one connection per address, also for callers who come at once', async () => {
    const [server, other] = [await newServer(), await newServer()];
    const pool = newPool();
    const [first, second, elsewhere] = await Promise.all([
      pool.get(server.address, soon),
      pool.get(server.address, soon),
      pool.get(other.address, soon),
    ]);
    assert(first instanceof Connection);
    assert.equal(first, second);
    assert.notEqual(first, elsewhere);
    assert.equal(await pool.get(server.address, soon), first);
    assert.deepEqual([server.connections, other.connections], [1, 1]);
  });

  it('makes a new connection after the old one broke', async () => {
    const server = await newServer();
    const clock = jumpingClock();
    const pool = newPool(clock);
    const first = await pool.get(server.address, soon);
    await first.request(REQUEST, 1000);
    server.peers[0]?.socket.destroy();
    await until(() => first.closed, 'the end was noticed');
    const second = await pool.get(server.address, soon);
    assert.equal((await second.request(REQUEST, 1000)).code, 0);
    assert.deepEqual([server.connections, clock.slept], [2, []]);
  });

  it('asks an address that refuses again after 100, 200, 400 … up to 2000 ms, times the random number', async () => {
    const gone = await newServer();
    await gone.stop();
    const clock = jumpingClock();
    const pool = newPool(clock, () => 0.5);
    for (let attempt = 0; attempt < 9; attempt++)
      await assert.rejects(pool.get(gone.address, soon), NotConnectedError);
    assert.deepEqual(clock.slept, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
  });

  it('counts a peer that hangs up before any answer as one that refuses, and forgets it after an answer', async () => {
    let hangUp = true;
    const server = await newServer((command, peer) => {
      if (hangUp) peer.socket.destroy();
      else answer(command, peer);
    });
    const clock = jumpingClock();
    const pool = newPool(clock);
    const ask = async () => (await pool.get(server.address, soon)).request(REQUEST, 1000);
    await assert.rejects(ask());
    await assert.rejects(ask());
    assert.deepEqual(clock.slept, [100]);
    hangUp = false;
    await ask();
    assert.deepEqual(clock.slept, [100, 200]);
    const answered = await pool.get(server.address, soon);
    server.peers[0]?.socket.destroy();
    await until(() => answered.closed, 'the end was noticed');
    await ask();
    assert.deepEqual(clock.slept, [100, 200]);
  });

  it('lets one caller give up without the others', async () => {
    const gone = await newServer();
    await gone.stop();
    const clock = heldClock();
    const pool = newPool(clock);
    await assert.rejects(pool.get(gone.address, soon), NotConnectedError);
    const controller = new AbortController();
    const impatient = pool.get(gone.address, { ...soon, signal: controller.signal });
    const short = pool.get(gone.address, { timeoutMs: 20 });
    const patient = pool.get(gone.address, soon);
    const reason = new Error('over');
    controller.abort(reason);
    await assert.rejects(impatient, reason);
    // The deadline's error tells what went wrong last time.
    await assert.rejects(short, /ECONNREFUSED/);
    await newServer(answer, gone.port);
    clock.wake();
    assert.equal((await (await patient).request(REQUEST, 1000)).code, 0);
  });

  it('reset drops connections and attempts at once, and can be used again', async () => {
    const [server, gone] = [await newServer(() => {}), await newServer()];
    await gone.stop();
    const clock = heldClock();
    const pool = newPool(clock);
    const connection = await pool.get(server.address, soon);
    const inFlight = assert.rejects(connection.request(REQUEST, 5000), /was closed here/);
    await assert.rejects(pool.get(gone.address, soon), NotConnectedError);
    const backingOff = assert.rejects(
      pool.get(gone.address, soon),
      /the connections of this client were closed/,
    );
    pool.reset();
    await Promise.all([inFlight, backingOff]);
    assert.notEqual(await pool.get(server.address, soon), connection);
    assert.equal(server.connections, 2);
  });

  it('refuses after close', async () => {
    const server = await newServer();
    const pool = newPool();
    await pool.get(server.address, soon);
    pool.close();
    await assert.rejects(pool.get(server.address, soon), /the client is closed/);
    await until(() => server.peers.length === 0, 'the connection ended');
    assert.equal(server.connections, 1);
  });
});

describe('an exchange', () => {
  it('sends nothing any more when connecting took all its time', async () => {
    const gone = await newServer();
    await gone.stop();
    const clock = heldClock();
    const exchange = exchangeOver(newPool(clock), undefined, clock);
    await assert.rejects(
      exchange(gone.address, getMaxOffset, QUEUE, { timeoutMs: 1000 }),
      NotConnectedError,
    );
    const given = exchange(gone.address, getMaxOffset, QUEUE, { timeoutMs: 2000 });
    const late = assert.rejects(given, NotConnectedError);
    const server = await newServer(answer, gone.port);
    await until(() => clock.sleepers === 1, 'it waits for the next attempt');
    clock.pass(2001);
    clock.wake();
    await late;
    // One that has time left uses the connection that came too late for the other.
    const next = await exchange(gone.address, getMaxOffset, QUEUE, { timeoutMs: 2000 });
    assert.equal(getMaxOffset.decodeAnswer(next), 7n);
    assert.deepEqual([server.connections, server.received.length], [1, 1]);
  });

  it('waits no longer for a connection than its time', async () => {
    const gone = await newServer();
    await gone.stop();
    const clock = heldClock();
    const exchange = exchangeOver(newPool(clock), undefined, clock);
    for (let attempt = 0; attempt < 2; attempt++)
      await assert.rejects(
        exchange(gone.address, getMaxOffset, QUEUE, { timeoutMs: 50 }),
        NotConnectedError,
      );
    assert.equal(clock.sleepers, 1);
  });

  it('gives the request what connecting has left', async () => {
    const server = await newServer(() => {});
    const exchange = exchangeOver(newPool(), undefined, { now: Date.now });
    const begin = Date.now();
    await assert.rejects(
      exchange(server.address, getMaxOffset, QUEUE, { timeoutMs: 50 }),
      /not answered within \d+ ms/,
    );
    assert(Date.now() - begin < 1000);
  });

  it('signs last, over all fields and the body', async () => {
    const server = await newServer();
    const exchange = exchangeOver(
      newPool(),
      { accessKey: 'ak', secretKey: 'sk' },
      { now: Date.now },
    );
    await exchange(server.address, getMaxOffset, QUEUE, { timeoutMs: 1000 });
    assert.deepEqual(Object.keys(server.received[0]?.extFields ?? {}).sort(), [
      'AccessKey',
      'Signature',
      'queueId',
      'topic',
    ]);
  });
});
