import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toServiceConfig } from '../../src/config/service-config.ts';
import { HANDLER } from './fixtures.ts';
import { makeService, readTemplate, serverless, statementsOf, unpack } from './package-service.ts';

const yml = (operator: string) => `service: shop
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } }, operator: ${operator} } }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: workers, topic: orders } }] }
`;

async function packaged(operator: string) {
  const fixture = await makeService({ 'serverless.yml': yml(operator), 'handler.js': HANDLER });
  const { code, output } = await serverless(fixture.directory, ['package']);
  assert.equal(code, 0, output);
  return fixture;
}

const actions = (statements: ReturnType<typeof statementsOf>): string[] =>
  statements
    .flatMap(({ Action }) => Action)
    .filter((action) => !action.startsWith('logs:'))
    .sort();

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Serverless
for (const off of ['false', '"${opt:operator, \'false\'}"'])
  test(`operator: ${off} leaves the function out`, async () => {
    const fixture = await packaged(off);
    try {
      const { Resources } = await readTemplate(fixture.directory);
      assert.deepEqual(
        Object.keys(Resources).filter((name) => /operator/i.test(name)),
        [],
      );
      const { output } = await serverless(fixture.directory, ['rocketmq', 'status']);
      assert.match(output, /ROCKETMQ_OPERATOR_USAGE: the service has no operator function/);
    } finally {
      await fixture.remove();
    }
  });

test('operator: a read-only function beside one of chosen commands, each with the rights that it needs', async () => {
  const fixture = await packaged('{ commands: [status, pause, "dlq list"], readOnly: true }');
  try {
    const template = await readTemplate(fixture.directory);
    const read = ['dynamodb:GetItem', 'dynamodb:Query'];
    assert.deepEqual(actions(statementsOf(template, 'RocketmqOperatorRole')), [
      ...read,
      'dynamodb:UpdateItem',
    ]);
    assert.deepEqual(actions(statementsOf(template, 'RocketmqOperatorReadOnlyRole')), read);
    assert.ok(template.Resources.RocketmqOperatorReadOnlyLambdaFunction);
    const zip = await unpack(fixture.directory, 'rocketmqOperatorReadOnly');
    assert.ok(zip.names.includes('index.mjs'));
    await zip.remove();
  } finally {
    await fixture.remove();
  }
});

test('operator: its options are checked and reach the functions', () => {
  const read = (operator: unknown) =>
    toServiceConfig({
      service: 'shop',
      stage: 'dev',
      custom: { clusters: { default: { nameServers: ['ns:9876'] } }, operator },
      functions: {
        orders: {
          name: 'shop-dev-orders',
          timeout: 6,
          events: [{ rocketmq: { consumerGroup: 'workers', topic: 'orders' } }],
        },
      },
    }).config.operator;
  for (const open of [undefined, true, {}, { readOnly: true }]) assert.equal(read(open), undefined);
  assert.deepEqual(read({ commands: ['status'], topics: ['audit'] }), {
    commands: ['status'],
    topics: ['audit'],
  });
  assert.deepEqual(read({ topics: 'any' }), { topics: 'any' });
  for (const wrong of [{ commands: ['stauts'] }, { readonly: true }, { topics: 'all' }, 'none', 7])
    assert.throws(() => read(wrong), /custom\.rocketmq\.operator/, JSON.stringify(wrong));
});
