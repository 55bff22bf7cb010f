import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  BatchProcessor,
  EventType,
  processPartialResponse,
  SqsFifoPartialProcessorAsync,
} from '@aws-lambda-powertools/batch';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { parse } from '@aws-lambda-powertools/parser';
import { JSONStringified } from '@aws-lambda-powertools/parser/helpers';
import { parser } from '@aws-lambda-powertools/parser/middleware';
import { SqsRecordSchema, SqsSchema } from '@aws-lambda-powertools/parser/schemas/sqs';
import middy from '@middy/core';
import eventNormalizer from '@middy/event-normalizer';
import sqsPartialBatchFailure from '@middy/sqs-partial-batch-failure';
import type { Context, SQSEvent, SQSRecord } from 'aws-lambda';
import { z } from 'zod';
import { readAnswer } from '../../src/delivery/read-answer.ts';
import {
  RocketMQAttributesSchema,
  RocketMQEventSchema,
  RocketMQRecordSchema,
} from '../../src/helpers/schemas.ts';
import type { RocketMQEvent } from '../../src/index.ts';
import { createRocketMQEvent } from '../../src/testing/index.ts';
import { type IdempotencyTables, startIdempotencyTables } from '../support/idempotency-tables.ts';
import eventBatchHandler from '../vendor/middy/event-batch-handler/index.js';
import eventBatchParser from '../vendor/middy/event-batch-parser/index.js';
import parseJson from '../vendor/middy/event-batch-parser/parseJson.js';
import eventBatchResponse from '../vendor/middy/event-batch-response/index.js';

/** Tools that were made for SQS, on our events as they are delivered: what they answer is read as the puller reads it. */
describe('tools for SQS handlers work unchanged', () => {
  const context = { functionName: 'settle', getRemainingTimeInMillis: () => 30_000 } as Context;
  const batch = (...bodies: unknown[]) =>
    createRocketMQEvent(
      bodies.map((body, n) => ({
        body,
        shardingKey: `key-${n % 2}`,
        properties: { tenant: 'acme' },
      })),
    );
  const failed = (answer: unknown, { Records }: RocketMQEvent) => {
    const verdict = readAnswer(answer, Records);
    return verdict.kind === 'read' ? [...verdict.failures.keys()] : verdict.reason;
  };
  const settle = async ({ body }: SQSRecord) => {
    if (body === 'bad') throw new Error('bad');
  };

  test('Powertools BatchProcessor', async () => {
    const event = batch('a', 'bad', 'c');
    const answer = await processPartialResponse(
      event as SQSEvent,
      settle,
      new BatchProcessor(EventType.SQS),
      { context },
    );
    assert.deepEqual(failed(answer, event), [1]);
  });

  test('Powertools BatchProcessor: a batch that failed whole is an error of the function', async () => {
    const event = batch('bad', 'bad');
    await assert.rejects(
      processPartialResponse(event as SQSEvent, settle, new BatchProcessor(EventType.SQS), {
        context,
      }),
      {
        name: 'FullBatchFailureError',
      },
    );
  });

  test('Powertools SqsFifoPartialProcessorAsync: the sharding key is the message group', async () => {
    const event = batch('a', 'bad', 'c', 'd');
    const answer = await processPartialResponse(
      event as SQSEvent,
      settle,
      new SqsFifoPartialProcessorAsync(),
      {
        context,
        skipGroupOnError: true,
      },
    );
    assert.deepEqual(failed(answer, event), [1, 3]);
    // docs/failures.md#order: it goes on with other keys, and does not say so.
    assert.ok(!('othersDone' in answer));
  });

  test('Powertools parser’s SqsSchema', () => {
    const { Records } = SqsSchema.parse(batch('a'));
    assert.equal(Records[0]?.body, 'a');
  });

  describe('Powertools parser with the schemas of serverless-rocketmq/schemas', () => {
    const event = () =>
      createRocketMQEvent([
        { body: { orderId: 17 }, keys: ['k'], tags: 'paid', properties: { tenant: 'acme' } },
      ]);

    test('keeps the rocketmq block, which SqsSchema leaves out', async () => {
      assert.ok(!('rocketmq' in (SqsSchema.parse(event()).Records[0] ?? {})));
      const given = event();
      let seen: unknown;
      const handler = middy<RocketMQEvent, void>()
        .use(parser({ schema: RocketMQEventSchema }))
        .handler(async (parsed) => {
          seen = parsed;
        });
      await handler(structuredClone(given), context);
      assert.deepEqual(seen, given);
      const pointing = createRocketMQEvent([{ body: 'x', s3Pointer: { bucket: 'b', key: 'k' } }]);
      assert.deepEqual(parse(pointing, undefined, RocketMQEventSchema), pointing);
    });

    test('takes the schema of a body, and keeps what a later version adds', () => {
      const order = RocketMQRecordSchema.extend({
        body: JSONStringified(z.object({ orderId: z.int() })),
      });
      const schema = RocketMQEventSchema.extend({ Records: z.array(order) });
      const given = event();
      Object.assign(given.Records[0]?.rocketmq ?? {}, { later: true });
      const [record] = parse(given, undefined, schema).Records;
      assert.deepEqual(
        [
          record?.body.orderId,
          record?.rocketmq.keys,
          Object.hasOwn(record?.rocketmq ?? {}, 'later'),
        ],
        [17, ['k'], true],
      );
      assert.throws(
        () => parse(createRocketMQEvent([{ body: { orderId: 'one' } }]), undefined, schema),
        { name: 'ParseError' },
      );
    });

    test('Powertools’ own record with our block', () => {
      const record = SqsRecordSchema.extend({ rocketmq: RocketMQAttributesSchema }).parse(
        event().Records[0],
      );
      assert.deepEqual(record.rocketmq.keys, ['k']);
    });

    test('refuses what is no record of ours', () => {
      const [record] = event().Records;
      for (const wrong of [{ rocketmq: undefined }, { eventSource: 'aws:kinesis' }, { body: 1 }])
        assert.equal(RocketMQRecordSchema.safeParse({ ...record, ...wrong }).success, false);
    });
  });

  test('middy sqs-partial-batch-failure', async () => {
    const event = batch('a', 'bad', 'c');
    const handler = middy<SQSEvent, unknown>()
      .use(sqsPartialBatchFailure({ logger: () => {} }))
      .handler(({ Records }) => Promise.allSettled(Records.map(settle)));
    assert.deepEqual(
      failed(await handler(structuredClone(event) as SQSEvent, context), event),
      [1],
    );
  });

  test('middy event-normalizer parses JSON bodies', async () => {
    let seen: unknown;
    const handler = middy<SQSEvent, void>()
      .use(eventNormalizer())
      .handler(async ({ Records }) => {
        seen = Records[0]?.body;
      });
    await handler(batch({ orderId: 17 }) as SQSEvent, context);
    assert.deepEqual(seen, { orderId: 17 });
  });

  test('middy event-batch-handler with event-batch-response', async () => {
    const event = batch('a', 'bad', 'c');
    const seen: string[] = [];
    const handler = middy<SQSEvent, unknown>()
      .use(eventBatchResponse())
      .handler(
        eventBatchHandler<SQSRecord>(async (record) => {
          seen.push(record.body);
          await settle(record);
        }),
      );
    assert.deepEqual(
      failed(await handler(structuredClone(event) as SQSEvent, context), event),
      [1],
    );
    assert.deepEqual(seen, ['a', 'bad', 'c']);
    const good = batch('a', 'c');
    assert.deepEqual(await handler(structuredClone(good) as SQSEvent, context), {
      batchItemFailures: [],
    });
  });

  test('middy event-batch-response: a handler that throws fails its whole batch', async () => {
    const event = batch('a', 'c');
    const handler = middy<SQSEvent, unknown>()
      .use(eventBatchResponse())
      .handler(async () => {
        throw new Error('database away');
      });
    assert.deepEqual(
      failed(await handler(structuredClone(event) as SQSEvent, context), event),
      [0, 1],
    );
  });

  test('middy event-batch-parser parses bodies', async () => {
    let seen: unknown[] = [];
    const handler = middy<SQSEvent, void>()
      .use(eventBatchParser({ body: parseJson() }))
      .handler(async ({ Records }) => {
        seen = Records.map(({ body }) => body);
      });
    await handler(batch({ orderId: 17 }, { orderId: 18 }) as SQSEvent, context);
    assert.deepEqual(seen, [{ orderId: 17 }, { orderId: 18 }]);
  });

  describe('Powertools Idempotency', () => {
    let tables: IdempotencyTables;
    before(async () => {
      tables = await startIdempotencyTables();
      await tables.create('idempotency');
    });
    after(() => tables?.stop());

    test('by messageId a redelivery is not worked twice', async () => {
      process.env.AWS_LAMBDA_FUNCTION_NAME ??= 'settle';
      const worked: string[] = [];
      const config = new IdempotencyConfig({ eventKeyJmesPath: 'messageId' });
      config.registerLambdaContext(context);
      const once = makeIdempotent(
        async (record: SQSRecord) => {
          worked.push(record.body);
          return record.body;
        },
        {
          persistenceStore: new DynamoDBPersistenceLayer({
            tableName: 'idempotency',
            awsSdkV3Client: tables.client,
          }),
          config,
          dataIndexArgument: 0,
        },
      );
      const deliver = (reconsumeTimes: number, queueOffset: number) =>
        createRocketMQEvent(
          [{ body: 'order 17', messageId: 'AC1A2B3C00002A9F0000000000001267', reconsumeTimes }],
          { queueOffset },
        );
      const processor = () => new BatchProcessor(EventType.SQS);
      for (const event of [deliver(0, 4711), deliver(1, 5)])
        assert.deepEqual(
          await processPartialResponse(
            event as SQSEvent,
            (record: SQSRecord) => once(record),
            processor(),
            { context },
          ),
          {
            batchItemFailures: [],
          },
        );
      assert.deepEqual(worked, ['order 17'], 'another place in another queue, the same message');
    });
  });
});
