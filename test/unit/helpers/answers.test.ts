import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import middy from '@middy/core';
import sqsPartialBatchFailure from '@middy/sqs-partial-batch-failure';
import type { Context } from 'aws-lambda';
import { build } from 'esbuild';
import fc from 'fast-check';
import { readAnswer } from '../../../src/delivery/read-answer.ts';
import {
  createHandler,
  MessageFailure,
  partialBatch,
  type RocketMQBatchResponse,
  type RocketMQEvent,
  rocketmqRecords,
} from '../../../src/index.ts';
import { createRocketMQEvent, type EventMessage } from '../../../src/testing/index.ts';

const CONTEXT = {} as Context;
const SEED = 20_261_127;
const quiet = { onFailure: () => {}, onInvalid: () => {} };
const numbered = (count: number, more: (n: number) => Partial<EventMessage> = () => ({})) =>
  createRocketMQEvent(Array.from({ length: count }, (_, n) => ({ body: { n }, ...more(n) })));
/** A handler behind middlewares, whatever types they have. */
const behind = (middlewares: readonly unknown[], handle: unknown) => {
  const handler = middy()
    .use(middlewares as middy.MiddlewareObj[])
    .handler(handle as never);
  return async (event: unknown, context: Context) =>
    (await handler(event as never, context)) as RocketMQBatchResponse;
};
const numberOf = ({ body }: { readonly body: string }): number =>
  (JSON.parse(body) as { n: number }).n;

/** Both ways to the puller: inline as it is, of a function as its runtime posts it. */
const WAYS: Readonly<Record<string, (answer: unknown) => unknown>> = {
  inline: (answer) => answer,
  function: (answer) => JSON.parse(JSON.stringify(answer) ?? 'null'),
};

/** By position: what becomes of each message that failed; a text: the answer is wrong. */
function verdictOf(answer: unknown, { Records }: RocketMQEvent, way = 'inline') {
  const verdict = readAnswer(WAYS[way]?.(answer), Records);
  return verdict.kind === 'read' ? Object.fromEntries(verdict.failures) : 'wrong';
}

describe('what helpers believe of what is thrown', () => {
  /** Message 1 of three fails with it. */
  async function thrownBy(thrown: unknown) {
    const batch = numbered(3);
    const handler = partialBatch((record) => {
      if (numberOf(record) === 1) throw thrown;
    }, quiet);
    const answer = await handler(batch, CONTEXT);
    const [inline, asFunction] = Object.keys(WAYS).map((way) => verdictOf(answer, batch, way));
    assert.deepEqual(inline, asFunction);
    return inline;
  }

  test('a MessageFailure, also of a subclass with a name of its own', async () => {
    class NotYetPaid extends MessageFailure {
      constructor() {
        super('not yet paid', { delaySeconds: 60 });
        this.name = 'NotYetPaid';
      }
    }
    assert.deepEqual(await thrownBy(new NotYetPaid()), { 1: { kind: 'seconds', seconds: 60 } });
  });

  test('a MessageFailure of another copy of this package, in this realm and in another', async () => {
    const { outputFiles } = await build({
      entryPoints: [new URL('../../../src/helpers/message-failure.ts', import.meta.url).pathname],
      ...{ bundle: true, write: false, minify: true, format: 'iife', globalName: 'copy' },
    });
    const code = `${outputFiles[0]?.text}; new copy.MessageFailure('never', { action: 'dlq' })`;
    const here = runInNewContext(code, { Error, Object }) as MessageFailure;
    assert.notEqual(here.constructor, MessageFailure);
    const there = runInNewContext(code) as MessageFailure;
    assert.ok(!(there instanceof Error));
    for (const failure of [here, there])
      assert.deepEqual(await thrownBy(failure), { 1: { kind: 'dlq' } });
  });

  test('nothing else, whatever fields and whatever name it has', async () => {
    const fields = { action: 'drop', delaySeconds: 30 };
    const named = Object.assign(new Error('no'), { name: 'MessageFailure', action: 'drop' });
    for (const thrown of [
      Object.assign(new Error('no'), { action: 'drop' }),
      named,
      Object.assign(new RangeError('no', { cause: new MessageFailure('x', { action: 'drop' }) })),
      new AggregateError([new MessageFailure('x', { action: 'drop' })]),
      { ...fields },
      { name: 'MessageFailure', action: 'drop' },
      'drop',
      null,
      undefined,
      Symbol('drop'),
      new Proxy(new Error('no'), { get: () => assert.fail('no field') }),
    ])
      assert.deepEqual(await thrownBy(thrown), { 1: 'default' }, inspect(thrown));
  });

  test('a value that cannot be followed, or not be written as JSON, fails its message by default', async () => {
    const circular: Record<string, unknown> = {};
    circular.itself = circular;
    for (const value of [
      ...[1n, Symbol('x'), circular, () => 30, Object.create(null), new Date(Number.NaN)],
      ...[Number.NaN, Number.POSITIVE_INFINITY, -3, 0.5, 345_600, '30', [], true],
      { toJSON: () => assert.fail('no JSON') },
    ])
      for (const name of ['delaySeconds', 'delayLevel', 'action'])
        assert.deepEqual(
          await thrownBy(new MessageFailure('later', { [name]: value })),
          { 1: 'default' },
          inspect({ [name]: value }),
        );
    const both = new MessageFailure('later', { delaySeconds: 5, action: 'dlq' });
    assert.deepEqual(await thrownBy(both), { 1: 'default' });
    const unreadable = Object.defineProperty(new MessageFailure('later'), 'delaySeconds', {
      get: () => assert.fail('not now'),
    });
    assert.deepEqual(await thrownBy(unreadable), { 1: 'default' });
    const long = new MessageFailure('later', { action: 'x'.repeat(10_000_000) as 'dlq' });
    assert.deepEqual(await thrownBy(long), { 1: 'default' });
    assert.ok(String(long.action).length < 100);
  });

  test('null and undefined are not said', async () => {
    for (const nothing of [null, undefined, { delaySeconds: null, action: undefined }])
      assert.deepEqual(await thrownBy(new MessageFailure('later', nothing as never)), {
        1: 'default',
      });
  });

  test('an error that is returned counts as thrown', async () => {
    const batch = numbered(3);
    const handler = partialBatch((record) => {
      if (numberOf(record) === 0) return new Error('no');
      return numberOf(record) === 1 ? new MessageFailure('never', { action: 'dlq' }) : 'done';
    }, quiet);
    assert.deepEqual(verdictOf(await handler(batch, CONTEXT), batch), {
      0: 'default',
      1: { kind: 'dlq' },
    });
  });
});

describe('functions that are told of failures', () => {
  const shown = (context: { mock: { method: typeof test.mock.method } }) =>
    context.mock.method(console, 'error', () => {});

  for (const [how, fail] of Object.entries({
    throws: () => assert.fail('no logger'),
    rejects: async () => assert.fail('no logger'),
  }))
    test(`one that ${how} changes no verdict, and is shown`, async (context) => {
      const printed = shown(context);
      const batch = createRocketMQEvent([{ body: { n: 0 } }, { body: 'x' }, { body: { n: 2 } }]);
      const told = { onFailure: fail, onInvalid: fail };
      const handler = createHandler({ ...told }, (record) => {
        if (numberOf(record) === 2) throw new MessageFailure('later', { delaySeconds: 30 });
      });
      const expected = { 1: { kind: 'dlq' }, 2: { kind: 'seconds', seconds: 30 } };
      assert.deepEqual(verdictOf(await handler(batch, CONTEXT), batch), expected);
      const records = behind([rocketmqRecords(told)], async () => ({}));
      const answer = await records(structuredClone(batch), CONTEXT);
      assert.deepEqual(verdictOf(answer, batch), { 1: { kind: 'dlq' } });
      await new Promise(setImmediate);
      assert.equal(printed.mock.callCount(), 3);
    });
});

describe('answers at the deadline', () => {
  /** A context whose time passes by what messages take. */
  const clock = (leftMs: number) => {
    let left = leftMs;
    return {
      pass(ms: number) {
        left -= ms;
      },
      context: { getRemainingTimeInMillis: () => left } as Context,
    };
  };

  test('messages that are done without a pause let no timer run, and the answer comes all the same', async () => {
    for (const concurrency of [1, 3]) {
      const { pass, context } = clock(30_000);
      const batch = numbered(100);
      const handler = partialBatch(() => pass(1_000), { ...quiet, concurrency });
      const answer = await handler(batch, context);
      assert.deepEqual(
        Object.keys(verdictOf(answer, batch)).map(Number),
        Array.from({ length: 71 }, (_, n) => 29 + n),
        'what is done by a second before the deadline is done, the others have failed',
      );
      assert.ok(context.getRemainingTimeInMillis() > 0);
    }
  });

  test('of an ordered event: what the deadline left over fails with what is behind it', async () => {
    const { pass, context } = clock(20_000);
    const more = (n: number) => ({ shardingKey: n % 2 === 0 ? 'even' : 'odd' });
    const messages = Array.from({ length: 30 }, (_, n) => ({ body: { n }, ...more(n) }));
    for (const order of ['queue', 'key'] as const) {
      const batch = createRocketMQEvent(messages, { order });
      const handled: number[] = [];
      const handler = partialBatch((record) => {
        pass(1_000);
        handled.push(numberOf(record));
      }, quiet);
      const failed = Object.keys(verdictOf(await handler(batch, context), batch)).map(Number);
      assert.deepEqual([...handled, ...failed].toSorted(), [...messages.keys()].toSorted());
      pass(-20_000);
    }
  });

  test('a time that is no number is none', async () => {
    const context = { getRemainingTimeInMillis: () => Number.NaN } as Context;
    const handler = partialBatch(() => new Promise(setImmediate), quiet);
    assert.deepEqual(await handler(numbered(3), context), { batchItemFailures: [] });
  });
});

describe('rocketmqRecords and answers', () => {
  class Plain {
    batchItemFailures: unknown;
    constructor(list: unknown) {
      this.batchItemFailures = list;
    }
  }
  class InJson {
    readonly #list: unknown;
    constructor(list: unknown) {
      this.#list = list;
    }
    toJSON() {
      return { batchItemFailures: this.#list };
    }
  }
  class Getter {
    readonly #list: unknown;
    constructor(list: unknown) {
      this.#list = list;
    }
    get batchItemFailures() {
      return this.#list;
    }
  }

  /** Three messages, the second with a body that is not as it should be. */
  const batchOf = (order?: 'key' | 'queue') =>
    createRocketMQEvent([{ body: { n: 0 } }, { body: 'x' }, { body: { n: 2 } }], {
      ...(order && { order }),
    });
  const answersTo = async (batch: RocketMQEvent, answer: unknown) =>
    await behind([rocketmqRecords(quiet)], async () => answer)(structuredClone(batch), CONTEXT);

  const identifier = (batch: RocketMQEvent) =>
    fc.constantFrom(
      ...[0, 2].map((at) => batch.Records[at]?.receiptHandle),
      ...[undefined, null, '', 'another', 7],
    );
  const lists = (batch: RocketMQEvent) =>
    fc.oneof(
      fc.array(fc.record({ itemIdentifier: identifier(batch) }), { maxLength: 3 }),
      fc.constantFrom(undefined, null, [], {}, 'x', 0, new Set(), [null], ['x']),
    );
  const answers = (batch: RocketMQEvent): fc.Arbitrary<unknown> =>
    fc.oneof(
      lists(batch).map((batchItemFailures) => ({ batchItemFailures })),
      lists(batch).map((list) => new Plain(list)),
      lists(batch).map((list) => new InJson(list)),
      lists(batch).map((list) => new Getter(list)),
      fc
        .record({ list: lists(batch), othersDone: fc.constantFrom(true, false, 'true', undefined) })
        .map(({ list, othersDone }) => ({ batchItemFailures: list, othersDone })),
      lists(batch).map((batchItemFailures) => ({ batchItemFailures, action: 'drop' })),
      fc.jsonValue(),
      fc.constantFrom(
        ...[undefined, null, {}, [], '', 'OK', 0, false, Number.NaN, Symbol('x'), () => {}],
        ...[new Map(), new Error('returned'), new Response(''), new Date(Number.NaN), 1n],
        ...[
          { statusCode: 200 },
          { note: undefined },
          { batchItemFailure: [] },
          Object.create(null),
        ],
        {
          toJSON() {
            throw new Error('no JSON');
          },
        },
      ),
    );
  const safely = (judge: () => ReturnType<typeof verdictOf>) => {
    try {
      return judge();
    } catch {
      return 'wrong';
    }
  };

  test('a wrong answer is never right, a right one loses no failure, on both ways to the puller', async () => {
    for (const order of [undefined, 'key', 'queue'] as const) {
      const batch = batchOf(order);
      await fc.assert(
        fc.asyncProperty(answers(batch), async (answer) => {
          const given = await answersTo(batch, answer);
          const judged = Object.keys(WAYS).map((way) => ({
            alone: safely(() => verdictOf(answer, batch, way)),
            merged: safely(() => verdictOf(given, batch, way)),
          }));
          // Behind the body that is not as it should be, nothing is handled in the order of a queue.
          const unseen = order === 'queue' ? ['1', '2'] : ['1'];
          const expected = new Set([
            ...judged.flatMap(({ alone }) => (alone === 'wrong' ? [] : Object.keys(alone))),
            ...unseen,
          ]);
          const isRight = judged.every(({ alone }) => alone !== 'wrong');
          for (const { merged } of judged)
            assert.deepEqual(
              merged === 'wrong' ? merged : new Set(Object.keys(merged)),
              isRight ? expected : 'wrong',
              inspect(answer),
            );
        }),
        { seed: SEED, numRuns: 1_000 },
      );
    }
  });

  test('what the answer says beside its list is not for messages that its handler has not seen', async () => {
    const batch = batchOf('queue');
    const batchItemFailures = [{ itemIdentifier: batch.Records[0]?.receiptHandle }];
    const given = await answersTo(batch, { batchItemFailures, action: 'drop' });
    assert.deepEqual(verdictOf(given, batch), {
      0: { kind: 'drop' },
      1: { kind: 'dlq' },
      2: 'default',
    });
  });

  test('other middlewares, in front of it or behind it, hide no failure', async () => {
    const failing = async () => assert.fail('database away');
    const settled = async ({ Records }: RocketMQEvent) =>
      await Promise.allSettled(Records.map(async () => {}));
    const swallow = {
      onError(request: { response: unknown }) {
        request.response = {};
      },
    };
    const own = () => rocketmqRecords(quiet);
    const theirs = () => sqsPartialBatchFailure({ logger: () => {} });
    for (const [name, stack, handle, expected] of [
      ['settled, in front', [own(), theirs()], settled, { 1: { kind: 'dlq' } }],
      ['settled, behind', [theirs(), own()], settled, { 0: 'default', 1: 'default', 2: 'default' }],
      [
        'thrown, in front',
        [own(), theirs()],
        failing,
        { 0: 'default', 1: { kind: 'dlq' }, 2: 'default' },
      ],
      ['thrown, behind', [theirs(), own()], failing, { 0: 'default', 1: 'default', 2: 'default' }],
      ['swallowed', [own(), swallow], failing, { 1: { kind: 'dlq' } }],
    ] as const) {
      const batch = batchOf();
      const answer = await behind(stack, handle)(structuredClone(batch), CONTEXT);
      assert.deepEqual(verdictOf(answer, batch), expected, name);
    }
  });
});

describe('messages of a batch, one by one', () => {
  const KEYS = ['a', 'b', undefined] as const;
  const cases = fc.record({
    order: fc.constantFrom(undefined, 'queue' as const, 'key' as const),
    concurrency: fc.integer({ min: 1, max: 5 }),
    messages: fc.array(
      fc.record({
        key: fc.constantFrom(...KEYS),
        end: fc.constantFrom('done', 'done', 'done', 'throws', 'invalid'),
        turns: fc.nat(3),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  });

  test('each is done once or has failed; none is handled behind a failure of its order', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ order, concurrency, messages }) => {
        const batch = createRocketMQEvent(
          messages.map(({ key, end }, n) => ({
            body: end === 'invalid' ? 'x' : { n },
            ...(key !== undefined && { shardingKey: key }),
          })),
          { ...(order && { order }) },
        );
        const begun: number[] = [];
        const handle = async ({ data }: { readonly data: unknown }) => {
          const { n } = data as { n: number };
          begun.push(n);
          for (let turn = 0; turn < (messages[n]?.turns ?? 0); turn++)
            await new Promise(setImmediate);
          if (messages[n]?.end === 'throws') throw new Error('no');
        };
        const asOne = createHandler({ ...quiet, concurrency }, handle);
        const asTwo = behind(
          [rocketmqRecords(quiet)],
          partialBatch(handle as never, { ...quiet, concurrency }),
        );
        const laneOf = (n: number): unknown =>
          order === 'queue' ? 'queue' : order === 'key' ? (messages[n]?.key ?? n) : n;
        for (const handler of [asOne, asTwo]) {
          begun.splice(0);
          const answer = await handler(structuredClone(batch) as never, CONTEXT);
          const failed = Object.keys(verdictOf(answer, batch)).map(Number);
          const stopped = new Set<unknown>();
          const expected = [...messages.keys()].filter((n) => {
            if (messages[n]?.end !== 'done') stopped.add(laneOf(n));
            return stopped.has(laneOf(n));
          });
          assert.deepEqual(failed, expected);
          assert.equal(new Set(begun).size, begun.length);
          for (const lane of new Set(begun.map(laneOf))) {
            const ofLane = begun.filter((n) => laneOf(n) === lane);
            assert.deepEqual(
              ofLane,
              ofLane.toSorted((one, other) => one - other),
            );
          }
          const said = order === 'key' && expected.length > 0 ? true : undefined;
          assert.equal((answer as RocketMQBatchResponse).othersDone, said);
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test('a batch of 10,000 takes no more for each of its messages', async () => {
    const readsOf = async (count: number): Promise<number> => {
      let reads = 0;
      const batch = numbered(count, (n) => ({ shardingKey: `key ${n % 100}` }));
      const counted = (record: object): never =>
        new Proxy(record, {
          get(target, name) {
            reads++;
            return Reflect.get(target, name);
          },
        }) as never;
      const event = { ...batch, Records: batch.Records.map(counted) };
      const handler = partialBatch(() => assert.fail('no'), { ...quiet, concurrency: 10 });
      const { batchItemFailures } = await handler(event, CONTEXT);
      assert.equal(batchItemFailures?.length, count);
      return reads;
    };
    const [few, many] = [await readsOf(100), await readsOf(10_000)];
    assert.equal(many, few * 100);
  });
});
