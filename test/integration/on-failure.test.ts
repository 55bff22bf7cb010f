import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailureRecord } from '../../src/model/failure.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { countingMeter } from '../support/counting-meter.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerWorld,
  RETRY,
  recorder,
} from '../support/puller-world.ts';

const ARN = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';
const HANDLER = {
  ...{ functionKey: 'h', functionName: 'h', timeout: 1 },
  invocation: 'inline',
} as const;

describe('onFailure', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  const allFail = () =>
    recorder(({ Records }) => ({
      batchItemFailures: Records.map(({ receiptHandle }) => ({ itemIdentifier: receiptHandle })),
    }));
  const dlq = () => world.broker.messages(dlqTopic(GROUP));
  const destination = (fails = false) => {
    const records: FailureRecord[] = [];
    const deliver = async (arn: string, record: FailureRecord) => {
      if (fails) throw new Error('AccessDenied');
      assert.equal(arn, ARN);
      records.push(structuredClone(record));
    };
    return { records, destinations: { sqs: { deliver } } };
  };

  test('the destination gets the message with its story when retries are exhausted, and the DLQ stays empty', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(3, 0, (n) => ({ keys: [`order-${n}`] }));
    const { records, destinations } = destination();
    const { counts, meter } = countingMeter();
    const puller = world.start(allFail().handler, {
      queues: [at(0), RETRY],
      holder: 'request-1',
      deps: { destinations, meter },
      subscriptions: [{ maximumRetryAttempts: 1, onFailure: { type: 'sqs', arn: ARN } }],
    });
    while (records.length < 3 || world.committed(RETRY) !== 3n) await sleep(10);
    await puller.stop();
    assert.deepEqual(dlq(), []);
    const [first] = records.toSorted((a, b) =>
      a.payload.Records[0].body < b.payload.Records[0].body ? -1 : 1,
    );
    assert.deepEqual(first?.requestContext, {
      requestId: 'request-1',
      functionArn: 'handler',
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 2,
    });
    assert.equal(first?.RocketMQBatchInfo.topic, 'orders');
    assert.deepEqual(first?.payload.Records[0].rocketmq.keys, ['order-0']);
    assert.deepEqual(
      [
        counts.OnFailureDestinationDeliveredEventCount,
        counts.DeadLetteredEventCount,
        counts.RetriedEventCount,
      ],
      [3, 3, 3],
    );
  });

  test('a handler’s own verdict, and age', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(2);
    const { records, destinations } = destination();
    const rejects = recorder(({ Records }) => ({
      batchItemFailures: Records.map(({ messageId }) => ({
        itemIdentifier: messageId,
        action: 'dlq',
      })),
    }));
    const options = {
      deps: { destinations },
      subscriptions: [{ onFailure: { type: 'sqs', arn: ARN } as const }],
    };
    const puller = world.start(rejects.handler, options);
    while (world.committed() !== 2n) await sleep(10);
    await puller.stop();
    assert.deepEqual(
      records.map(({ requestContext }) => requestContext.condition),
      ['RejectedByHandler', 'RejectedByHandler'],
    );
    assert.deepEqual(dlq(), []);
  });

  for (const [mode, order] of [
    ['unordered', undefined],
    ['ordered', { by: 'queue', suspendCurrentQueueTimeMillis: 30 }],
  ] as const)
    test(`${mode}: a destination that hangs at the end of the invocation leaves the message to the next holder`, async () => {
      world = await createPullerWorld();
      await world.prepare(1);
      await world.produce(3);
      let leftMs: number | undefined;
      const endsAt = Date.now() + 9_500;
      const hangs = {
        deliver: (_arn: string, _record: FailureRecord, options?: { signal?: AbortSignal }) => {
          options?.signal?.addEventListener('abort', () => {
            leftMs = endsAt - Date.now();
          });
          return new Promise<never>(() => {});
        },
      };
      const rejects = recorder(({ Records }) => ({
        batchItemFailures: Records.filter(({ body }) => body === '1').map(({ messageId }) => ({
          itemIdentifier: messageId,
        })),
      }));
      const settings = {
        subscriptions: [
          {
            onFailure: { type: 'sqs', arn: ARN } as const,
            maximumRetryAttempts: 0,
            handler: HANDLER,
            ...(order && { order }),
          },
        ],
      };
      const { reason } = (
        await world.start(rejects.handler, {
          ...settings,
          deps: { destinations: { sqs: hangs }, remainingMs: () => endsAt - Date.now() },
        }).report
      ).queues[0]!;
      assert.equal(reason, 'deadline', JSON.stringify(world.logs));
      assert.ok(leftMs !== undefined && leftMs > 0, `aborted ${leftMs} ms before the end`);
      assert.equal((await world.assignmentOf()).lease, undefined, 'released');
      assert.equal(world.committed(), 1n, 'what was done before it is committed');
      assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_ON_FAILURE'));
      const seen = rejects.bodies.length;
      const { records, destinations } = destination();
      const next = world.start(rejects.handler, { ...settings, deps: { destinations } });
      while (world.committed() !== 3n) await sleep(10);
      await next.stop();
      assert.deepEqual(
        records.map(({ payload }) => payload.Records[0].body),
        ['1'],
      );
      assert.ok(!rejects.bodies.slice(seen).includes('1'), 'no handler gets it again');
      assert.deepEqual(dlq(), []);
    });

  for (const by of ['queue', 'key'] as const)
    test(`in order by ${by}: at the limit, in its place`, async () => {
      world = await createPullerWorld();
      await world.prepare(1);
      await world.produce(3, 0, () => ({ properties: { __SHARDINGKEY: 'a' } }));
      const { records, destinations } = destination();
      const fails = recorder(({ Records }) => ({
        batchItemFailures: Records.filter(({ body }) => body === '1').map(({ messageId }) => ({
          itemIdentifier: messageId,
        })),
      }));
      const puller = world.start(fails.handler, {
        deps: { destinations },
        subscriptions: [
          {
            batchSize: 1,
            maximumRetryAttempts: 1,
            order: { by, key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 10 },
            onFailure: { type: 'sqs', arn: ARN },
          },
        ],
      });
      while (world.committed() !== 3n) await sleep(10);
      await puller.stop();
      assert.deepEqual(fails.bodies, ['0', '1', '1', '2']);
      assert.deepEqual(
        records.map(({ payload, requestContext }) => [
          payload.Records[0].body,
          requestContext.condition,
        ]),
        [['1', 'RetryAttemptsExhausted']],
      );
      assert.deepEqual(dlq(), []);
    });

  test('another topic of the cluster gets the message as it was, and where it came from', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    world.broker.createTopic('dead-orders', { queues: 1 });
    await world.produce(1, 0, () => ({
      tags: 'paid',
      keys: ['order-0'],
      properties: { tenant: 'acme' },
    }));
    const puller = world.start(allFail().handler, {
      subscriptions: [
        { maximumRetryAttempts: 0, onFailure: { type: 'topic', topic: 'dead-orders' } },
      ],
    });
    while (world.committed() !== 1n) await sleep(10);
    await puller.stop();
    const [dead] = world.broker.messages('dead-orders');
    const [sent] = world.broker.messages('orders');
    assert.equal(String(dead?.body), String(sent?.body));

    const properties = ['TAGS', 'KEYS', 'tenant', 'DLQ_ORIGIN_TOPIC'].map((name) =>
      dead?.properties.get(name),
    );
    assert.deepEqual(properties, ['paid', 'order-0', 'acme', 'orders']);
    assert.equal(
      dead?.properties.get('UNIQ_KEY'),
      sent?.properties.get('UNIQ_KEY'),
      'the id stays',
    );
    assert.deepEqual(dlq(), []);
  });

  test('a destination that does not take it: the group’s DLQ does, with a named error', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(1);
    const { counts, meter } = countingMeter();
    const puller = world.start(allFail().handler, {
      deps: { destinations: destination(true).destinations, meter },
      subscriptions: [{ maximumRetryAttempts: 0, onFailure: { type: 'sqs', arn: ARN } }],
    });
    while (world.committed() !== 1n) await sleep(10);
    await puller.stop();
    assert.equal(dlq().length, 1);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_ON_FAILURE'));
    assert.equal(counts.OnFailureDestinationDeliveryErrorCount, 1);
    assert.equal(counts.OnFailureDestinationDeliveredEventCount, undefined);
  });
});
