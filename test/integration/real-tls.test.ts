import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { ConnectionError } from '../../src/errors.ts';
import type { TlsOptions } from '../../src/model/source.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { makeCertificate } from '../support/certificates.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

describe('a real cluster that speaks TLS only, with an authority of its own, and asks for client certificates', {
  skip: missingStack('rocketmq'),
}, () => {
  let folder = '';
  let rocketmq: RealRocketMQ;
  let own: TlsOptions;
  let stranger: TlsOptions;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rocketmq-tls-'));
    const authority = await makeCertificate(folder, 'authority');
    const server = await makeCertificate(folder, 'server', {
      authority,
      names: 'DNS:mq.example.com,DNS:localhost,IP:127.0.0.1',
    });
    const client = await makeCertificate(folder, 'client', { authority, names: 'DNS:client' });
    const other = await makeCertificate(folder, 'other');
    const read = (file: string): Promise<string> => readFile(file, 'utf8');
    const clientPair = {
      clientCertificate: await read(client.cert),
      clientKey: await read(client.key),
    };
    own = { enabled: true, caCertificate: await read(authority.cert), ...clientPair };
    stranger = { ...own, caCertificate: await read(other.cert) };
    // The broker is a client of the name server, too.
    const settings = {
      'tls.test.mode.enable': 'false',
      'tls.server.need.client.auth': 'require',
      'tls.server.authClient': 'true',
      'tls.server.keyPath': server.key,
      'tls.server.certPath': server.cert,
      'tls.server.trustCertPath': authority.cert,
      'tls.client.authServer': 'true',
      'tls.client.keyPath': client.key,
      'tls.client.certPath': client.cert,
      'tls.client.trustCertPath': authority.cert,
    };
    const properties = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
    rocketmq = await startRealRocketMQ({ tls: { properties: properties.join(''), client: own } });
  });
  after(async () => {
    await rocketmq?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function connected<T>(
    tls: TlsOptions | undefined,
    work: (client: ReturnType<typeof createRocketMQClient>) => Promise<T>,
    host = '127.0.0.1',
  ) {
    const nameServer = rocketmq.nameServer.replace('127.0.0.1', host);
    const client = createRocketMQClient({
      nameServers: [nameServer],
      ...(tls === undefined ? {} : { tls }),
    });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  test('with the own authority and certificate messages are sent, pulled and committed; by host name as well', async () => {
    for (const host of ['127.0.0.1', 'localhost'])
      await connected(
        { ...own },
        async (client) => {
          const topic = `orders-${host.replaceAll('.', '-')}`;
          await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
          await client.createGroup('workers');
          const queue = { topic, brokerName: 'broker-a', queueId: 0 };
          await client.send({ topic, body: Buffer.alloc(100_000, 'x') });
          await until(async () => (await client.maxOffset(queue)) === 1n, 'it is there');
          const subscription = buildSubscription(topic, '*');
          const request = {
            consumerGroup: 'workers',
            queue,
            offset: 0n,
            subscription,
            maxMessages: 32,
            suspendMs: 2000,
          };
          assert.equal((await client.pull(request)).status, 'FOUND');
          await client.commitOffset('workers', queue, 1n);
          assert.equal(await client.queryOffset('workers', queue), 1n);
        },
        host,
      );
  });

  test('the name in the certificate is checked when one is given', async () => {
    assert.deepEqual(
      await connected({ ...own, serverName: 'mq.example.com' }, (client) => client.brokerNames()),
      ['broker-a'],
    );
  });

  const refused: [name: string, tls: () => TlsOptions | undefined, message: RegExp][] = [
    [
      'another name than the certificate has',
      () => ({ ...own, serverName: 'other.example.com' }),
      /other\.example\.com.*tls\.serverName/s,
    ],
    ['an authority that did not sign it', () => stranger, /certificate.*tls\.caCertificate/s],
    ['no authority of its own', () => ({ enabled: true }), /certificate.*tls\.caCertificate/s],
    [
      'no client certificate',
      () => ({ enabled: true, caCertificate: own.caCertificate! }),
      /tls\.clientCertificate/,
    ],
    ['no TLS', () => undefined, /may be no RocketMQ remoting port, or want TLS/],
  ];
  for (const [name, tls, message] of refused)
    test(`${name}: a ConnectionError that says what to give`, async () => {
      await assert.rejects(
        connected(tls(), (client) => client.brokerNames()),
        (error) => {
          assert.ok(error instanceof ConnectionError, String(error));
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /PRIVATE KEY/);
          return true;
        },
      );
    });
});
