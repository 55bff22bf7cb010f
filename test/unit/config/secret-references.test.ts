import assert from 'node:assert/strict';
import test from 'node:test';
import { toServiceConfig } from '../../../src/config/service-config.ts';
import type { ClusterConfig } from '../../../src/model/source.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';
const PARAMETER = 'arn:aws:ssm:eu-west-1:123456789012:parameter/rocketmq/credentials';
const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

function clusterOf(options: object): ClusterConfig | undefined {
  const { config } = toServiceConfig({
    service: 'shop',
    stage: 'dev',
    custom: { clusters: { default: { nameServers: ['ns1:9876'], ...options } } },
    functions: {
      orders: {
        name: 'shop-dev-orders',
        timeout: 30,
        events: [{ rocketmq: { consumerGroup: 'g', topic: 't' } }],
      },
    },
  });
  return config.clusters.default;
}

for (const [written, meant] of [
  [SECRET, { secretArn: SECRET }],
  [
    { secretArn: SECRET, kmsKeyArn: KEY },
    { secretArn: SECRET, kmsKeyArn: KEY },
  ],
  [PARAMETER, { ssmParameter: PARAMETER }],
  [{ ssmParameter: '/rocketmq/credentials' }, { ssmParameter: '/rocketmq/credentials' }],
  [{ ssmParameter: 'rocketmq' }, { ssmParameter: 'rocketmq' }],
] as const)
  test(`credentials: ${JSON.stringify(written)} are fetched at run time`, () => {
    assert.deepEqual(clusterOf({ credentials: written }), {
      nameServers: ['ns1:9876'],
      secrets: { credentials: meant },
    });
  });

test('credentials in plain words stay what they were', () => {
  const credentials = { accessKey: 'a', secretKey: 's' };
  assert.deepEqual(clusterOf({ credentials }), { nameServers: ['ns1:9876'], credentials });
});

test('TLS material that is fetched stands apart from what is known', () => {
  assert.deepEqual(clusterOf({ tls: { secretArn: SECRET, serverName: 'mq.example.com' } }), {
    nameServers: ['ns1:9876'],
    tls: { enabled: true, verify: true, serverName: 'mq.example.com' },
    secrets: { tls: { secretArn: SECRET } },
  });
});

for (const [name, options, message] of [
  [
    'half an ARN',
    { credentials: { secretArn: SECRET.slice(0, -7) } },
    /default\.credentials\.secretArn is not valid: give the whole ARN/,
  ],
  [
    'a text that is no ARN',
    { credentials: 'swordfish' },
    /default\.credentials is not valid: give the whole ARN/,
  ],
  [
    'a parameter path',
    { credentials: { ssmParameter: '/rocketmq/' } },
    /credentials\.ssmParameter is not valid: give the name or ARN/,
  ],
  [
    'a number',
    { credentials: 17 },
    /credentials is not valid: give accessKey and secretKey, the ARN/,
  ],
  [
    'a misspelt option',
    { credentials: { secretArn: SECRET, kmsKey: KEY } },
    /credentials\.kmsKey is not an option; did you mean kmsKeyArn\?/,
  ],
  [
    'two stores',
    { tls: { secretArn: SECRET, ssmParameter: '/tls' } },
    /tls is not valid: give secretArn or ssmParameter, not both/,
  ],
] as const)
  test(`${name} is refused, and not repeated`, () => {
    assert.throws(
      () => clusterOf(options),
      (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /swordfish/);
        return true;
      },
    );
  });
