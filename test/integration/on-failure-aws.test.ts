import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { createS3Destination } from '../../src/destinations/s3.ts';
import { createSnsDestination } from '../../src/destinations/sns.ts';
import { createSqsDestination } from '../../src/destinations/sqs.ts';
import type { FailureRecord, OnFailure } from '../../src/model/failure.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { countingMeter } from '../support/counting-meter.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerWorld,
  RETRY,
  recorder,
} from '../support/puller-world.ts';
import { missingPythonTools } from '../support/stack.ts';

const REGION = 'eu-west-1';

/** The clients as the bundled puller makes them, towards the SQS, SNS and S3 of moto; what arrived is read back from there. */
describe('onFailure at AWS (moto)', { skip: missingPythonTools() }, () => {
  let moto: Moto;
  let sqs: SQSClient;
  let sns: SNSClient;
  let s3: S3Client;
  let world: PullerWorld;
  before(async () => {
    moto = await startMoto(REGION);
    Object.assign(process.env, moto.env);
    [sqs, sns, s3] = [new SQSClient({}), new SNSClient({}), new S3Client({})];
  });
  after(async () => {
    for (const client of [sqs, sns, s3]) client?.destroy();
    await moto?.stop();
  });
  afterEach(() => world.stop());

  /** Every message fails, and its first failure is its last. */
  const fails = () =>
    recorder(({ Records }) => ({
      batchItemFailures: Records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
    }));
  const giveUp = async (onFailure: OnFailure, messages: number) => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(messages, 0, (n) => ({
      keys: [`order-${n}`],
      properties: { __SHARDINGKEY: 'customer-1' },
    }));
    const { counts, meter } = countingMeter();
    const destinations = {
      sqs: createSqsDestination(),
      sns: createSnsDestination(),
      s3: createS3Destination(),
    };
    const puller = world.start(fails().handler, {
      queues: [at(0), RETRY],
      holder: 'request-1',
      deps: { destinations, meter },
      subscriptions: [{ maximumRetryAttempts: 0, onFailure }],
    });
    while (world.committed() !== BigInt(messages)) await sleep(10);
    await puller.stop();
    return counts;
  };
  const createQueue = async (name: string, attributes: Record<string, string> = {}) => {
    const { QueueUrl } = await sqs.send(
      new CreateQueueCommand({ QueueName: name, Attributes: attributes }),
    );
    const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
    return { QueueUrl, arn: (await sqs.send(asked)).Attributes?.QueueArn ?? assert.fail('no ARN') };
  };
  const received = async (QueueUrl: string | undefined, count: number): Promise<Message[]> => {
    const all: Message[] = [];
    while (all.length < count) {
      const receive = {
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageSystemAttributeNames: ['All' as const],
        VisibilityTimeout: 300,
      };
      all.push(...((await sqs.send(new ReceiveMessageCommand(receive))).Messages ?? []));
    }
    return all;
  };
  const areTheMessages = (texts: readonly (string | undefined)[]) => {
    const records = texts.map((text) => JSON.parse(text ?? '') as FailureRecord);
    records.sort((a, b) => (a.payload.Records[0].body < b.payload.Records[0].body ? -1 : 1));
    assert.deepEqual(
      records.map(({ payload: { Records } }) => [Records[0].body, Records[0].rocketmq.keys]),
      records.map((_, n) => [String(n), [`order-${n}`]]),
    );
    for (const { requestContext, RocketMQBatchInfo } of records) {
      const story = {
        requestId: 'request-1',
        functionArn: 'handler',
        condition: 'RetryAttemptsExhausted',
        approximateInvokeCount: 1,
      };
      assert.deepEqual(requestContext, story);
      assert.deepEqual(
        [RocketMQBatchInfo.topic, RocketMQBatchInfo.consumerGroup],
        ['orders', GROUP],
      );
    }
    assert.deepEqual(world.broker.messages(dlqTopic(GROUP)), []);
  };

  test('a queue of SQS', async () => {
    const { QueueUrl, arn } = await createQueue('dead-orders');
    const counts = await giveUp({ type: 'sqs', arn }, 3);
    assert.equal(counts.OnFailureDestinationDeliveredEventCount, 3);
    areTheMessages((await received(QueueUrl, 3)).map(({ Body }) => Body));
  });

  test('a FIFO queue of SQS, its group the sharding key', async () => {
    const { QueueUrl, arn } = await createQueue('dead-orders.fifo', { FifoQueue: 'true' });
    await giveUp({ type: 'sqs', arn }, 3);
    const messages = await received(QueueUrl, 3);
    areTheMessages(messages.map(({ Body }) => Body));
    assert.deepEqual(
      new Set(messages.map(({ Attributes }) => Attributes?.MessageGroupId)),
      new Set(['customer-1']),
    );
    assert.equal(
      new Set(messages.map(({ Attributes }) => Attributes?.MessageDeduplicationId)).size,
      3,
    );
  });

  test('a topic of SNS, to which a queue is subscribed', async () => {
    const { QueueUrl, arn: Endpoint } = await createQueue('subscribed');
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'dead-orders' }));
    await sns.send(
      new SubscribeCommand({
        TopicArn,
        Protocol: 'sqs',
        Endpoint,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    );
    await giveUp({ type: 'sns', arn: TopicArn }, 3);
    areTheMessages((await received(QueueUrl, 3)).map(({ Body }) => Body));
  });

  test('a bucket of S3', async () => {
    const Bucket = 'dead-orders';
    await s3.send(
      new CreateBucketCommand({
        Bucket,
        CreateBucketConfiguration: { LocationConstraint: REGION },
      }),
    );
    await giveUp({ type: 's3', arn: `arn:aws:s3:::${Bucket}` }, 3);
    const { Contents = [] } = await s3.send(
      new ListObjectsV2Command({ Bucket, Prefix: `rocketmq/default/${GROUP}/orders/` }),
    );
    const texts = Contents.map(async ({ Key }) => {
      const { Body, ContentType } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      assert.equal(ContentType, 'application/json');
      return await Body?.transformToString();
    });
    areTheMessages(await Promise.all(texts));
  });

  for (const [name, onFailure] of Object.entries({
    queue: { type: 'sqs', arn: `arn:aws:sqs:${REGION}:123456789012:nowhere` },
    topic: { type: 'sns', arn: `arn:aws:sns:${REGION}:123456789012:nowhere` },
    bucket: { type: 's3', arn: 'arn:aws:s3:::nowhere' },
  } as const))
    test(`a ${name} that does not exist: the group’s DLQ has the message, with a named error`, async () => {
      const counts = await giveUp(onFailure, 1);
      assert.equal(world.broker.messages(dlqTopic(GROUP)).length, 1);
      assert.deepEqual(
        [
          counts.OnFailureDestinationDeliveryErrorCount,
          counts.OnFailureDestinationDeliveredEventCount,
        ],
        [1, undefined],
      );
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_ON_FAILURE'));
    });
});
