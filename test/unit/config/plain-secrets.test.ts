import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findPlainSecrets, refusePlainSecrets } from '../../../src/config/plain-secrets.ts';
import { type ServiceOptions, serviceOptions } from '../../../src/config/service-options.ts';
import { ConfigError } from '../../../src/errors.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const keyOf = (kind: string) =>
  `-----BEGIN ${kind}PRIVATE KEY-----\nswordfish\n-----END ${kind}PRIVATE KEY-----\n`;
const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';

const clusters = (options: object): ServiceOptions['clusters'] =>
  serviceOptions.parse({ clusters: { default: { nameServers: ['ns1:9876'], ...options } } })
    .clusters;
const places = (options: object) => findPlainSecrets(clusters(options), []);

describe('plain secrets of serverless.yml', () => {
  test('keys, tokens and private keys in any place of a cluster', () => {
    const at = 'custom.rocketmq.clusters.default';
    assert.deepEqual(
      places({ credentials: { accessKey: 'a', secretKey: 's', securityToken: 't' } }),
      [`${at}.credentials.secretKey`, `${at}.credentials.securityToken`],
    );
    for (const kind of ['', 'RSA ', 'EC ', 'ENCRYPTED ', 'OPENSSH '])
      assert.deepEqual(
        places({ tls: { clientCertificate: CERTIFICATE + keyOf(kind), clientKey: keyOf(kind) } }),
        [`${at}.tls.clientCertificate`, `${at}.tls.clientKey`],
      );
    assert.deepEqual(places({ tls: { caCertificate: keyOf('') + CERTIFICATE } }), [
      `${at}.tls.caCertificate`,
    ]);
  });

  test('authorities, references and values of CloudFormation are none', () => {
    for (const options of [
      {},
      { tls: { caCertificate: CERTIFICATE } },
      { credentials: SECRET },
      { credentials: { ssmParameter: '/mq' }, tls: { secretArn: SECRET } },
      { credentials: { accessKey: 'a', secretKey: 'env:ROCKETMQ_VALUE_0' } },
    ])
      assert.deepEqual(places(options), []);
  });

  test('environments of functions', () => {
    const found = (variables: object) =>
      findPlainSecrets(clusters({}), [
        { path: 'provider.environment', variables: { ...variables } },
      ]);
    assert.deepEqual(found({ ROCKETMQ_SECRET_KEY: 's', ROCKETMQ_SECURITY_TOKEN: 't' }), [
      'provider.environment.ROCKETMQ_SECRET_KEY',
      'provider.environment.ROCKETMQ_SECURITY_TOKEN',
    ]);
    assert.deepEqual(found({ ROCKETMQ_SECRET_KEY: { Ref: 'Key' }, ROCKETMQ_ACCESS_KEY: 'a' }), []);
    const fetched = '{{resolve:secretsmanager:mq:SecretString:secretKey}}';
    assert.deepEqual(found({ ROCKETMQ_SECRET_KEY: fetched }), []);
    for (const plain of [12345678, `${fetched}plain`, '{{resolve:ssm:/readable}}'])
      assert.equal(found({ ROCKETMQ_SECRET_KEY: plain }).length, 1, String(plain));
    const empty = { path: 'provider.environment', variables: null };
    assert.deepEqual(findPlainSecrets(clusters({}), [empty]), []);
  });

  test('the error names places, the ARN form and the switch, and no value', () => {
    refusePlainSecrets([]);
    assert.throws(
      () => refusePlainSecrets(places({ credentials: { accessKey: 'a', secretKey: 'swordfish' } })),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.code, 'ROCKETMQ_PLAIN_SECRET');
        assert.match(
          error.message,
          /^custom\.rocketmq\.clusters\.default\.credentials\.secretKey /,
        );
        assert.match(error.message, /credentials: arn:aws:secretsmanager:/);
        assert.match(error.message, /custom\.rocketmq\.allowPlainSecrets: true/);
        assert.doesNotMatch(error.message, /swordfish/);
        return true;
      },
    );
  });
});
