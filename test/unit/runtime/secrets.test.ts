import assert from 'node:assert/strict';
import test, { after, before, beforeEach } from 'node:test';
import { inspect } from 'node:util';
import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { RocketMQError } from '../../../src/errors.ts';
import type { ClusterConfig } from '../../../src/model/source.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { createSecrets } from '../../../src/runtime/secrets.ts';
import { type SecretStore, startSecretStore } from '../../support/secret-store.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';
const PARAMETER_ARN = 'arn:aws:ssm:eu-west-1:123456789012:parameter/rocketmq/tls';
const FIRST = { accessKey: 'shop', secretKey: 'first-key' };
const SECOND = { accessKey: 'shop', secretKey: 'second-key', securityToken: 'token' };
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

let store: SecretStore;
before(async () => {
  store = await startSecretStore();
});
after(() => store.stop());
beforeEach(() => {
  store.values.clear();
  store.asked.length = 0;
});

function world(clusters: Record<string, ClusterConfig>) {
  const lines: string[] = [];
  const log = (fields: object, message: string): void =>
    void lines.push(
      inspect(
        { ...fields, message },
        { depth: 6, breakLength: Number.POSITIVE_INFINITY },
      ).replaceAll('\n', ' '),
    );
  const logger = { debug: log, info: log, warn: log, error: log } as unknown as Logger;
  const clock = { now: 0 };
  const secrets = createSecrets({ clusters }, { now: () => clock.now });
  const invoke = middy<{ cluster?: string }, ClusterConfig>()
    .use(secrets.middleware)
    .handler(({ cluster = 'default' }) =>
      Promise.resolve(secrets.complete(cluster, clusters[cluster]!, logger)),
    );
  const invocation = (event: { cluster?: string } = {}): Promise<ClusterConfig> =>
    Promise.resolve(
      invoke(event, {
        getRemainingTimeInMillis: () => 60_000,
      } as Context) as Promise<ClusterConfig>,
    );
  return { secrets, clock, lines, logger, invocation };
}

const oneSecret: Record<string, ClusterConfig> = {
  default: { nameServers: ['a:1'], secrets: { credentials: { secretArn: SECRET } } },
};

test('an invocation has the credentials of Secrets Manager; the next ones do not ask again for five minutes', async () => {
  store.values.set(SECRET, JSON.stringify(FIRST));
  const { invocation, clock } = world(oneSecret);
  assert.deepEqual((await invocation()).credentials, FIRST);
  store.values.set(SECRET, JSON.stringify(SECOND));
  clock.now = 299_999;
  assert.deepEqual((await invocation()).credentials, FIRST);
  assert.deepEqual(store.asked, [SECRET]);
  clock.now = 300_000;
  assert.deepEqual((await invocation()).credentials, SECOND);
  assert.deepEqual(store.asked, [SECRET, SECRET]);
});

test('SSM parameters: by name and by ARN, credentials and TLS of one cluster', async () => {
  store.values.set(
    '/rocketmq/credentials',
    JSON.stringify({ username: 'shop', password: 'first-key' }),
  );
  store.values.set(PARAMETER_ARN, JSON.stringify({ caCertificate: PEM }));
  const { invocation } = world({
    default: {
      nameServers: ['a:1'],
      tls: { enabled: true, serverName: 'mq.example.com' },
      secrets: {
        credentials: { ssmParameter: '/rocketmq/credentials' },
        tls: { ssmParameter: PARAMETER_ARN },
      },
    },
  });
  const { credentials, tls } = await invocation();
  assert.deepEqual(credentials, FIRST);
  assert.deepEqual(tls, { enabled: true, serverName: 'mq.example.com', caCertificate: PEM });
});

test('a puller asks for the secret of its own cluster only', async () => {
  store.values.set(SECRET, JSON.stringify(FIRST));
  const { invocation } = world({
    ...oneSecret,
    other: { nameServers: ['b:1'], secrets: { credentials: { ssmParameter: '/other' } } },
  });
  assert.deepEqual((await invocation({ cluster: 'default' })).credentials, FIRST);
  assert.deepEqual(store.asked, [SECRET]);
});

test('after a refusal the store is asked at once, but not with every refusal; questions at the same time are one', async () => {
  store.values.set(SECRET, JSON.stringify(FIRST));
  const { invocation, secrets, logger, clock } = world(oneSecret);
  await invocation();
  assert.deepEqual(
    await secrets.renew('default', logger),
    FIRST,
    'at once, also right after the first fetch',
  );
  store.values.set(SECRET, JSON.stringify(SECOND));
  clock.now = 1_999;
  assert.deepEqual(await secrets.renew('default', logger), FIRST);
  clock.now = 2_000;
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => secrets.renew('default', logger))), [
    SECOND,
    SECOND,
    SECOND,
  ]);
  assert.equal(store.asked.length, 3);
  store.values.set(SECRET, { error: 'InternalServiceError' });
  clock.now = 4_000;
  for (const _ of [1, 2]) assert.deepEqual(await secrets.renew('default', logger), SECOND);
  assert.equal(new Set(store.asked.slice(3)).size, 1);
  const { length } = store.asked;
  await secrets.renew('default', logger);
  assert.equal(
    store.asked.length,
    length,
    'a store that fails is not asked with every refusal either',
  );
  assert.equal(
    await world({ default: { nameServers: ['a:1'] } }).secrets.renew('default', logger),
    undefined,
  );
});

test('a store that fails later leaves the old value in use, and says so', async () => {
  store.values.set(SECRET, JSON.stringify(FIRST));
  const { invocation, clock, lines } = world(oneSecret);
  await invocation();
  store.values.set(SECRET, { error: 'AccessDeniedException' });
  clock.now = 300_000;
  assert.deepEqual((await invocation()).credentials, FIRST);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /AccessDeniedException.*the old one serves/);
});

for (const [name, value, message] of [
  ['no such secret', undefined, /ResourceNotFoundException/],
  [
    'no right to read it',
    { error: 'AccessDeniedException' },
    /the role may not read it.*AccessDeniedException/,
  ],
  ['a text that is no JSON', 'swordfish', /must be JSON with accessKey and secretKey/],
  ['JSON without a key', '{"accessKey":"swordfish"}', /must be JSON with accessKey and secretKey/],
] as const)
  test(`${name}: an error that names the cluster and the place, and not the value`, async () => {
    if (value !== undefined) store.values.set(SECRET, value);
    const { invocation, lines } = world(oneSecret);
    await assert.rejects(invocation(), (error) => {
      assert.ok(error instanceof RocketMQError);
      assert.equal(error.code, 'ROCKETMQ_SECRET');
      assert.match(error.message, message);
      assert.match(
        error.message,
        /the credentials of cluster "default" cannot be read from arn:aws:secretsmanager:/,
      );
      assert.doesNotMatch(JSON.stringify([error, error.message, error.cause, lines]), /swordfish/);
      return true;
    });
  });

test('an SSM parameter that is missing is named', async () => {
  const { invocation } = world({
    default: { nameServers: ['a:1'], secrets: { credentials: { ssmParameter: '/missing' } } },
  });
  await assert.rejects(invocation(), /SSM parameter \/missing: InvalidParameter \/missing/);
});

test('TLS with half a client certificate is refused', async () => {
  store.values.set(
    PARAMETER_ARN,
    JSON.stringify({ caCertificate: PEM, clientKey: '-----BEGIN PRIVATE KEY-----' }),
  );
  const { invocation } = world({
    default: { nameServers: ['a:1'], secrets: { tls: { ssmParameter: PARAMETER_ARN } } },
  });
  await assert.rejects(invocation(), /the tls of cluster "default" .* PEM texts/);
});
