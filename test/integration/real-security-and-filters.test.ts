import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { ConnectionError, InvalidFilterError, PermissionError } from '../../src/errors.ts';
import type { Credentials } from '../../src/model/source.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { runJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';

const AUTH = 'org.apache.rocketmq.auth';
const ADMIN: Credentials = { accessKey: 'administrator', secretKey: 'administrators-key' };

/** ACL 2.0 as an operator switches it on. */
const ACL_2 = {
  authenticationEnabled: 'true',
  authenticationProvider: `${AUTH}.authentication.provider.DefaultAuthenticationProvider`,
  authenticationMetadataProvider: `${AUTH}.authentication.provider.LocalAuthenticationMetadataProvider`,
  initAuthenticationUser: JSON.stringify({ username: ADMIN.accessKey, password: ADMIN.secretKey }),
  innerClientAuthenticationCredentials: JSON.stringify({ accessKey: 'inner', secretKey: 'inner-secret' }),
  authorizationEnabled: 'true',
  authorizationProvider: `${AUTH}.authorization.provider.DefaultAuthorizationProvider`,
  authorizationMetadataProvider: `${AUTH}.authorization.provider.LocalAuthorizationMetadataProvider`,
};

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const pull = { consumerGroup: 'workers', queue, offset: 0n, subscription: buildSubscription('orders', '*'), maxMessages: 32, suspendMs: 0 };

describe('credentials on a real broker with ACL 2.0', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  let admin: RocketMQClient;
  const clients: RocketMQClient[] = [];
  const client = (credentials?: Credentials): RocketMQClient => {
    const made = createRocketMQClient({ nameServers: [rocketmq.nameServer], ...(credentials === undefined ? {} : { credentials }) });
    clients.push(made);
    return made;
  };

  before(async () => {
    rocketmq = await startRealRocketMQ({ brokerConf: ACL_2 });
    admin = client(ADMIN);
    await admin.createTopic('orders', { readQueueNums: 1, writeQueueNums: 1 });
    await admin.createGroup('workers');
    await admin.send({ topic: 'orders', body: Buffer.from('first') });
    await sleep(200);
  });
  after(async () => {
    await Promise.all(clients.map((made) => made.close()));
    await rocketmq?.stop();
  });

  test('the right ones pull, commit and send back', async () => {
    const result = await admin.pull(pull);
    assert.equal(result.status, 'FOUND');
    const [message] = result.status === 'FOUND' ? result.messages : [];
    assert.ok(message !== undefined);
    await admin.sendBack({
      consumerGroup: 'workers',
      brokerName: 'broker-a',
      commitLogOffset: message.commitLogOffset,
      delayLevel: 1,
      originMsgId: message.offsetMsgId,
      originTopic: 'orders',
      maxReconsumeTimes: 16,
    });
    await admin.commitOffset('workers', queue, 1n);
    assert.equal(await admin.queryOffset('workers', queue), 1n);
  });

  for (const [what, credentials] of [
    ['none', undefined],
    ['an unknown access key', { accessKey: 'stranger', secretKey: 'strangers-key' }],
    ['a wrong secret key', { ...ADMIN, secretKey: 'guessed' }],
  ] as const)
    test(`${what}: a PermissionError that says what to check`, async () => {
      const stranger = client(credentials);
      for (const call of [() => stranger.pull(pull), () => stranger.commitOffset('workers', queue, 0n), () => stranger.maxOffset(queue)])
        await assert.rejects(call, (error: unknown) => {
          assert.ok(error instanceof PermissionError, String(error));
          assert.equal(error.code, 'ROCKETMQ_PERMISSION');
          assert.match(error.message, /accessKey and secretKey/);
          return true;
        });
      assert.equal(await admin.queryOffset('workers', queue), 1n, 'nothing was changed');
    });
});

describe('filters on a real broker that compiles SQL92', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  let client: RocketMQClient;

  before(async () => {
    rocketmq = await startRealRocketMQ({ brokerConf: { enablePropertyFilter: 'true' } });
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    await client.createTopic('orders', { readQueueNums: 1, writeQueueNums: 1 });
    await runJava('Produce', [rocketmq.nameServer, 'orders', '40', '32', '1']);
    await sleep(300);
  });
  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  test('one that compiles passes the check and filters', async () => {
    const subscription = buildSubscription('orders', "TAGS = 'tag-1' AND seq > 20", 'SQL92', Date.now());
    await client.checkSubscription('workers', subscription, 'broker-a');
    const seen: string[] = [];
    for (let offset = 0n; offset < 40n; ) {
      const result = await client.pull({ ...pull, offset, subscription });
      if (result.status === 'FOUND') seen.push(...result.messages.map(({ properties }) => properties.get('seq') as string));
      assert.ok(result.nextBeginOffset > offset);
      offset = result.nextBeginOffset;
    }
    assert.deepEqual(seen, ['21', '25', '29', '33', '37']);
  });

  test('one that does not compile is refused with the compiler’s words: pulled inline it would let everything through', async () => {
    const subscription = buildSubscription('orders', 'seq >', 'SQL92', Date.now());
    await assert.rejects(
      () => client.checkSubscription('workers', subscription, 'broker-a'),
      (error: unknown) => error instanceof InvalidFilterError && error.code === 'ROCKETMQ_INVALID_FILTER',
    );
  });

  test('a broker that went away is a ConnectionError that names it', async () => {
    await rocketmq.stopBroker('broker-a', 'SIGKILL');
    await assert.rejects(
      () => client.maxOffset(queue),
      (error: unknown) => error instanceof ConnectionError && /broker-a|127\.0\.0\.1/.test(error.message),
    );
  });
});
