import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { handleOnce as byCondition } from '../../sample/idempotent-dynamodb.ts';
import { handleOnce as byPowertools } from '../../sample/idempotent-powertools.ts';
import { failureRecord } from '../../src/delivery/failure-record.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import { createLambdaHandler } from '../../src/delivery/lambda-handler.ts';
import { redriveDeadLetters } from '../../src/dlq/redrive.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../src/index.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { MessageHandler } from '../../src/ports/invoke.ts';
import { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import { createIdempotencyTable } from '../support/idempotency-tables.ts';
import { localHandlerClient } from '../support/local-aws.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerSettings,
  RETRY,
} from '../support/puller-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const ENVIRONMENT = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_LAMBDA_FUNCTION_NAME: 'shop-dev-rocketmq-puller',
};
const RECIPES = { powertools: byPowertools, dynamodb: byCondition };
const HANDLER_MS = 1_500;

type Handler = (event: RocketMQEvent, context: Context) => unknown;

/** A handler as the puller calls it. */
interface Invocable {
  readonly messageHandler: MessageHandler;
  stop(): Promise<void>;
}

const contextOf = (timeoutMs: number): Context => {
  const endsAt = Date.now() + timeoutMs;
  return { getRemainingTimeInMillis: () => Math.max(0, endsAt - Date.now()) } as Context;
};

const INVOCATIONS: Record<string, (handler: Handler) => Promise<Invocable>> = {
  inline: async (handler) => ({
    messageHandler: createInlineHandler(handler as never, contextOf),
    stop: async () => {},
  }),
  /** Behind the Invoke API: the event and the answer as JSON, errors by their header. */
  function: async (handler) => {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        try {
          const event = JSON.parse(String(Buffer.concat(chunks))) as RocketMQEvent;
          response.end(JSON.stringify(await handler(event, contextOf(HANDLER_MS))) ?? 'null');
        } catch (error) {
          response.setHeader('x-amz-function-error', 'Unhandled');
          response.end(JSON.stringify({ errorType: 'Error', errorMessage: String(error) }));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = localHandlerClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return {
      messageHandler: createLambdaHandler(client, 'shop-dev-orders'),
      async stop() {
        client.destroy();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
};

describe('the recipes of docs/idempotency.md', {
  skip: missingStack('dynamodb'),
  concurrency: 1,
}, () => {
  let database: Awaited<ReturnType<typeof startDynamoDBLocal>>;
  let client: DynamoDBClient;
  const environment = { ...process.env };

  before(async () => {
    database = await startDynamoDBLocal();
    Object.assign(process.env, ENVIRONMENT, { AWS_ENDPOINT_URL_DYNAMODB: database.endpoint });
    client = new DynamoDBClient();
  });
  after(async () => {
    client?.destroy();
    await database?.stop();
    process.env = environment;
  });

  async function createTable(): Promise<string> {
    const tableName = `t-${Math.random().toString(36).slice(2)}`;
    await createIdempotencyTable(client, tableName);
    return tableName;
  }

  for (const [name, recipe] of Object.entries(RECIPES))
    for (const [invocation, invocable] of Object.entries(INVOCATIONS))
      describe(`${name}, ${invocation}`, { concurrency: 1 }, () => {
        /** One message, worked with the recipe; `around` is what happens to the call as a whole. */
        async function run(
          settings: PullerSettings,
          scenario: (parts: {
            world: Awaited<ReturnType<typeof createPullerWorld>>;
            worked: string[];
            deliveries: RocketMQRecord[];
            once: Handler;
            start: (handler: Handler, more?: PullerSettings) => Promise<void>;
          }) => Promise<void>,
          work: (body: unknown, worked: string[]) => Promise<void> = async (body, worked) => {
            worked.push(String(body));
          },
        ): Promise<void> {
          const world = await createPullerWorld();
          const started: Invocable[] = [];
          const worked: string[] = [];
          const deliveries: RocketMQRecord[] = [];
          const once = recipe(await createTable(), ({ data }) => work(data, worked)) as Handler;
          const start = async (handler: Handler, more: PullerSettings = {}): Promise<void> => {
            const one = await invocable(async (event, context) => {
              deliveries.push(...event.Records);
              return handler(event, context);
            });
            started.push(one);
            world.start(one.messageHandler, { queues: [at(0), RETRY], ...settings, ...more });
          };
          try {
            await world.prepare(1);
            await world.client.send(
              { topic: 'orders', body: Buffer.from('17'), properties: { TAGS: 'paid', own: 'x' } },
              { queue: at(0) },
            );
            await scenario({ world, worked, deliveries, once, start });
          } finally {
            await world.stop();
            for (const one of started) await one.stop();
          }
        }

        /** The answers of the first `times` calls are lost. */
        const losingAnswers = (once: Handler, times: number): Handler => {
          let calls = 0;
          return async (event, context) => {
            const answer = await once(event, context);
            if (++calls <= times) throw new Error('answer lost');
            return answer;
          };
        };
        const keysOf = (records: readonly RocketMQRecord[]) =>
          new Set(records.map(({ rocketmq }) => rocketmq.idempotencyKey));

        for (const [path, subscription] of Object.entries({
          'sent back': {},
          'again in place': { order: { by: 'queue', suspendCurrentQueueTimeMillis: 10 } },
        }))
          test(`${path}: worked once`, () =>
            run(
              { subscriptions: [{ timeoutMs: HANDLER_MS, ...subscription }] as never },
              async ({ world, worked, deliveries, once, start }) => {
                await start(losingAnswers(once, 2));
                await until(() => deliveries.length >= 3 && world.committed() === 1n, 'done');
                assert.deepEqual(worked, ['17']);
                assert.equal(keysOf(deliveries).size, 1);
              },
            ));

        test('a failure of the work is tried again', () =>
          run(
            {},
            async ({ worked, deliveries, once, start }) => {
              await start(once);
              await until(() => worked.length === 3, 'worked after two failures');
              assert.equal(deliveries.length, 3);
            },
            async (body, worked) => {
              worked.push(String(body));
              if (worked.length < 3) throw new Error('no database');
            },
          ));

        test('its puller dies behind the work: worked once', () =>
          run(
            { subscriptions: [{ timeoutMs: HANDLER_MS }] as never },
            async ({ world, worked, deliveries, once, start }) => {
              await start(
                async (event, context) => {
                  await once(event, context);
                  return new Promise(() => {});
                },
                { holder: 'mortal', options: { renewIntervalMs: 60_000 } },
              );
              await until(() => worked.length === 1, 'worked');
              await world.expire('mortal');
              await start(once, { holder: 'heir' });
              await until(
                () => deliveries.length >= 2 && world.committed() === 1n,
                'delivered again',
              );
              assert.deepEqual(worked, ['17']);
            },
          ));

        test('redriven from the DLQ, and replayed from a record of onFailure: worked once', () =>
          run(
            { subscriptions: [{ maximumRetryAttempts: 0 }] as never },
            async ({ world, worked, deliveries, once, start }) => {
              await start(losingAnswers(once, 1));
              await until(
                () => world.broker.messages(dlqTopic(GROUP)).length === 1,
                'dead-lettered',
              );
              const { redriven } = await redriveDeadLetters(world.client, GROUP);
              assert.equal(redriven, 1);
              await until(() => deliveries.length === 2, 'delivered again');
              const { payload } = JSON.parse(
                JSON.stringify(
                  failureRecord(deliveries[0] as RocketMQRecord, {
                    condition: 'RetryAttemptsExhausted',
                    requestId: 'r',
                    functionArn: 'f',
                    now: Date.now(),
                  }),
                ),
              );
              const answer = await once(payload, contextOf(HANDLER_MS));
              assert.deepEqual(answer, { batchItemFailures: [] });
              assert.deepEqual(worked, ['17']);
              assert.equal(keysOf(deliveries).size, 1);
            },
          ));

        test('two groups, one table: each works the message', () =>
          run({}, async ({ worked, deliveries, once, start }) => {
            await start(once);
            await until(() => worked.length === 1, 'worked by the first');
            const [record] = structuredClone(deliveries) as [RocketMQRecord];
            const { buildRecord } = await import('../../src/delivery/build-record.ts');
            const other = buildRecord(
              {
                ...record.rocketmq,
                msgId: record.messageId,
                commitLogOffset: 0n,
                queueOffset: 0n,
                bornHost: { address: '10.0.0.1', port: 1 },
                storeHost: { address: '10.0.0.1', port: 1 },
                body: Buffer.from(record.body),
                properties: new Map(Object.entries(record.rocketmq.properties)),
              } as never,
              {
                cluster: record.rocketmq.cluster,
                topic: record.rocketmq.topic,
                consumerGroup: 'mailer',
                region: 'eu-west-1',
                accountId: '123456789012',
                maxReconsumeTimes: 16,
                localRetries: 0,
                now: 0,
              },
            );
            await once({ Records: [other] } as never, contextOf(HANDLER_MS));
            assert.deepEqual(worked, ['17', '17']);
          }));

        test('timed out in the middle: worked when the time of the call is over', () => {
          let begun = 0;
          return run(
            { subscriptions: [{ timeoutMs: HANDLER_MS }] as never },
            async ({ worked, once, start }) => {
              await start(once);
              await until(() => worked.length === 1, 'worked', 20_000);
              assert.equal(begun, 2);
            },
            async (body, worked) => {
              if (++begun === 1) return new Promise(() => {});
              worked.push(String(body));
            },
          );
        });
      });
});
