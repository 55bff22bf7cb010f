import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { frameworkAccess } from '../../infra/framework-access.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startSignedAws } from '../support/signed-aws.ts';
import { makeService, ROOT, type RunResult, run, serverless } from './package-service.ts';

const BIN = path.join(ROOT, 'infra/commands/bin.ts');
const YML = `service: shop
frameworkVersion: "4"
plugins: [serverless-rocketmq/plugin]
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1, profile: deployer }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } } } }
functions:
  orders: { handler: orders.handler, timeout: 20, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
`;

describe('commands ask the AWS account that is meant', () => {
  let aws: Awaited<ReturnType<typeof startSignedAws>>;
  let folder: string;
  let fixture: Awaited<ReturnType<typeof makeService>>;
  let files: Record<string, string>;
  before(async () => {
    aws = await startSignedAws();
    folder = await mkdtemp(path.join(os.tmpdir(), 'aws-'));
    const profiles = ['default', 'deployer', 'ops'].map(
      (name) => `[${name}]\naws_access_key_id = KEY-${name}\naws_secret_access_key = s\n`,
    );
    await writeFile(path.join(folder, 'credentials'), profiles.join(''));
    await writeFile(path.join(folder, 'config'), '[profile ops]\nregion = eu-north-1\n');
    files = {
      AWS_SHARED_CREDENTIALS_FILE: path.join(folder, 'credentials'),
      AWS_CONFIG_FILE: path.join(folder, 'config'),
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ENDPOINT_URL_LAMBDA: aws.endpoint,
      NO_COLOR: '1',
    };
    fixture = await makeService({
      'serverless.yml': YML,
      'orders.js': 'export const handler = async () => {};\n',
    });
  });
  after(async () => {
    await fixture?.remove();
    await aws?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const npx = (words: string, env: Record<string, string> = {}) =>
    run([BIN, ...words.split(' '), '--service', 'shop'], folder, { ...files, ...env });
  const framework = (words: string, env: Record<string, string> = {}) =>
    serverless(fixture.directory, ['rocketmq', ...words.split(' ')], { ...files, ...env });
  const asks = async (ran: Promise<RunResult>, expected: string) => {
    const before = aws.asked.length;
    const { code, output } = await ran;
    assert.equal(code, 0, output);
    assert.deepEqual([...new Set(aws.asked.slice(before))], [expected]);
  };
  const KEYS = {
    AWS_ACCESS_KEY_ID: 'KEY-env',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'us-east-2',
  };

  test('npx: of --profile and --region', () =>
    asks(npx('config --profile ops --region eu-west-3'), 'lambda eu-west-3 KEY-ops'));
  test('npx: with the region of the profile', () =>
    asks(npx('config --profile ops'), 'lambda eu-north-1 KEY-ops'));
  test('npx: a profile that is named comes before the environment', () =>
    asks(npx('config --profile ops', KEYS), 'lambda us-east-2 KEY-ops'));
  test('npx: of the environment without', () =>
    asks(npx('config', KEYS), 'lambda us-east-2 KEY-env'));
  test('npx: a profile that there is not is told', async () => {
    const { code, output } = await npx('config --profile nobody --region eu-west-1');
    assert.equal(code, 1);
    assert.match(
      output,
      /no AWS credentials were found: log in, set AWS_PROFILE, or name a profile/,
    );
  });

  test('serverless: of provider.profile and provider.region', () =>
    asks(framework('config'), 'lambda eu-west-1 KEY-deployer'));
  test('serverless: of --aws-profile and --region', () =>
    asks(framework('config --aws-profile ops --region ap-south-1'), 'lambda ap-south-1 KEY-ops'));
  test('serverless: of the stage', () =>
    asks(
      framework('config --stage prod', { AWS_PROD_PROFILE: 'ops' }),
      'lambda eu-west-1 KEY-ops',
    ));
  test('serverless: a profile that there is not is told', async () => {
    const { code, output } = await framework('config --aws-profile nobody');
    assert.equal(code, 1);
    assert.match(output, /AWS profile "nobody" doesn't seem to be configured/);
  });

  test('with --local it is the table’s account', async () => {
    await using mq = await startEmbeddedRocketMQ();
    mq.createTopic('orders');
    const local = `--local --table assignments --name-servers ${mq.nameServers.join(';')}`;
    const table = { AWS_ENDPOINT_URL_DYNAMODB: aws.endpoint };
    await asks(framework(`status ${local}`, table), 'dynamodb eu-west-1 KEY-deployer');
    await asks(
      npx(`status ${local} --group order-worker --topic orders --profile ops`, table),
      'dynamodb eu-north-1 KEY-ops',
    );
    // A laptop without any account, as under serverless offline.
    const none = {
      ...table,
      AWS_SHARED_CREDENTIALS_FILE: path.join(folder, 'none'),
      AWS_CONFIG_FILE: path.join(folder, 'none'),
    };
    await asks(
      npx(`status ${local} --group order-worker --topic orders`, none),
      'dynamodb us-east-1 local',
    );
    await asks(framework(`status ${local}`, none), 'dynamodb eu-west-1 local');
  });
});

test('Serverless 3 gives credentials of the second SDK, which may have to be fetched first', async () => {
  const fetched = { accessKeyId: '', secretAccessKey: '', sessionToken: 'token' };
  const common = {
    getStage: () => 'dev',
    getRegion: () => 'eu-west-1',
    naming: { getLambdaLogicalId: String, getLogGroupLogicalId: String },
  };
  const getPromise = async () =>
    void Object.assign(fetched, { accessKeyId: 'id', secretAccessKey: 'secret' });
  const { region, credentials } = frameworkAccess({
    ...common,
    getCredentials: () => ({ credentials: Object.assign(fetched, { getPromise }) }),
  });
  assert.deepEqual(
    [region, await credentials?.()],
    ['eu-west-1', { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' }],
  );
  await assert.rejects(
    frameworkAccess({ ...common, getCredentials: () => ({}) }).credentials!(),
    /Serverless found no AWS credentials/,
  );
});
