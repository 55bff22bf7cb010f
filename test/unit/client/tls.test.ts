import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createRocketMQClient } from '../../../src/client/rocketmq-client.ts';
import { ConnectionError } from '../../../src/errors.ts';
import type { TlsOptions } from '../../../src/model/source.ts';
import { getCluster } from '../../../src/requests/get-cluster.ts';
import { type Certificate, makeCertificate } from '../../support/certificates.ts';
import { type FrameServer, startFrameServer } from '../../support/frame-server.ts';

/** The texts of a key and its certificate. */
function readPem({ key, cert }: Certificate): Certificate {
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const BROKER = {
  cluster: 'C',
  brokerName: 'broker-a',
  brokerAddrs: new Map([[0, '127.0.0.1:10911']]),
};
const skip = hasOpenssl() || process.env.CI === 'true' ? false : 'the openssl command is missing';

describe('TLS', { skip }, () => {
  let folder = '';
  let authority = { key: '', cert: '' };
  let client = { key: '', cert: '' };
  let server: FrameServer;
  let demanding: FrameServer;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rocketmq-tls-'));
    const by = await makeCertificate(folder, 'authority');
    const signed = async (name: string, names: string) =>
      readPem(await makeCertificate(folder, name, { authority: by, names }));
    authority = readPem(by);
    const own = await signed('mq.example.com', 'DNS:mq.example.com,IP:127.0.0.1');
    client = await signed('client', 'DNS:client');
    const answer: Parameters<typeof startFrameServer>[0] = (command, peer) =>
      peer.answer(command, getCluster.encodeAnswer([BROKER]));
    server = await startFrameServer(answer, { tls: own });
    demanding = await startFrameServer(answer, {
      tls: { ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
    });
  });
  after(async () => {
    await Promise.all([server.stop(), demanding.stop()]);
    rmSync(folder, { recursive: true });
  });

  async function names(
    address: string,
    tls: Omit<TlsOptions, 'enabled'> | undefined,
  ): Promise<string[]> {
    const mq = createRocketMQClient({
      nameServers: [address],
      ...(tls === undefined ? {} : { tls: { enabled: true, ...tls } }),
    });
    try {
      return await mq.brokerNames({ timeoutMs: 2000 });
    } finally {
      await mq.close();
    }
  }

  it('trusts the authority that is given', async () => {
    assert.deepEqual(await names(server.address, { caCertificate: authority.cert }), ['broker-a']);
  });

  it('refuses an unknown authority and says what to do', async () => {
    await assert.rejects(names(server.address, {}), (error) => {
      assert(error instanceof ConnectionError);
      assert.match(error.message, /certificate.*tls\.caCertificate/s);
      return true;
    });
  });

  it('takes any certificate with verify: false', async () => {
    assert.deepEqual(await names(server.address, { verify: false }), ['broker-a']);
  });

  it('checks the server name that is given', async () => {
    assert.deepEqual(
      await names(server.address, { caCertificate: authority.cert, serverName: 'mq.example.com' }),
      ['broker-a'],
    );
    await assert.rejects(
      names(server.address, { caCertificate: authority.cert, serverName: 'other.example.com' }),
      /tls\.serverName/,
    );
  });

  it('shows its own certificate to a server that asks for one', async () => {
    const tls = {
      caCertificate: authority.cert,
      clientCertificate: client.cert,
      clientKey: client.key,
    };
    assert.deepEqual(await names(demanding.address, tls), ['broker-a']);
    await assert.rejects(
      names(demanding.address, { caCertificate: authority.cert }),
      ConnectionError,
    );
  });

  it('towards a plain port, and plain towards a TLS port, end in a ConnectionError', async () => {
    const plain = await startFrameServer((_, peer) => peer.socket.destroy());
    try {
      await assert.rejects(names(plain.address, { verify: false }), ConnectionError);
      await assert.rejects(names(server.address, undefined), ConnectionError);
    } finally {
      await plain.stop();
    }
  });
});
