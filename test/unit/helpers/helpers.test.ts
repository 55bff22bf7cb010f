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
      if (n === 3) throw Object.assign(new Error('never'), { action: 'dlq' });
    }, quiet);
    assert.deepEqual(failuresOf(await handler(batch, CONTEXT), batch), [
      [1, 'default'],
      [2, { kind: 'seconds', seconds: 30 }],
      [3, { kind: 'dlq' }],
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

  test('without fetchBody, or when it fails, or gives something else, the batch fails by name instead of being handled or given up', async () => {
    const run = (options: { fetchBody?: FetchBody }) =>
      createHandler({ body: order, ...options }, () => assert.fail('handled'))(batch(), CONTEXT);
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
    for (const [options, message] of cases)
      await assert.rejects(run(options), { code: 'ROCKETMQ_BODY_NOT_FETCHED', message });
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
});
