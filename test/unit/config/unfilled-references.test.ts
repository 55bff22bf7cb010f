import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toServiceConfig } from '../../../src/config/service-config.ts';
import { ConfigError } from '../../../src/errors.ts';

const SSM = '{{resolve:ssm:/mq/value}}';
const SECRET = '{{resolve:secretsmanager:mq:SecretString:accessKey}}';
const VARIABLE = ['$', '{ssm:/mq/value}'].join('');

function problemsOf(cluster: object, event: object = {}, custom: object = {}): string {
  const rocketmq = { consumerGroup: 'workers', topic: 'orders', ...event };
  try {
    toServiceConfig({
      service: 'shop',
      stage: 'dev',
      custom: { clusters: { default: { nameServers: ['ns1:9876'], ...cluster } }, ...custom },
      functions: { orders: { name: 'shop-dev-orders', timeout: 30, events: [{ rocketmq }] } },
    });
    return '';
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
}

describe('a value that nobody fills in', () => {
  for (const value of [SSM, SECRET, `${SSM}:9876`])
    for (const [path, message] of [
      ['clusters.default.nameServers', problemsOf({ nameServers: value })],
      ['clusters.default.nameServers.0', problemsOf({ nameServers: [value] })],
      ['clusters.default.brokers.1', problemsOf({ brokers: ['10.0.0.0/8', value] })],
      ['clusters.default.addressMap.b:1', problemsOf({ addressMap: { 'b:1': value } })],
      ['clusters.default.namespace', problemsOf({ namespace: value })],
      ['table.name', problemsOf({}, {}, { table: { name: value } })],
      ['events.0.rocketmq.topic', problemsOf({}, { topic: value })],
      ['events.0.rocketmq.consumerGroup', problemsOf({}, { consumerGroup: value })],
      ['onFailure', problemsOf({}, { onFailure: value })],
    ])
      test(`${value} as ${path} is refused with what to write instead`, () => {
        assert.ok(message?.includes(`${path} is a dynamic reference`), message);
        assert.match(message ?? '', /give \{ Ref: Parameter \}.*\$\{ssm:\/name\}/);
      });

  for (const [path, cluster] of [
    ['credentials', { credentials: SECRET }],
    ['credentials.accessKey', { credentials: { accessKey: SECRET, secretKey: 's' } }],
    ['tls.caCertificate', { tls: { caCertificate: SECRET } }],
  ] as const)
    test(`a secret's dynamic reference as ${path} is refused with the form that works, without its text`, () => {
      const message = problemsOf(cluster);
      assert.match(message, new RegExp(`${path} is a dynamic reference.*arn:aws:secretsmanager`));
      assert.ok(!message.includes('SecretString'));
    });

  test('a variable that Serverless left is refused with what it is', () => {
    for (const message of [
      problemsOf({ nameServers: [VARIABLE] }),
      problemsOf({ credentials: VARIABLE }),
      problemsOf({}, { topic: `orders-${VARIABLE}` }),
    ])
      assert.match(message, /has a variable .* nothing has filled in: Serverless fills in its own/);
  });

  test('texts that are compared with messages, and references of CloudFormation, may have it', () => {
    const event = { filterPatterns: [{ body: { text: [VARIABLE, SSM] } }] };
    assert.equal(problemsOf({}, event), '');
    const sub = { 'Fn::Sub': VARIABLE };
    assert.doesNotMatch(problemsOf({ nameServers: sub }), /nothing has filled in/);
  });
});
