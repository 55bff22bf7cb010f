import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { ConfigError } from '../../../src/errors.ts';
import type { ServiceConfig } from '../../../src/model/source.ts';
import {
  applyEnvironment,
  mayCall,
  optionalMillis,
  required,
  withDeployedValues,
} from '../../../src/runtime/environment.ts';

function service(clusters: ServiceConfig['clusters']): ServiceConfig {
  return { service: 'shop', stage: 'dev', sources: [], clusters };
}

test('name servers of the environment replace those of the default cluster, or of the only one', () => {
  const env = { ROCKETMQ_NAME_SERVERS: 'x:1; y:2;' };
  const both = applyEnvironment(
    service({ default: { nameServers: ['a:1'] }, eu: { nameServers: ['b:1'] } }),
    env,
  ).clusters;
  assert.deepEqual(both, {
    default: { nameServers: ['x:1', 'y:2'] },
    eu: { nameServers: ['b:1'] },
  });
  assert.deepEqual(applyEnvironment(service({ eu: { nameServers: ['b:1'] } }), env).clusters, {
    eu: { nameServers: ['x:1', 'y:2'] },
  });
  assert.deepEqual(
    applyEnvironment(service({ a: { nameServers: ['a:1'] }, b: { nameServers: ['b:1'] } }), env)
      .clusters,
    {
      a: { nameServers: ['a:1'] },
      b: { nameServers: ['b:1'] },
    },
  );
});

test('queues, topics and buckets are called from a local run only where the environment says where', () => {
  for (const service of ['sqs', 'sns', 's3'] as const) {
    assert.equal(mayCall(service, {}), true);
    assert.equal(mayCall(service, { IS_OFFLINE: 'true' }), false);
    assert.equal(
      mayCall(service, { IS_OFFLINE: 'true', AWS_ENDPOINT_URL: 'http://127.0.0.1:4566' }),
      true,
    );
    assert.equal(
      mayCall(service, { IS_OFFLINE: 'true', AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:4566' }),
      service === 'sqs',
    );
  }
});

test('credentials of the environment are for clusters without their own', () => {
  const own = { accessKey: 'own', secretKey: 'own-secret' };
  const { clusters } = applyEnvironment(
    service({ a: { nameServers: ['a:1'] }, b: { nameServers: ['b:1'], credentials: own } }),
    {
      ROCKETMQ_ACCESS_KEY: 'key',
      ROCKETMQ_SECRET_KEY: 'secret',
      ROCKETMQ_SECURITY_TOKEN: 'token',
    },
  );
  assert.deepEqual(clusters.a?.credentials, {
    accessKey: 'key',
    secretKey: 'secret',
    securityToken: 'token',
  });
  assert.deepEqual(clusters.b?.credentials, own);
});

test('half of the credentials is an error that names both', () => {
  assert.throws(
    () =>
      applyEnvironment(service({ a: { nameServers: ['a:1'] } }), { ROCKETMQ_ACCESS_KEY: 'key' }),
    /ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY/,
  );
});

test('an empty environment changes nothing', () => {
  const config = service({ default: { nameServers: ['a:1'] } });
  assert.deepEqual(
    applyEnvironment(config, {
      ROCKETMQ_NAME_SERVERS: '',
      ROCKETMQ_ACCESS_KEY: '',
      ROCKETMQ_SECRET_KEY: '',
    }),
    config,
  );
});

test('required and optional variables', () => {
  assert.equal(required('A', { A: 'x' }), 'x');
  assert.throws(() => required('A', { A: '' }), ConfigError);
  assert.equal(optionalMillis('A', {}), undefined);
  assert.equal(optionalMillis('A', { A: '250' }), 250);
  for (const wrong of ['0', '-1', '1.5', 'soon'])
    assert.throws(
      () => optionalMillis('A', { A: wrong }),
      /A is ".*": give a whole number of milliseconds/,
    );
});

describe('values that CloudFormation gives', () => {
  const service = {
    service: 'shop',
    stage: 'dev',
    clusters: {
      default: {
        nameServers: ['env:ROCKETMQ_VALUE_0', 'ns3:9876'],
        secrets: { credentials: { secretArn: 'env:ROCKETMQ_VALUE_1' } },
      },
    },
    sources: [],
  };

  test('take their places; a name server’s value may hold several', () => {
    const env = {
      ROCKETMQ_VALUE_0: 'ns1:9876;ns2:9876',
      ROCKETMQ_VALUE_1: 'arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf',
    };
    assert.deepEqual(withDeployedValues(service, env).clusters.default, {
      nameServers: ['ns1:9876', 'ns2:9876', 'ns3:9876'],
      secrets: { credentials: { secretArn: env.ROCKETMQ_VALUE_1 } },
    });
  });

  test('what the environment lacks stays as it is', () =>
    assert.deepEqual(withDeployedValues(service, {}), service));
});
