import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { StatusAnswer } from '../../src/operator/status.ts';
import { readTemplate, run } from '../infra/package-service.ts';
import { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import { startMoto } from '../support/moto.ts';
import { startRealRocketMQ } from '../support/real-rocketmq.ts';
import { shell } from '../support/shell.ts';
import { startSignedAws } from '../support/signed-aws.ts';
import { missingPythonTools, missingStack } from '../support/stack.ts';
import { startService } from './start-service.ts';
import { makeStranger, pack, type Stranger } from './stranger.ts';

const SERVERLESS_YML = `service: shop
frameworkVersion: "FRAMEWORK"
plugins: [serverless-rocketmq/plugin, serverless-offline]
provider: { name: aws, runtime: RUNTIME, region: eu-west-1 }
custom:
  rocketmq:
    clusters:
      default: { nameServers: [ns1.internal:9876, ns2.internal:9876] }
functions:
  settle:
    handler: src/settle.handler
    timeout: 20
    environment: { REPORT: "\${env:REPORT, ''}" }
    events:
      - rocketmq: { consumerGroup: settlement, topic: orders, batchSize: 50 }
  refund:
    handler: src/refund.handler
    timeout: 10
    environment: { REPORT: "\${env:REPORT, ''}" }
    events:
      - rocketmq: { consumerGroup: settlement, topic: refunds, filter: "card || cash" }
  audit:
    handler: src/audit.handler
    timeout: 10
    environment: { REPORT: "\${env:REPORT, ''}" }
    events:
      - rocketmq: { consumerGroup: audit, topic: orders, invocation: inline, startingPosition: TRIM_HORIZON }
`;

/** Three ways to write a handler: typed with the helpers, plain, and inside the puller. */
const FILES = {
  'src/settle.ts': `import { createHandler } from 'serverless-rocketmq';
import { report } from './report.js';

export const handler = createHandler({ body: 'json', concurrency: 5 }, async ({ data, rocketmq }) => {
  const { orderId } = data as { orderId: number };
  if (orderId === 3 && rocketmq.reconsumeTimes === 0) throw new Error('not yet');
  await report('settle', String(orderId));
});
`,
  'src/refund.js': `import { report } from './report.js';
export const handler = async ({ Records }) => {
  for (const { body } of Records) await report('refund', body);
};
`,
  'src/audit.js': `import { report } from './report.js';
export const handler = async ({ Records }) => {
  for (const { body } of Records) await report('audit', JSON.parse(body).orderId);
};
`,
  'src/report.js': `export async function report(who, what) {
  const answer = await fetch(process.env.REPORT, { method: 'POST', body: who + ' ' + what });
  if (!answer.ok) throw new Error(String(answer.status));
}
`,
  'send.js': `import { Producer } from 'serverless-rocketmq/client';
await using producer = new Producer({ nameServers: process.argv[2].split(';') });
for (let orderId = 1; orderId <= 5; orderId++) await producer.send({ topic: 'orders', body: Buffer.from(JSON.stringify({ orderId })) });
await producer.send({ topic: 'refunds', body: Buffer.from('r1'), tags: 'card' });
await producer.send({ topic: 'refunds', body: Buffer.from('r2'), tags: 'voucher' });
`,
  'unit.js': `import assert from 'node:assert/strict';
import { partialBatch } from 'serverless-rocketmq';
import { createRocketMQEvent, startEmbeddedRocketMQ } from 'serverless-rocketmq/testing';
import { RocketMQEventSchema } from 'serverless-rocketmq/schemas';
const handler = partialBatch(({ body }) => { if (body === 'bad') throw new Error('bad'); }, { onFailure: () => {} });
const event = createRocketMQEvent([{ body: 'good' }, { body: 'bad' }]);
const { batchItemFailures } = await handler(event, {});
assert.deepEqual(RocketMQEventSchema.parse(event), event);
assert.deepEqual(batchItemFailures, [{ itemIdentifier: event.Records[1].receiptHandle }]);
const broker = await startEmbeddedRocketMQ();
await broker.stop();
`,
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      noEmit: true,
      types: ['node'],
      allowJs: true,
      skipLibCheck: false,
    },
    include: ['src'],
  }),
};
const EXPECTED = [
  'settle 1',
  'settle 2',
  'settle 3',
  'settle 4',
  'settle 5',
  'refund r1',
  'audit 1',
  'audit 2',
  'audit 3',
  'audit 4',
  'audit 5',
].sort();

const yml = (framework: string, runtime: string) =>
  SERVERLESS_YML.replace('FRAMEWORK', framework).replace('RUNTIME', runtime);

describe('the package', () => {
  let directory: string;
  let tarball: string;
  let shop: Stranger;
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'packed-'));
    tarball = await pack(directory);
    const tools = [
      'serverless@npm:osls@^4.3.1',
      'serverless-offline@^14.8.2',
      'dynalite@^4.0.0',
      'typescript@~6.0.3',
      '@types/node@^24',
    ];
    shop = await makeStranger([tarball, ...tools], {
      ...FILES,
      'serverless.yml': yml('4', 'nodejs24.x'),
    });
  });
  after(async () => {
    await shop?.remove();
    await rm(directory, { recursive: true, force: true });
  });

  test('has what runs and its types, and nothing of the tests', () => {
    const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual(
      files
        .filter(
          (file) =>
            !/^package\/(dist\/(src|handlers|infra)\/.+\.(js|d\.ts)|dist\/src\/console\/page\/console\.(css|js)|dist\/src\/console\/page\/index\.html)$/.test(
              file,
            ),
        )
        .sort(),
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'infra/plugin.cjs',
        'infra/plugin.d.cts',
        'package.json',
      ].map((file) => `package/${file}`),
    );
    for (const wanted of [
      'dist/handlers/puller.js',
      'dist/infra/plugin.js',
      'dist/src/console/page/index.html',
    ])
      assert.ok(files.includes(`package/${wanted}`), wanted);
  });

  test('publint finds nothing', async () => {
    const { messages, pkg } = await publint({
      pkgDir: path.join(shop.directory, 'node_modules/serverless-rocketmq'),
      strict: true,
    });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    );
  });

  test('are-the-types-wrong finds nothing', async () => {
    const analysis = await checkPackage(
      createPackageFromTarballData(new Uint8Array(await readFile(tarball))),
    );
    assert.ok(analysis.types !== false, 'the package has types');
    // ES modules only: a CommonJS project of Node 22 requires them all the same, and the resolution without exports is of Node 10.
    const known = (problem: { kind: string; resolutionKind?: string }) =>
      problem.resolutionKind === 'node10' ||
      (problem.kind === 'CJSResolvesToESM' && problem.resolutionKind === 'node16-cjs');
    assert.deepEqual(
      analysis.problems.filter((problem) => !known(problem)),
      [],
    );
  });

  test('a stranger’s handlers are typed, and unit tested with the test kit', async () => {
    const types = await shop.bin('typescript/bin/tsc', ['-p', '.']);
    assert.equal(types.code, 0, types.output);
    const unit = await shop.bin('../unit.js', []);
    assert.equal(unit.code, 0, unit.output);
    const help = await shop.bin('.bin/serverless-rocketmq', ['--help']);
    assert.equal(help.code, 0, help.output);
    assert.match(help.output, /status/);
  });

  test('serverless package: functions with the package’s code, table, schedule and roles', async () => {
    const result = await shop.bin('serverless/bin/serverless.js', ['package'], {
      REPORT: 'https://example.com',
    });
    assert.equal(result.code, 0, result.output);
    const { Resources } = await readTemplate(shop.directory);
    for (const name of [
      'SettleLambdaFunction',
      'RefundLambdaFunction',
      'RocketmqCoordinatorLambdaFunction',
      'RocketmqPullerLambdaFunction',
    ])
      assert.equal(Resources[name]?.Type, 'AWS::Lambda::Function', name);
    const types = new Set(Object.values(Resources).map(({ Type }) => Type));
    for (const type of ['AWS::DynamoDB::Table', 'AWS::Scheduler::Schedule', 'AWS::IAM::Role'])
      assert.ok(types.has(type), type);
  });

  test('serverless offline start on embedded parts, without any address', async () => {
    const service = await startService(shop);
    try {
      const [, nameServers = ''] = (await service.line(/embedded RocketMQ at (\S+)/)) ?? [];
      await service.line(/rocketmq: ready/);
      const sent = await shop.bin('../send.js', [nameServers]);
      assert.equal(sent.code, 0, sent.output);
      await service.reported(EXPECTED);
      const [, command = ''] = (await service.line(/rocketmq: commands: (.+)/)) ?? [];
      const status = await shell(`${command} --json`, {}, shop.directory);
      assert.equal(status.code, 0, status.output);
      const { groups } = JSON.parse(status.stdout) as StatusAnswer;
      assert.ok(
        groups.some(({ queues }) => queues.some(({ state }) => state === 'consuming')),
        status.stdout,
      );
    } finally {
      await service.stop();
    }
    assert.match(service.output(), /drained, every lease is released/);
  });

  test('serverless offline start against a real broker and DynamoDB Local', {
    skip: missingStack('rocketmq', 'dynamodb'),
  }, async () => {
    const [rocketmq, dynamodb] = await Promise.all([
      startRealRocketMQ({ messageDelayLevel: Array.from({ length: 18 }, () => '1s').join(' ') }),
      startDynamoDBLocal(),
    ]);
    try {
      const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
      for (const topic of ['orders', 'refunds'])
        await client.createTopic(topic, { readQueueNums: 4, writeQueueNums: 4 });
      await client.close();
      const sent = await shop.bin('../send.js', [rocketmq.nameServer]);
      assert.equal(sent.code, 0, sent.output);
      const service = await startService(shop, {
        ROCKETMQ_NAME_SERVERS: rocketmq.nameServer,
        AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
      });
      try {
        await service.reported(EXPECTED);
      } finally {
        await service.stop();
      }
    } finally {
      await Promise.all([rocketmq.stop(), dynamodb.stop()]);
    }
  });

  test('serverless deploy, to moto', { skip: missingPythonTools() }, async () => {
    const moto = await startMoto('eu-west-1');
    try {
      // moto tells no outputs of stacks that were made by a change set.
      const ownYml = path.join(shop.directory, 'serverless.yml');
      const before = await readFile(ownYml, 'utf8');
      await writeFile(
        ownYml,
        before.replace('region: eu-west-1', 'region: eu-west-1, deploymentMethod: direct'),
      );
      const env = { ...moto.env, REPORT: 'https://example.com' };
      const result = await shop.bin('serverless/bin/serverless.js', ['deploy'], env);
      await writeFile(ownYml, before);
      assert.equal(result.code, 0, result.output);
      for (const name of ['settle', 'refund', 'audit', 'rocketmqCoordinator', 'rocketmqPuller'])
        assert.match(result.output, new RegExp(`${name}: shop-dev-${name} `));
    } finally {
      await moto.stop();
    }
  });

  test('runs on Node 22 as well', async () => {
    const older = await makeStranger(
      [tarball, 'node@22', 'serverless@npm:osls@^4.3.1', 'serverless-offline@^14.8.2'],
      {
        ...FILES,
        'serverless.yml': yml('4', 'nodejs22.x'),
      },
    );
    try {
      const node22 = path.join(older.directory, 'node_modules/node/bin/node');
      const on22 = (args: readonly string[]) =>
        run(args, older.directory, { REPORT: 'https://example.com' }, node22);
      assert.match((await on22(['--version'])).output, /^v22\./);
      for (const args of [
        [path.join(older.directory, 'unit.js')],
        [path.join(older.directory, 'node_modules/serverless/bin/serverless.js'), 'package'],
      ]) {
        const { code, output } = await on22(args);
        assert.equal(code, 0, output);
      }
    } finally {
      await older.remove();
    }
  });

  test('Serverless 3 packages the same service, with what its schema does not know', async () => {
    const old = await makeStranger([tarball, 'serverless@3.40.0'], {
      ...FILES,
      'serverless.yml': yml('3', 'nodejs20.x').replace(', serverless-offline]', ']'),
    });
    try {
      await writeFile(path.join(old.directory, '.env'), '');
      const result = await old.bin('serverless/bin/serverless.js', ['package'], {
        REPORT: 'https://example.com',
        SLS_TELEMETRY_DISABLED: '1',
      });
      assert.equal(result.code, 0, result.output);
      const { Resources } = await readTemplate(old.directory);
      assert.equal(Resources.RocketmqPullerLambdaFunction?.Properties.Runtime, 'nodejs22.x');
      const schedule = Object.values(Resources).find(
        ({ Type }) => Type === 'AWS::Scheduler::Schedule',
      );
      assert.ok(schedule?.Properties.Target.RoleArn, 'the schedule has a role');
      const aws = await startSignedAws();
      const env = {
        AWS_ENDPOINT_URL_LAMBDA: aws.endpoint,
        AWS_ACCESS_KEY_ID: 'KEY-env',
        AWS_SECRET_ACCESS_KEY: 's',
        REPORT: 'https://example.com',
      };
      const config = await old.bin('serverless/bin/serverless.js', ['rocketmq', 'config'], {
        ...env,
        SLS_TELEMETRY_DISABLED: '1',
      });
      await aws.stop();
      assert.equal(config.code, 0, config.output);
      assert.deepEqual(aws.asked, ['lambda eu-west-1 KEY-env']);
    } finally {
      await old.remove();
    }
  });
});
