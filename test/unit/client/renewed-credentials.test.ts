import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRocketMQClient } from '../../../src/client/rocketmq-client.ts';
import { PermissionError } from '../../../src/errors.ts';
import type { Credentials } from '../../../src/model/source.ts';
import { ResponseCode } from '../../../src/remoting/response-code.ts';
import { getCluster } from '../../../src/requests/get-cluster.ts';
import { startFrameServer } from '../../support/frame-server.ts';

const OLD = { accessKey: 'shop', secretKey: 'old' };
const NEW = { accessKey: 'shop', secretKey: 'new' };
const BROKER = {
  cluster: 'C',
  brokerName: 'broker-a',
  brokerAddrs: new Map([[0, '127.0.0.1:10911']]),
};
const REFUSALS = {
  'ACL 2.0': { code: ResponseCode.NO_PERMISSION, remark: 'check signature failed' },
  'ACL 1.0': {
    code: ResponseCode.SYSTEM_ERROR,
    remark:
      'org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=shop',
  },
};

/** A server that lets in one signature only: that of `NEW`, as it saw it first after the rotation. */
async function world(
  refusal: (typeof REFUSALS)[keyof typeof REFUSALS],
  renew: () => Promise<Credentials | undefined>,
) {
  let refused: string | undefined;
  const server = await startFrameServer((command, peer) => {
    refused ??= command.extFields.Signature;
    peer.answer(
      command,
      command.extFields.Signature === refused ? refusal : getCluster.encodeAnswer([BROKER]),
    );
  });
  const client = createRocketMQClient(
    { nameServers: [server.address], credentials: OLD },
    { renewCredentials: renew },
  );
  const close = async (): Promise<void> => {
    await client.close();
    await server.stop();
  };
  return { server, client, close };
}

for (const [acl, refusal] of Object.entries(REFUSALS)) {
  test(`${acl}: a refused request is signed with renewed credentials and sent again; what follows needs no renewal`, async () => {
    let renewals = 0;
    const { server, client, close } = await world(refusal, () =>
      Promise.resolve(++renewals > 0 ? NEW : undefined),
    );
    assert.deepEqual(await client.brokerNames(), ['broker-a']);
    assert.deepEqual(await client.brokerNames(), ['broker-a']);
    assert.deepEqual([renewals, server.received.length], [1, 3]);
    await close();
  });

  for (const [what, renew] of [
    ['there are none', () => Promise.resolve(undefined)],
    ['they are the same', () => Promise.resolve({ ...OLD })],
    ['the store fails', () => Promise.reject(new Error('no store'))],
    ['the store does not answer in time', () => new Promise<undefined>(() => {})],
  ] as const)
    test(`${acl}: when ${what}, the refusal is a PermissionError, and nothing is sent again`, async () => {
      const { server, client, close } = await world(refusal, renew);
      await assert.rejects(client.brokerNames({ timeoutMs: 500 }), PermissionError);
      assert.equal(server.received.length, 1);
      await close();
    });
}
