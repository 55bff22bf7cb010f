import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import middy from '@middy/core';
import sqsPartialBatchFailure from '@middy/sqs-partial-batch-failure';
import { createHandler } from '../../src/index.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { OrderConfig } from '../../src/model/source.ts';
import { at, createPullerWorld, GROUP, RETRY } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const GARBAGE = 'garbage';
let paid: string[] = [];

async function pay({ body }: { body: string }): Promise<void> {
  if (body === GARBAGE) throw new Error('no order');
  paid.push(body);
}

const processor = new BatchProcessor(EventType.SQS);
/** Handlers that answer with messageIds, as tools for SQS do. */
const HANDLERS: Record<string, (event: never, context: never) => unknown> = {
  'own, drop': async (event: { Records: { body: string; messageId: string }[] }) => ({
    batchItemFailures: event.Records.flatMap(({ body, messageId }) => {
      if (body === GARBAGE) return [{ itemIdentifier: messageId, action: 'drop' }];
      paid.push(body);
      return [];
    }),
  }),
  powertools: (event, context) =>
    processPartialResponse(event, pay as never, processor, {
      context,
      throwOnFullBatchFailure: false,
    } as never),
  middy: middy((event: { Records: { body: string }[] }) =>
    Promise.allSettled(event.Records.map(pay)),
  ).use(sqsPartialBatchFailure() as never) as never,
  createHandler: createHandler({ body: 'text', onFailure: () => {} }, ({ data }) =>
    pay({ body: data }),
  ) as never,
};

const ORDERS: Record<string, OrderConfig | undefined> = {
  none: undefined,
  queue: { by: 'queue', suspendCurrentQueueTimeMillis: 20 } as OrderConfig,
  key: { by: 'key', key: 'KEYS', suspendCurrentQueueTimeMillis: 20 } as OrderConfig,
};

describe('a producer that chooses ids', { concurrency: 1 }, () => {
  for (const [name, handler] of Object.entries(HANDLERS))
    for (const [order, config] of Object.entries(ORDERS))
      test(`${name}, order ${order}: another message is handled once`, async () => {
        paid = [];
        const world = await createPullerWorld();
        try {
          await world.prepare(1);
          const send = (body: string, UNIQ_KEY: string) =>
            world.client.send(
              { topic: 'orders', body: Buffer.from(body), properties: { UNIQ_KEY, KEYS: body } },
              { queue: at(0) },
            );
          await send('pay 1', 'ID-OF-1');
          await send('pay 2', 'ID-OF-2');
          // The place of another message, and ids that others have.
          for (const id of ['orders/broker-a/0/0', 'ID-OF-1', 'ID-OF-2', '__proto__'])
            await send(GARBAGE, id);
          world.start(handler as never, {
            queues: [at(0), RETRY],
            subscriptions: [{ maximumRetryAttempts: 0, ...(config && { order: config }) }] as never,
          });
          const letters = () => world.broker.messages(dlqTopic(GROUP));
          const dead = name === 'own, drop' ? 0 : 4;
          await until(() => letters().length >= dead && world.committed() === 6n, 'all have ends');
          assert.deepEqual(paid.toSorted(), ['pay 1', 'pay 2']);
          assert.equal(letters().length, dead);
          for (const { body } of letters()) assert.equal(body.toString(), GARBAGE);
        } finally {
          await world.stop();
        }
      });
});
