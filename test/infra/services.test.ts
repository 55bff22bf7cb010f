import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test, { after, before, describe } from 'node:test';
import {
  type Fixture,
  makeService,
  ROOT,
  readTemplate,
  run,
  serverless,
  statementsOf,
  type Template,
  unpack,
} from './package-service.ts';

const HEAD = `
service: shop
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-central-1 }
`;
const CLUSTER = 'custom: { rocketmq: { clusters: { default: { nameServers: ["ns1:9876"] } } } }';
const HANDLER = 'export const handler = async () => {};';

describe('two groups, one of them inline, in a VPC, with permissions of the service', () => {
  let fixture: Fixture;
  let template: Template;

  before(async () => {
    fixture = await makeService({
      'serverless.yml': `
service: shop
plugins: [serverless-rocketmq/plugin]
provider:
  name: aws
  runtime: nodejs20.x
  region: eu-central-1
  vpc: { subnetIds: [subnet-1], securityGroupIds: [sg-1] }
  iam:
    role:
      permissionsBoundary: arn:aws:iam::123456789012:policy/boundary
      statements:
        - { Effect: Allow, Action: s3:GetObject, Resource: arn:aws:s3:::receipts/* }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["ns1:9876"] } }
    table: { pointInTimeRecovery: true, retain: false }
    puller: { timeout: 300, memorySize: 1024 }
functions:
  - orders:
      handler: src/orders.handle
      events:
        - rocketmq: { consumerGroup: order-worker, topic: orders }
        - rocketmq: { consumerGroup: order-worker, topic: refunds }
  - audit:
      handler: src/audit.main
      environment: { BUCKET: receipts }
      memorySize: 2048
      events:
        - rocketmq: { consumerGroup: audit, topic: orders, invocation: inline, filter: { sql: "amount > 10" } }
  - other: { handler: src/other.handler }
  - prebuilt:
      handler: anything.here
      package: { artifact: prebuilt.zip }
      events:
        - rocketmq: { consumerGroup: prebuilt, topic: orders }
`,
      'src/orders.ts':
        "import { answer } from './answer.ts';\nexport async function handle(): Promise<object> { return answer; }\n",
      'src/answer.ts': 'export const answer: object = { batchItemFailures: [] };\n',
      'src/audit.cjs':
        'exports.main = async (event) => ({ seen: event.Records.length, bucket: process.env.BUCKET });\n',
      'src/other.js': HANDLER,
      'prebuilt.zip': 'the own business of the user',
    });
    const result = await serverless(fixture.directory, ['package']);
    assert.equal(result.code, 0, result.output);
    assert.match(
      result.output,
      /functions\.audit\.memorySize is 2048, but its inline handler runs in/,
    );
    template = await readTemplate(fixture.directory);
  });
  after(() => fixture.remove());

  test('the puller may call the functions that it invokes, and has what its inline handler needs', () => {
    const arn = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] });
    const statements = statementsOf(template, 'RocketmqPullerRole');
    assert.deepEqual(
      statements.find(({ Action }) => Action.includes('lambda:InvokeFunction'))?.Resource,
      [arn('OrdersLambdaFunction'), arn('PrebuiltLambdaFunction')],
    );
    assert.ok(
      statements.some(
        ({ Action, Resource }) =>
          String(Action) === 's3:GetObject' && Resource === 'arn:aws:s3:::receipts/*',
      ),
    );
    assert.equal(
      template.Resources.RocketmqPullerLambdaFunction!.Properties.Environment.Variables.BUCKET,
      'receipts',
    );
    assert.ok(
      !statementsOf(template, 'RocketmqCoordinatorRole').some(
        ({ Action }) => String(Action) === 's3:GetObject',
      ),
    );
  });

  test('roles: only what AWS gives no resource for is allowed on *, and the boundary of the service holds', () => {
    for (const role of ['RocketmqCoordinatorRole', 'RocketmqPullerRole', 'RocketmqSchedulerRole']) {
      for (const { Action, Resource } of statementsOf(template, role))
        assert.equal(
          Resource === '*',
          [Action].flat().every((action) => action.startsWith('ec2:')),
          `${role}: ${String(Action)}`,
        );
      assert.equal(
        template.Resources[role]!.Properties.PermissionsBoundary,
        'arn:aws:iam::123456789012:policy/boundary',
      );
    }
  });

  test('settings of puller and table, a runtime that is new enough, the VPC of the service', () => {
    const { Timeout, MemorySize, Runtime, VpcConfig } =
      template.Resources.RocketmqPullerLambdaFunction!.Properties;
    assert.deepEqual(
      [Timeout, MemorySize, Runtime, VpcConfig],
      [300, 1024, 'nodejs22.x', { SecurityGroupIds: ['sg-1'], SubnetIds: ['subnet-1'] }],
    );
    const table = template.Resources.RocketmqTable!;
    assert.equal(table.DeletionPolicy, 'Delete');
    assert.deepEqual(table.Properties.PointInTimeRecoverySpecification, {
      PointInTimeRecoveryEnabled: true,
    });
  });

  test('handlers are bundled with what they import; other functions and own artifacts are left alone', async () => {
    const orders = await unpack(fixture.directory, 'orders');
    const result = await run(
      [
        '--input-type=module',
        '-e',
        "console.log(JSON.stringify(await (await import('./index.mjs')).handle()))",
      ],
      orders.directory,
    );
    await orders.remove();
    assert.equal(result.output.trim(), '{"batchItemFailures":[]}');
    assert.equal(template.Resources.OrdersLambdaFunction!.Properties.Handler, 'index.handle');
    assert.equal(template.Resources.OtherLambdaFunction!.Properties.Handler, 'src/other.handler');
    assert.equal(template.Resources.PrebuiltLambdaFunction!.Properties.Handler, 'anything.here');
    assert.equal(
      path.basename(template.Resources.PrebuiltLambdaFunction!.Properties.Code.S3Key),
      'prebuilt.zip',
    );
  });

  test('the bundle of the puller holds the configuration and the inline handler', async () => {
    const puller = await unpack(fixture.directory, 'rocketmqPuller');
    const code = await readFile(path.join(puller.directory, 'index.mjs'), 'utf8');
    await puller.remove();
    assert.match(code, /amount > 10/);
    assert.match(code, /shop-dev-orders/);
    assert.match(code, /process\.env\.BUCKET/);
  });
});

test('secrets: roles may read exactly those that are named, and the bundles hold their names only', async () => {
  const secret = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocketmq-AbCdEf';
  const key = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const fixture = await makeService({
    'serverless.yml': `${HEAD}
custom:
  rocketmq:
    clusters:
      default: { nameServers: ["ns1:9876"], credentials: { secretArn: "${secret}", kmsKeyArn: "${key}" }, tls: { ssmParameter: /rocketmq/tls } }
      unused: { nameServers: ["ns2:9876"], credentials: { ssmParameter: /unused } }
functions: { orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }
`,
    'orders.js': HANDLER,
  });
  const result = await serverless(fixture.directory, ['package']);
  assert.equal(result.code, 0, result.output);
  const template = await readTemplate(fixture.directory);
  for (const role of ['RocketmqCoordinatorRole', 'RocketmqPullerRole'])
    assert.deepEqual(
      statementsOf(template, role).filter(({ Action }) =>
        /^(secretsmanager|ssm|kms):/.test(String(Action)),
      ),
      [
        { Effect: 'Allow', Action: ['secretsmanager:GetSecretValue'], Resource: [secret] },
        {
          Effect: 'Allow',
          Action: ['ssm:GetParameters'],
          Resource: [
            {
              'Fn::Sub': `arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter/rocketmq/tls`,
            },
          ],
        },
        {
          Effect: 'Allow',
          Action: ['kms:Decrypt'],
          Resource: [key],
          Condition: {
            StringEquals: {
              'kms:ViaService': [
                { 'Fn::Sub': `secretsmanager.\${AWS::Region}.\${AWS::URLSuffix}` },
                { 'Fn::Sub': `ssm.\${AWS::Region}.\${AWS::URLSuffix}` },
              ],
            },
          },
        },
      ],
    );
  const puller = await unpack(fixture.directory, 'rocketmqPuller');
  assert.match(
    await readFile(path.join(puller.directory, 'index.mjs'), 'utf8'),
    new RegExp(`secretArn.{0,4}${secret}`),
  );
  // The bundle stands alone: it runs where nothing of this repo is near.
  const loaded = await run(
    ['--input-type=module', '-e', "console.log(typeof (await import('./index.mjs')).handler)"],
    puller.directory,
  );
  assert.equal(loaded.output.trim(), 'function');
  await Promise.all([puller.remove(), fixture.remove()]);
});

describe('what is wrong ends in one clear message', () => {
  const cases: [name: string, files: Record<string, string>, message: RegExp][] = [
    [
      'options that are unknown or out of range',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t, batchsize: 10, parallelizationFactor: 33 } }] } }`,
        'orders.js': HANDLER,
      },
      /problems:\n\s+- functions\.orders\.events\.0\.rocketmq\.parallelizationFactor is 33: give a whole number from 1 to 32 \[ROCKETMQ_EVENT_INVALID_VALUE\]\n\s+- functions\.orders\.events\.0\.rocketmq\.batchsize is not an option; did you mean batchSize\? \[ROCKETMQ_EVENT_UNKNOWN_OPTION\]/,
    ],
    [
      'a handler file that does not exist',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: src/order.handler, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }`,
      },
      /functions\.orders\.handler is "src\/order\.handler", but there is no file src\/order\.ts, src\/order\.mts, src\/order\.js/,
    ],
    [
      'a handler that the file does not export',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: orders.main, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }`,
        'orders.ts': HANDLER,
      },
      /functions\.orders\.handler cannot be bundled:[\s\S]*No matching export in "orders\.ts" for import "main"/,
    ],
    [
      'an event without options',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: orders.handler, events: [{ rocketmq: order-worker }] } }`,
        'orders.js': HANDLER,
      },
      /functions\.orders\.events\.0\.rocketmq is "order-worker": give the options cluster, consumerGroup, topic/,
    ],
    [
      'no cluster',
      {
        'serverless.yml': `${HEAD}\nfunctions: { orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }`,
        'orders.js': HANDLER,
      },
      /custom\.rocketmq\.clusters is missing: give a cluster/,
    ],
    [
      'an inline handler with a role of its own',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: orders.handler, role: arn:aws:iam::1:role/x, events: [{ rocketmq: { consumerGroup: g, topic: t, invocation: inline } }] } }`,
        'orders.js': HANDLER,
      },
      /functions\.orders\.role has no effect with invocation: inline/,
    ],
    [
      'inline handlers that need two values of one variable',
      {
        'serverless.yml':
          `${HEAD}${CLUSTER}\nfunctions:\n  orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t, invocation: inline } }] }\n  refunds: { handler: orders.handler, environment: { LEVEL: debug }, events: [{ rocketmq: { consumerGroup: g, topic: u, invocation: inline } }] }\n`.replace(
            'region:',
            'environment: { LEVEL: info }, region:',
          ),
        'orders.js': HANDLER,
      },
      /functions\.refunds\.environment\.LEVEL differs from provider\.environment\.LEVEL/,
    ],
    [
      'the name of a bucket where its ARN is needed',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t, s3PointerThreshold: { bytes: 1, bucket: { Ref: Large } } } }] } }\nresources: { Resources: { Large: { Type: "AWS::S3::Bucket" } } }`,
        'orders.js': HANDLER,
      },
      /functions\.orders: s3PointerThreshold\.bucket is \{ Ref: Large \}, which is the name of the bucket: give \{ Fn::GetAtt: \[Large, Arn\] \}/,
    ],
    [
      'the id of a KMS key where its ARN is needed',
      {
        'serverless.yml': `${HEAD}custom: { rocketmq: { clusters: { default: { nameServers: ["ns1:9876"] } }, table: { kmsKeyArn: { Ref: Key } } } }\nfunctions: { orders: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }\nresources: { Resources: { Key: { Type: "AWS::KMS::Key" } } }`,
        'orders.js': HANDLER,
      },
      /custom\.rocketmq\.table\.kmsKeyArn is \{ Ref: Key \}, which is the id of the key: give \{ Fn::GetAtt: \[Key, Arn\] \}/,
    ],
    [
      'a function with a name that the plugin needs',
      {
        'serverless.yml': `${HEAD}${CLUSTER}\nfunctions: { rocketmqPuller: { handler: orders.handler, events: [{ rocketmq: { consumerGroup: g, topic: t } }] } }`,
        'orders.js': HANDLER,
      },
      /functions\.rocketmqPuller is the name of a function that serverless-rocketmq adds/,
    ],
  ];
  for (const [name, files, message] of cases)
    test(name, async () => {
      const fixture = await makeService(files);
      const result = await serverless(fixture.directory, ['package']);
      await fixture.remove();
      assert.equal(result.code, 1, result.output);
      assert.match(result.output, message);
      assert.doesNotMatch(
        result.output,
        /\n\s+at /,
        'a stack is of no use to who wrote the configuration',
      );
    });
});

test('a service without rocketmq events is not touched', async () => {
  const fixture = await makeService({
    'serverless.yml': `${HEAD}\nfunctions: { api: { handler: api.handler } }`,
    'api.js': HANDLER,
  });
  const result = await serverless(fixture.directory, ['package']);
  assert.equal(result.code, 0, result.output);
  const ids = Object.keys((await readTemplate(fixture.directory)).Resources);
  await fixture.remove();
  assert.deepEqual(
    ids.filter((id) => /rocketmq/i.test(id)),
    [],
  );
});

test('an older Node is told to be one', async () => {
  const script = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); require('./infra/plugin.cjs');`;
  const result = await run(['-e', script], ROOT);
  assert.match(
    result.output,
    /serverless-rocketmq needs Node 22\.18 or newer, and this is Node 20\.20\.2/,
  );
});
