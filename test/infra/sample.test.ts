import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test, { before, describe } from 'node:test';
import {
  ROOT,
  readTemplate,
  run,
  serverless,
  statementsOf,
  type Template,
  unpack,
} from './package-service.ts';

describe('the sample service, packaged', () => {
  let template: Template;
  let hashes: Record<string, string>;
  const KEYS = ['orders', 'rocketmqCoordinator', 'rocketmqPuller', 'rocketmqOperator'];

  before(async () => {
    const result = await serverless(ROOT, ['package']);
    assert.equal(result.code, 0, result.output);
    assert.doesNotMatch(result.output, /warning|deprecat/i);
    template = await readTemplate(ROOT);
    hashes = await hashZips();
  });

  async function hashZips(): Promise<Record<string, string>> {
    return Object.fromEntries(
      await Promise.all(
        KEYS.map(
          async (key) =>
            [
              key,
              createHash('sha256')
                .update(await readFile(path.join(ROOT, '.serverless', `${key}.zip`)))
                .digest('hex'),
            ] as const,
        ),
      ),
    );
  }

  test('four functions, each with a bundle of its own', () => {
    const functions = Object.entries(template.Resources).filter(
      ([, { Type }]) => Type === 'AWS::Lambda::Function',
    );
    assert.deepEqual(
      functions.map(([id, { Properties }]) => [
        id,
        Properties.Handler,
        Properties.Runtime,
        path.basename(Properties.Code.S3Key),
      ]),
      [
        ['OrdersLambdaFunction', 'index.handler', 'nodejs24.x', 'orders.zip'],
        [
          'RocketmqCoordinatorLambdaFunction',
          'index.handler',
          'nodejs24.x',
          'rocketmqCoordinator.zip',
        ],
        ['RocketmqPullerLambdaFunction', 'index.handler', 'nodejs24.x', 'rocketmqPuller.zip'],
        ['RocketmqOperatorLambdaFunction', 'index.handler', 'nodejs24.x', 'rocketmqOperator.zip'],
      ],
    );
  });

  test('the generated functions know table and puller by reference', () => {
    const variables = (id: string) => template.Resources[id]!.Properties.Environment.Variables;
    assert.deepEqual(variables('RocketmqCoordinatorLambdaFunction'), {
      ROCKETMQ_TABLE: { Ref: 'RocketmqTable' },
      ROCKETMQ_PULLER_FUNCTION: { Ref: 'RocketmqPullerLambdaFunction' },
    });
    assert.deepEqual(variables('RocketmqPullerLambdaFunction'), {
      ROCKETMQ_TABLE: { Ref: 'RocketmqTable' },
    });
  });

  test('the table stays when the stack goes, has a TTL and no name that could collide', () => {
    const table = template.Resources.RocketmqTable!;
    assert.equal(table.DeletionPolicy, 'Retain');
    assert.equal(table.UpdateReplacePolicy, 'Retain');
    assert.deepEqual(table.Properties, {
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    });
  });

  test('a schedule starts the coordinator every minute, with a role that can do nothing else', () => {
    const { Target, ...schedule } = template.Resources.RocketmqSchedule!.Properties;
    assert.deepEqual(schedule, {
      Description: 'serverless-rocketmq: runs the coordinator',
      GroupName: { Ref: 'RocketmqScheduleGroup' },
      ScheduleExpression: 'rate(1 minute)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      State: 'ENABLED',
    });
    const coordinator = { 'Fn::GetAtt': ['RocketmqCoordinatorLambdaFunction', 'Arn'] };
    assert.deepEqual(Target, {
      Arn: coordinator,
      RoleArn: { 'Fn::GetAtt': ['RocketmqSchedulerRole', 'Arn'] },
      RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 },
    });
    assert.deepEqual(statementsOf(template, 'RocketmqSchedulerRole'), [
      { Effect: 'Allow', Action: ['lambda:InvokeFunction'], Resource: coordinator },
    ]);
    assert.deepEqual(
      template.Resources.RocketmqSchedulerRole!.Properties.AssumeRolePolicyDocument.Statement,
      [
        {
          Effect: 'Allow',
          Principal: { Service: 'scheduler.amazonaws.com' },
          Action: 'sts:AssumeRole',
          Condition: {
            StringEquals: {
              'aws:SourceAccount': { Ref: 'AWS::AccountId' },
              'aws:SourceArn': {
                'Fn::Sub': `arn:\${AWS::Partition}:scheduler:\${AWS::Region}:\${AWS::AccountId}:schedule-group/\${RocketmqScheduleGroup}`,
              },
            },
          },
        },
      ],
    );
  });

  test('asynchronous invocations of the generated functions are never retried and soon too old', () => {
    for (const key of ['RocketmqCoordinator', 'RocketmqPuller', 'RocketmqOperator']) {
      const config = Object.values(template.Resources).find(
        ({ Type, Properties }) =>
          Type === 'AWS::Lambda::EventInvokeConfig' &&
          Properties.FunctionName.Ref === `${key}LambdaFunction`,
      );
      assert.equal(config?.Properties.MaximumRetryAttempts, 0);
      assert.equal(config?.Properties.MaximumEventAgeInSeconds, 60);
    }
  });

  test('each generated function has a role of its own with what it needs, on named resources', () => {
    const arn = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] });
    assert.deepEqual(template.Resources.RocketmqCoordinatorLambdaFunction!.Properties.Role, {
      'Fn::Sub': `\${RocketmqCoordinatorRole.Arn}`,
    });
    assert.deepEqual(template.Resources.RocketmqPullerLambdaFunction!.Properties.Role, {
      'Fn::Sub': `\${RocketmqPullerRole.Arn}`,
    });
    const rights = (role: string) =>
      statementsOf(template, role).map(({ Action, Resource }) => [Action.join(), Resource]);
    // The second one is for items of earlier builds.
    assert.deepEqual(rights('RocketmqCoordinatorRole'), [
      ['logs:CreateLogStream,logs:PutLogEvents', arn('RocketmqCoordinatorLogGroup')],
      ['dynamodb:GetItem,dynamodb:Query,dynamodb:UpdateItem', arn('RocketmqTable')],
      ['dynamodb:GetItem,dynamodb:Query,dynamodb:UpdateItem', arn('RocketmqTable')],
      ['lambda:InvokeFunction', arn('RocketmqPullerLambdaFunction')],
    ]);
    assert.deepEqual(rights('RocketmqPullerRole'), [
      ['logs:CreateLogStream,logs:PutLogEvents', arn('RocketmqPullerLogGroup')],
      ['dynamodb:GetItem,dynamodb:Query,dynamodb:UpdateItem', arn('RocketmqTable')],
      ['lambda:InvokeFunction', [arn('OrdersLambdaFunction')]],
    ]);
    assert.deepEqual(rights('RocketmqOperatorRole'), [
      ['logs:CreateLogStream,logs:PutLogEvents', arn('RocketmqOperatorLogGroup')],
      ['dynamodb:GetItem,dynamodb:Query,dynamodb:UpdateItem', arn('RocketmqTable')],
      ['lambda:InvokeFunction', [arn('OrdersLambdaFunction')]],
    ]);
  });

  test('nothing of this machine is in the bundles', async () => {
    for (const key of KEYS) {
      const task = await unpack(ROOT, key);
      for (const name of task.names)
        assert.ok(
          !(await readFile(path.join(task.directory, name), 'utf8')).includes(ROOT),
          `${key}: ${name} holds ${ROOT}`,
        );
      assert.deepEqual(task.names, ['index.mjs', 'index.mjs.map']);
      await task.remove();
    }
  });

  test('packaging again makes the same zips', async () => {
    const again = await serverless(ROOT, ['package']);
    assert.equal(again.code, 0, again.output);
    assert.deepEqual(await hashZips(), hashes);
  });

  test('the bundles run without node_modules: a puller that is invoked too late returns at once', async () => {
    const task = await unpack(ROOT, 'rocketmqPuller');
    const request = {
      cluster: 'default',
      consumerGroup: 'order-worker',
      slot: 0,
      queues: [{ topic: 'orders', brokerName: 'broker-a', queueId: 0 }],
      notAfter: 1,
    };
    const result = await invoke(task.directory, request, { ROCKETMQ_TABLE: 'assignments' });
    await task.remove();
    assert.equal(result.code, 0, result.output);
    assert.match(result.output, /"requestId":"request-1"/);
    assert.match(result.output, /answered/);
  });

  test('a coordinator without its environment says which variable is missing', async () => {
    const task = await unpack(ROOT, 'rocketmqCoordinator');
    const result = await invoke(task.directory, {}, {});
    await task.remove();
    assert.equal(result.code, 1);
    assert.match(
      result.output,
      /ROCKETMQ_TABLE is missing: the serverless-rocketmq plugin sets it/,
    );
  });

  test('the handler runs from its zip', async () => {
    const task = await unpack(ROOT, 'orders');
    const record = (orderId: number, failTimes: number) => ({
      messageId: `m${orderId}`,
      body: JSON.stringify({ runId: 'r', orderId, failTimes }),
      receiptHandle: `orders/b/0/${orderId}`,
      rocketmq: { reconsumeTimes: 1 },
    });
    const result = await invoke(
      task.directory,
      { Records: [record(1, 0), record(2, 1), record(3, 2)] },
      {},
    );
    await task.remove();
    assert.match(
      result.output,
      /answered \{"batchItemFailures":\[\{"itemIdentifier":"orders\/b\/0\/3"\}\]\}/,
    );
  });
});

/** Loads a bundle in a process of its own and calls its handler. */
function invoke(directory: string, event: object, env: Record<string, string>) {
  const script = `
    const { handler } = await import('./index.mjs');
    const context = { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 60_000 };
    console.log('answered', JSON.stringify(await handler(${JSON.stringify(event)}, context)));`;
  return run(['--input-type=module', '-e', script], directory, {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    ...env,
  });
}
