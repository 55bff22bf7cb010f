import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { HANDLER } from './fixtures.ts';
import { makeService, serverless } from './package-service.ts';

const yml = (custom: string, environment = '{}') => `service: shop
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1, environment: ${environment} }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] }, ${custom} } }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: workers, topic: orders } }] }
`;
const SPARE =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Serverless
  'spare: { nameServers: ["ns2:9876"], credentials: { accessKey: a, secretKey: "${env:KEY}" } }';

async function packaged(text: string) {
  const fixture = await makeService({ 'serverless.yml': text, 'handler.js': HANDLER });
  try {
    const result = await serverless(fixture.directory, ['package'], { KEY: 'swordfish' });
    const zip = path.join(fixture.directory, '.serverless/rocketmqPuller.zip');
    return { ...result, isThere: existsSync(zip) };
  } finally {
    await fixture.remove();
  }
}

test('plain secrets are not packaged: of any cluster, out of variables, in environments', async () => {
  const { code, output, isThere } = await packaged(
    yml(`${SPARE} }`, '{ ROCKETMQ_SECRET_KEY: swordfish }'),
  );
  assert.notEqual(code, 0);
  assert.equal(isThere, false);
  assert.match(output, /custom\.rocketmq\.clusters\.spare\.credentials\.secretKey/);
  assert.match(output, /provider\.environment\.ROCKETMQ_SECRET_KEY/);
  assert.match(output, /credentials: arn:aws:secretsmanager:/);
  assert.match(output, /custom\.rocketmq\.allowPlainSecrets: true/);
  assert.doesNotMatch(output, /swordfish/);
});

test('credentials without tls, and certificates that nobody verifies, are warned of with what to do', async () => {
  const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:mq-AbCdEf';
  const { code, output, isThere } = await packaged(`service: shop
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters:
      signed: { nameServers: ["ns1:9876"], credentials: "${arn}" }
      unverified: { nameServers: ["ns2:9876"], credentials: "${arn}", tls: { enabled: true, verify: false } }
      good: { nameServers: ["ns3:9876"], credentials: "${arn}", tls: { enabled: true } }
functions:
  a: { handler: handler.handler, events: [{ rocketmq: { cluster: signed, consumerGroup: a, topic: t } }] }
  b: { handler: handler.handler, events: [{ rocketmq: { cluster: unverified, consumerGroup: b, topic: t } }] }
  c: { handler: handler.handler, events: [{ rocketmq: { cluster: good, consumerGroup: c, topic: t } }] }
`);
  assert.equal(code, 0, output);
  assert.equal(isThere, true);
  assert.match(output, /cluster signed: credentials without tls: .*To close this, enable tls/);
  assert.match(
    output,
    /cluster unverified: tls\.verify: false: .*To close this, give the authority/,
  );
  assert.doesNotMatch(output, /cluster good|cluster unverified: credentials|cluster signed: tls/);
});

test('allowPlainSecrets packages them', async () => {
  const { code, output, isThere } = await packaged(yml(`${SPARE} }, allowPlainSecrets: true`));
  assert.equal(code, 0, output);
  assert.equal(isThere, true);
});
