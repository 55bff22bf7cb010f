import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { readAnswer } from '../../../src/delivery/read-answer.ts';
import {
  createHandler,
  type FetchBody,
  MessageFailure,
  partialBatch,
  type RocketMQBatchResponse,
  type RocketMQEvent,
  type RocketMQEventOf,
  rocketmqRecords,
  type S3Pointer,
} from '../../../src/index.ts';
import { createRocketMQEvent, type EventMessage } from '../../../src/testing/index.ts';

const CONTEXT = {} as Context;
const quiet = { onFailure: () => {}, onInvalid: () => {} };
const event = (...messages: EventMessage[]) => createRocketMQEvent(messages);
const numbered = (count: number, more: (n: number) => Partial<EventMessage> = () => ({})) =>
  event(...Array.from({ length: count }, (_, n) => ({ body: { n }, ...more(n) })));
/** Positions that the puller would count as failed, with what becomes of them. */
const failuresOf = (answer: RocketMQBatchResponse | undefined, { Records }: RocketMQEvent) => {
  const verdict = readAnswer(answer, Records);
  return verdict.kind === 'read' ? [...verdict.failures] : verdict.reason;
};

describe('partialBatch', () => {
  test('what throws fails alone, with what the error says', async () => {
    const batch = numbered(5);
    const handler = partialBatch(({ body }) => {
      const { n } = JSON.parse(body) as { n: number };
      if (n === 1) throw new Error('no');
      if (n === 2) throw new MessageFailure('later', { delaySeconds: 30 });
      if (n === 3) throw new MessageFailure('never', { action: 'dlq' });
      // As ethers and HTTP clients have them: they say nothing of the message.
      if (n === 4) throw Object.assign(new Error('no'), { action: 'call', delaySeconds: 1.5 });
    }, quiet);
    assert.deepEqual(failuresOf(await handler(batch, CONTEXT), batch), [
      [1, 'default'],
      [2, { kind: 'seconds', seconds: 30 }],
      [3, { kind: 'dlq' }],
      [4, 'default'],
    ]);
    assert.deepEqual(await partialBatch(() => {})(batch, CONTEXT), { batchItemFailures: [] });
  });

  test('names the message that failed, whatever the function did to its record', async () => {
    const batch = numbered(3);
    const before = structuredClone(batch);
    const handler = partialBatch((record) => {
      const { n } = JSON.parse(record.body) as { n: number };
      record.receiptHandle = record.messageId = 'overwritten';
      if (n === 0) batch.Records.reverse();
      if (n === 1) throw new Error('no');
    }, quiet);
    assert.deepEqual(failuresOf(await handler(batch, CONTEXT), before), [[1, 'default']]);
  });

  test('at most `concurrency` at once, one after the other without it', async () => {
    for (const [concurrency, expected] of [
      [undefined, 1],
      [3, 3],
      [50, 10],
    ] as const) {
      let [now, most] = [0, 0];
      const handler = partialBatch(
        async () => {
          most = Math.max(most, ++now);
          await new Promise(setImmediate);
          now--;
        },
        concurrency === undefined ? {} : { concurrency },
      );
      await handler(numbered(10), CONTEXT);
      assert.equal(most, expected);
    }
    for (const concurrency of [0, -1, 1.5])
      assert.throws(() => partialBatch(() => {}, { concurrency }), RangeError);
  });

  test('in order: nothing behind what failed is handled, of its key or of its queue', async () => {
    const batch = numbered(6, (n) => ({ shardingKey: n % 2 === 0 ? 'even' : 'odd' }));
    const run = async (order: 'queue' | 'key') => {
      const seen: number[] = [];
      const handler = partialBatch(
        ({ body }) => {
          const { n } = JSON.parse(body) as { n: number };
          seen.push(n);
          if (n === 2) throw new Error('no');
        },
        { ...quiet, order, concurrency: 4 },
      );
      const answer = await handler(batch, CONTEXT);
      return {
        seen: seen.sort(),
        failed: (failuresOf(answer, batch) as [number, unknown][]).map(([position]) => position),
      };
    };
    assert.deepEqual(await run('queue'), { seen: [0, 1, 2], failed: [2, 3, 4, 5] });
    assert.deepEqual(await run('key'), { seen: [0, 1, 2, 3, 5], failed: [2, 4] });
  });

  test('keeps the order that the event has, whatever the key is', async () => {
    const key = (n: number) => (n % 2 === 0 ? 'even' : 'odd');
    const messages = Array.from({ length: 6 }, (_, n) => ({
      body: { n },
      shardingKey: 'one for all',
      keys: [key(n), `order-${n}`],
      properties: { tenant: key(n) },
    }));
    for (const options of [
      { order: 'queue' },
      { order: 'key', orderKey: 'KEYS' },
      { order: 'key', orderKey: 'tenant' },
      { order: 'key', orderKey: 'SHARDING_KEY' },
    ] as const) {
      const batch = createRocketMQEvent(messages, options);
      const seen: number[] = [];
      const handler = partialBatch(
        async ({ body }) => {
          const { n } = JSON.parse(body) as { n: number };
          await new Promise((resolve) => setTimeout(resolve, 10 - n));
          seen.push(n);
          if (n === 2) throw new Error('no');
        },
        { ...quiet, concurrency: 4 },
      );
      const answer = await handler(batch, CONTEXT);
      const isByTenant = options.order === 'key' && options.orderKey !== 'SHARDING_KEY';
      assert.deepEqual(seen.toSorted(), isByTenant ? [0, 1, 2, 3, 5] : [0, 1, 2]);
      assert.equal(answer.othersDone, options.order === 'key' ? true : undefined);
      const failed = (failuresOf(answer, batch) as [number, unknown][]).map(([at]) => at);
      assert.deepEqual(failed, isByTenant ? [2, 4] : [2, 3, 4, 5]);
    }
  });

  test('answers before the deadline: what is done is done, what is not has failed', async () => {
    const batch = numbered(6);
    const told: unknown[] = [];
    const started: number[] = [];
    const handler = partialBatch(
      async ({ body }) => {
        const { n } = JSON.parse(body) as { n: number };
        started.push(n);
        if (n === 1) await new Promise(() => {});
        if (n === 3) throw new Error('no');
        if (n === 4) await new Promise(() => {});
      },
      { concurrency: 2, onFailure: (error) => told.push((error as Error).message) },
    );
    const context = { getRemainingTimeInMillis: () => 300 } as Context;
    assert.deepEqual(failuresOf(await handler(batch, context), batch), [
      [1, 'default'],
      [3, 'default'],
      [4, 'default'],
      [5, 'default'],
    ]);
    assert.deepEqual(started, [0, 1, 2, 3, 4]);
    assert.deepEqual(told, [
      'no',
      ...Array.from({ length: 2 }, () => 'message not handled before the deadline'),
    ]);
  });

  test('without a key there is no order', async () => {
    const batch = numbered(3);
    const seen: unknown[] = [];
    await partialBatch(
      ({ body }) => {
        seen.push(body);
        throw new Error('no');
      },
      { ...quiet, order: 'key' },
    )(batch, CONTEXT);
    assert.equal(seen.length, 3);
  });
});

const order = z.object({ orderId: z.int() });

describe('createHandler', () => {
  test('gives each message its body by the schema; what is not so goes to the DLQ, and the handler does not see it', async () => {
    const batch = event(
      { body: { orderId: 1 } },
      { body: { orderId: 'one' } },
      { body: '{"orderId":' },
      { body: { orderId: 4 } },
    );
    const seen: number[] = [];
    const told: string[] = [];
    const handler = createHandler(
      { body: order, onInvalid: ({ message }) => told.push(message) },
      ({ data }) => {
        seen.push(data.orderId);
      },
    );
    assert.deepEqual(failuresOf(await handler(batch, CONTEXT), batch), [
      [1, { kind: 'dlq' }],
      [2, { kind: 'dlq' }],
    ]);
    assert.deepEqual(seen, [1, 4]);
    assert.match(told[0] ?? '', /its body is not as the schema says: orderId: .*number/);
    assert.match(told[1] ?? '', /its body is no JSON/);
  });

  test('text, bytes and JSON', async () => {
    const seen: unknown[] = [];
    const take = ({ data }: { data: unknown }) => void seen.push(data);
    const bytes = Buffer.from([0xff, 0x00, 0x7f]);
    await createHandler({ body: 'text' }, take)(event({ body: 'plain' }), CONTEXT);
    await createHandler({ body: 'binary' }, take)(
      event({ body: bytes }, { body: 'text' }),
      CONTEXT,
    );
    await createHandler({}, take)(event({ body: { n: 1 } }), CONTEXT);
    assert.deepEqual(seen, ['plain', bytes, Buffer.from('text'), { n: 1 }]);
    const binary = event({ body: bytes });
    const answer = await createHandler({ body: 'json', invalid: 'retry', ...quiet }, take)(
      binary,
      CONTEXT,
    );
    assert.deepEqual(failuresOf(answer, binary), [[0, 'default']]);
  });
});

describe('bodies in S3', () => {
  const s3Pointer = { bucket: 'large-orders', key: 'rocketmq-bodies/1' };
  const LARGE = JSON.stringify({ orderId: 17 });
  const objects: Record<string, Uint8Array> = {
    [s3Pointer.key]: Buffer.from(LARGE),
    bytes: Buffer.from([0xff, 0x00]),
  };
  const fetchBody = async ({ key }: S3Pointer) =>
    objects[key] ?? Promise.reject(new Error('NoSuchKey'));
  const batch = () =>
    event({ body: { orderId: 16 } }, { body: LARGE, s3Pointer }, { body: { orderId: 18 } });

  test('createHandler fetches them before they are parsed, in the batch’s order', async () => {
    const seen: number[] = [];
    const handler = createHandler(
      { body: order, fetchBody },
      ({ data, body, rocketmq, messageAttributes }) => {
        seen.push(data.orderId);
        if (data.orderId !== 17) return;
        assert.deepEqual(
          [body, rocketmq.s3Pointer, rocketmq.bodySize],
          [LARGE, undefined, LARGE.length],
        );
        assert.equal(messageAttributes.ExtendedPayloadSize, undefined);
      },
    );
    assert.deepEqual(await handler(batch(), CONTEXT), { batchItemFailures: [] });
    assert.deepEqual(seen, [16, 17, 18]);
    const binary: unknown[] = [];
    const bytes = event({
      body: Buffer.from([0xff, 0x00]),
      s3Pointer: { bucket: 'b', key: 'bytes' },
    });
    await createHandler({ body: 'binary', fetchBody }, ({ data }) => void binary.push(data))(
      bytes,
      CONTEXT,
    );
    assert.deepEqual(binary, [Buffer.from([0xff, 0x00])]);
  });

  test('without fetchBody, or when it fails, or gives something else, the message fails by name instead of being handled or given up', async () => {
    const failing = async (options: { fetchBody?: FetchBody }) => {
      const told: { code?: string; message?: string }[] = [];
      const handled: unknown[] = [];
      const records = batch();
      const handler = createHandler(
        { body: order, ...options, onFailure: (error) => told.push(error as Error) },
        ({ data }) => void handled.push(data),
      );
      const failed = failuresOf(await handler(records, CONTEXT), records);
      assert.ok(!JSON.stringify(failed).includes('dlq'), 'none is given up');
      assert.equal(told.length + handled.length, records.Records.length);
      return told;
    };
    const cases: [object, RegExp][] = [
      [{}, /s3:\/\/large-orders\/rocketmq-bodies\/1: give fetchBody/],
      [
        { fetchBody: async () => Promise.reject(new Error('away')) },
        /fetchBody failed with Error: away/,
      ],
      [
        { fetchBody: async () => Buffer.from('x') },
        /fetchBody gave 1 bytes, and the message had 14/,
      ],
    ];
    for (const [options, message] of cases) {
      const [error] = await failing(options);
      assert.equal(error?.code, 'ROCKETMQ_BODY_NOT_FETCHED');
      assert.match(error?.message ?? '', message);
    }
  });

  test('partialBatch fetches each before its turn: what cannot be fetched fails alone', async () => {
    const records = event(
      { body: LARGE, s3Pointer },
      { body: LARGE, s3Pointer: { ...s3Pointer, key: 'gone' } },
      { body: 'small' },
    );
    const bodies: string[] = [];
    const handler = partialBatch(({ body }) => void bodies.push(body), { ...quiet, fetchBody });
    assert.deepEqual(failuresOf(await handler(records, CONTEXT), records), [[1, 'default']]);
    assert.deepEqual(bodies, [LARGE, 'small']);
    const pointers: unknown[] = [];
    await partialBatch(({ rocketmq }) => void pointers.push(rocketmq.s3Pointer?.key))(
      records,
      CONTEXT,
    );
    assert.deepEqual(
      pointers,
      [s3Pointer.key, 'gone', undefined],
      'without fetchBody the handler has the pointers',
    );
  });
});

describe('rocketmqRecords under middy', () => {
  type OrderEvent = RocketMQEventOf<z.output<typeof order>>;
  const handlerOf = (
    handle: (event: OrderEvent, context: Context) => Promise<RocketMQBatchResponse | undefined>,
  ) => {
    const handler = middy<OrderEvent, RocketMQBatchResponse | undefined>()
      .use(rocketmqRecords({ body: order, ...quiet }))
      .handler(handle);
    // Lambda gives it the event as it comes.
    return async (batch: RocketMQEvent, context: Context) =>
      await handler(batch as OrderEvent, context);
  };

  test('joins its failures with the handler’s', async () => {
    const batch = event({ body: { orderId: 1 } }, { body: 'x' }, { body: { orderId: 3 } });
    const handler = handlerOf(
      partialBatch(({ data }: { data: { orderId: number } } & RocketMQEvent['Records'][number]) => {
        if (data.orderId === 3) throw new Error('no');
      }, quiet) as never,
    );
    assert.deepEqual(failuresOf(await handler(structuredClone(batch), CONTEXT), batch), [
      [2, 'default'],
      [1, { kind: 'dlq' }],
    ]);
  });

  test('a handler that answers nothing: only what could not be read failed', async () => {
    const batch = event({ body: { orderId: 1 } }, { body: 'x' });
    const handler = handlerOf(async () => undefined);
    assert.deepEqual(failuresOf(await handler(structuredClone(batch), CONTEXT), batch), [
      [1, { kind: 'dlq' }],
    ]);
  });

  test('a batch of which nothing can be read does not reach the handler', async () => {
    let called = false;
    const batch = event({ body: 'x' });
    const handler = handlerOf(async () => {
      called = true;
      return undefined;
    });
    assert.deepEqual(failuresOf(await handler(structuredClone(batch), CONTEXT), batch), [
      [0, { kind: 'dlq' }],
    ]);
    assert.equal(called, false);
  });

  test('a handler that throws fails the batch as always', async () => {
    const handler = handlerOf(async () => {
      throw new Error('database away');
    });
    await assert.rejects(handler(event({ body: { orderId: 1 } }), CONTEXT), /database away/);
  });

  test('an answer that is none stays one, also when a body is not as it should be', async () => {
    const wrong: unknown[] = [
      ['rejected', 'fulfilled'],
      { batchItemFailure: [{ itemIdentifier: 'x' }] },
      { statusCode: 500 },
      { batchItemFailures: {} },
      { batchItemFailures: 'x' },
      { suspendCurrentQueueTimeMillis: 10 },
      new Map(),
      'OK',
      0,
    ];
    for (const answer of wrong) {
      const batch = event({ body: { orderId: 1 } }, { body: 'x' });
      const handler = handlerOf(async () => answer as RocketMQBatchResponse);
      const given = await handler(structuredClone(batch), CONTEXT);
      assert.equal(readAnswer(given, batch.Records).kind, 'invalid', JSON.stringify(answer));
    }
    for (const answer of [undefined, null, {}, { batchItemFailures: null }]) {
      const batch = event({ body: { orderId: 1 } }, { body: 'x' });
      const handler = handlerOf(async () => answer as RocketMQBatchResponse);
      const given = await handler(structuredClone(batch), CONTEXT);
      assert.deepEqual(failuresOf(given, batch), [[1, { kind: 'dlq' }]]);
    }
  });

  test('keeps its failures where a later middleware replaces the event', async () => {
    const batch = event({ body: { orderId: 1 } }, { body: 'x' });
    const handler = middy<OrderEvent, RocketMQBatchResponse | undefined>()
      .use(rocketmqRecords({ body: order, ...quiet }))
      .use({
        before(request) {
          request.event = structuredClone(request.event);
        },
      })
      .handler(async () => undefined);
    const given = await handler(structuredClone(batch) as unknown as OrderEvent, CONTEXT);
    assert.deepEqual(failuresOf(given, batch), [[1, { kind: 'dlq' }]]);
  });

  test('in order: what lies behind a body that is not as it should be waits for it', async () => {
    const bodies = [{ orderId: 0 }, 'x', { orderId: 2 }, { orderId: 3 }];
    const messages = bodies.map((body, n) => ({ body, shardingKey: n % 2 === 0 ? 'even' : 'odd' }));
    for (const [order, handled, failed] of [
      ['none', [0, 2, 3], [1]],
      ['key', [0, 2], [1, 3]],
      ['queue', [0], [1, 2, 3]],
    ] as const) {
      const batch = createRocketMQEvent(messages, { order });
      const seen: number[] = [];
      const handler = handlerOf(async ({ Records }) => {
        seen.push(...Records.map(({ data }) => data.orderId));
        return undefined;
      });
      const answer = await handler(structuredClone(batch), CONTEXT);
      assert.deepEqual(seen, handled, order);
      const positions = (failuresOf(answer, batch) as [number, unknown][]).map(([at]) => at);
      assert.deepEqual(positions, failed, order);
      assert.equal(answer?.othersDone, order === 'key' ? true : undefined, order);
    }
  });
});
