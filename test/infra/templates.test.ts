import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pythonTool } from '../../cli/stack/python-tools.ts';
import { missingPythonTools } from '../support/stack.ts';
import { FIXTURES, HANDLER } from './fixtures.ts';
import {
  type Fixture,
  type Json,
  makeService,
  readTemplate,
  serverless,
  type Template,
} from './package-service.ts';

/** `UPDATE_SNAPSHOTS=1 npm test -- test/infra/templates` writes them anew: read the difference before it is committed. */
const SNAPSHOTS = path.join(import.meta.dirname, 'snapshots');
const HEAD = 'service: shop\nframeworkVersion: "4"\nplugins: [serverless-rocketmq/plugin]\n';

/** Actions that AWS lets nobody restrict to a resource. */
const WITHOUT_RESOURCE: readonly RegExp[] = [
  // Elastic network interfaces of a function in a VPC are made by Lambda before they have names.
  /^ec2:(CreateNetworkInterface|DescribeNetworkInterfaces|DescribeSubnets|DeleteNetworkInterface|AssignPrivateIpAddresses|UnassignPrivateIpAddresses)$/,
  // Traces have no resources.
  /^xray:(PutTraceSegments|PutTelemetryRecords)$/,
];

for (const [name, yml] of Object.entries(FIXTURES))
  describe(`a packaged service: ${name}`, { skip: missingPythonTools() }, () => {
    test('has the template that it had, which cfn-lint likes, with roles that name what they may use', async () => {
      const fixture = await packaged(HEAD + yml);
      try {
        const template = await readTemplate(fixture.directory);
        await isAsItWas(name, ours(template));
        await lint(fixture);
        noStars(template);
      } finally {
        await fixture.remove();
      }
    });
  });

test('what is the user’s own stays as it is without the event', async () => {
  const functions = `
  api: { handler: handler.handler, events: [{ http: "GET /orders" }], memorySize: 512 }
  nightly: { handler: handler.handler, events: [{ schedule: rate(1 day) }] }
resources: { Resources: { Bucket: { Type: "AWS::S3::Bucket" } }, Outputs: { BucketName: { Value: { Ref: Bucket } } } }
`;
  const provider = 'provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }\n';
  const without = await packaged(`${HEAD}${provider}functions:${functions}`);
  const custom =
    'custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } } } }\n';
  const event =
    '\n  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }';
  const having = await packaged(`${HEAD}${provider}${custom}functions:${event}${functions}`);
  try {
    const [before, after] = [
      await readTemplate(without.directory),
      await readTemplate(having.directory),
    ];
    assert.equal(Object.keys(ours(before)).length, 0, 'without an event nothing is added');
    for (const [id, resource] of Object.entries(before.Resources)) {
      // The names of versions and deployments are digests of the zip and the time.
      if (/^(ApiGatewayDeployment|.*LambdaVersion)/.test(id)) continue;
      // Its policy lists the log groups of all functions that use the role.
      if (id === 'IamRoleLambdaExecution') continue;
      assert.deepEqual(withoutKeys(after.Resources[id]), withoutKeys(resource), id);
    }
  } finally {
    await Promise.all([without.remove(), having.remove()]);
  }
});

async function packaged(yml: string): Promise<Fixture> {
  const fixture = await makeService({ 'serverless.yml': yml, 'handler.js': HANDLER });
  const { code, output } = await serverless(fixture.directory, ['package']);
  assert.equal(code, 0, output);
  return fixture;
}

/** What the plugin is answerable for. */
function ours({ Resources }: Template): Json {
  const entries = Object.entries(Resources).filter(([id]) => id.startsWith('Rocketmq'));
  return withoutKeys(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))) as Json;
}

function withoutKeys(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null, (key, part: unknown) => (key === 'S3Key' ? '<key>' : part)),
  );
}

async function isAsItWas(name: string, resources: Json): Promise<void> {
  const file = path.join(SNAPSHOTS, `${name}.json`);
  if (process.env.UPDATE_SNAPSHOTS === '1')
    await writeFile(file, `${JSON.stringify(resources, undefined, 2)}\n`);
  assert.deepEqual(resources, JSON.parse(await readFile(file, 'utf8')));
}

async function lint({ directory }: Fixture): Promise<void> {
  const template = path.join(directory, '.serverless/cloudformation-template-update-stack.json');
  const findings = await new Promise<string>((resolve) => {
    execFile(
      pythonTool('cfn-lint'),
      ['--regions', 'eu-west-1', '--template', template],
      (error, stdout, stderr) =>
        resolve(error === null ? '' : `${stdout}${stderr}${error.message}`),
    );
  });
  assert.equal(findings, '');
}

function noStars({ Resources }: Template): void {
  const roles = Object.entries(Resources).filter(
    ([id, { Type }]) => Type === 'AWS::IAM::Role' && id.startsWith('Rocketmq'),
  );
  assert.ok(roles.length >= 3, 'coordinator, puller and scheduler have roles of their own');
  for (const [id, { Properties }] of roles)
    for (const { PolicyDocument } of Properties.Policies)
      for (const { Effect, Action, Resource, Condition } of PolicyDocument.Statement) {
        const actions: string[] = [Action].flat();
        // A denial of everything everywhere would stop Lambda itself.
        if (Effect === 'Deny') {
          assert.ok(Condition !== undefined, `${id} is denied ${actions.join()} without condition`);
          continue;
        }
        assert.equal(Effect, 'Allow');
        for (const action of actions) assert.ok(!action.includes('*'), `${id}: ${action}`);
        if ([Resource].flat().includes('*'))
          for (const action of actions)
            assert.ok(
              WITHOUT_RESOURCE.some((known) => known.test(action)),
              `${id} may ${action} on everything`,
            );
        else assert.ok([Resource].flat().length > 0, `${id}: ${actions.join()} on nothing`);
      }
}
