import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import type { Context, SQSRecord } from 'aws-lambda';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { type IdempotencyTables, startIdempotencyTables } from '../support/idempotency-tables.ts';
import { at, createPullerWorld, GROUP, RETRY } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Keys of docs/failures.md. */
const BY_ID = 'messageId';
const BY_CONTENT = '[eventSourceARN, messageId, body]';

/** A producer knows the ids of the messages that another is about to send, and sends its own under them first. */
describe('Powertools Idempotency, and a producer that guesses ids', { concurrency: 1 }, () => {
  let tables: IdempotencyTables;
  before(async () => {
    process.env.AWS_LAMBDA_FUNCTION_NAME ??= 'settle';
    tables = await startIdempotencyTables();
  });
  after(() => tables?.stop());

  /** What is worked, of each pair of a hostile message and a real one of the same id. The real ones are delivered twice. */
  async function worked(eventKeyJmesPath: string, ids: readonly string[]): Promise<string[]> {
    const tableName = `t-${Math.random().toString(36).slice(2)}`;
    await tables.create(tableName);
    const seen: string[] = [];
    const config = new IdempotencyConfig({ eventKeyJmesPath, hashFunction: 'sha256' });
    const once = makeIdempotent(
      async ({ body }: SQSRecord) => {
        seen.push(body);
        return body;
      },
      {
        persistenceStore: new DynamoDBPersistenceLayer({
          tableName,
          awsSdkV3Client: tables.client,
        }),
        config,
        dataIndexArgument: 0,
      },
    );
    const deliveries = new Map<string, number>();
    const settle = async (record: SQSRecord): Promise<void> => {
      const { body } = record;
      await once(record);
      deliveries.set(body, (deliveries.get(body) ?? 0) + 1);
      if (body.startsWith('real') && deliveries.get(body) === 1) throw new Error('answer lost');
    };
    const processor = new BatchProcessor(EventType.SQS);
    const context = { functionName: 'settle', getRemainingTimeInMillis: () => 30_000 } as Context;
    const handler = (event: never) => {
      config.registerLambdaContext(context);
      return processPartialResponse(event, settle as never, processor, {
        context,
        throwOnFullBatchFailure: false,
      } as never);
    };
    const world = await createPullerWorld();
    try {
      await world.prepare(1);
      const send = (body: string, UNIQ_KEY: string) =>
        world.client.send(
          { topic: 'orders', body: Buffer.from(body), properties: { UNIQ_KEY } },
          { queue: at(0) },
        );
      for (const [index, id] of ids.entries()) {
        await send(`hostile ${index}`, id);
        await send(`real ${index}`, id);
      }
      world.start(handler as never, { queues: [at(0), RETRY] });
      const twice = () => ids.every((_, index) => (deliveries.get(`real ${index}`) ?? 0) > 1);
      await until(twice, 'the real ones are delivered twice', 15_000);
      assert.equal(world.broker.messages(dlqTopic(GROUP)).length, 0);
      return seen.sort();
    } finally {
      await world.stop();
    }
  }

  test('by messageId alone the real message is skipped, as docs/failures.md says', async () => {
    assert.deepEqual(await worked(BY_ID, ['ORDER-17']), ['hostile 0']);
  });

  test('by source, messageId and body each real message is worked, and once', async () => {
    const ids = ['ORDER-17', '__proto__', 'orders/broker-a/0/1', '["a","b"]', 'é'.repeat(2_000)];
    const both = ids.flatMap((_, index) => [`hostile ${index}`, `real ${index}`]);
    assert.deepEqual(await worked(BY_CONTENT, ids), both.sort());
  });
});
