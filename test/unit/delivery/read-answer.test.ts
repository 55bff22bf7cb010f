import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import type { Redelivery } from '../../../src/decide/retry/redelivery.ts';
import { readAnswer } from '../../../src/delivery/read-answer.ts';

const RECORDS = [
  { messageId: 'A', receiptHandle: 'orders/broker-a/0/1', rocketmq: at('1') },
  { messageId: 'B', receiptHandle: 'orders/broker-a/0/2', rocketmq: at('2') },
  { messageId: 'A', receiptHandle: 'orders/broker-a/0/3', rocketmq: at('3') },
];

function at(queueOffset: string) {
  return { topic: 'orders', brokerName: 'broker-a', queueId: 0, queueOffset };
}

/** By position: 'default', 'auto', 'dlq', 'drop', a level as number, seconds as '30s'. */
function failures(answer: unknown): Record<number, string | number> {
  const verdict = readAnswer(answer, RECORDS);
  assert.equal(verdict.kind, 'read');
  return Object.fromEntries(
    [...(verdict.kind === 'read' ? verdict.failures : [])].map(([position, end]) => [
      position,
      short(end),
    ]),
  );
}

function wrongWish(answer: unknown): string | undefined {
  const verdict = readAnswer(answer, RECORDS);
  return verdict.kind === 'read' ? verdict.wrongWish : undefined;
}

function short(end: Redelivery | 'default'): string | number {
  if (end === 'default') return end;
  return end.kind === 'level' ? end.level : end.kind === 'seconds' ? `${end.seconds}s` : end.kind;
}

const items = (...batchItemFailures: unknown[]) => ({ batchItemFailures });
const item = (itemIdentifier: unknown, more: object = {}) => ({ itemIdentifier, ...more });

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function lengthOf(length: unknown): unknown[] {
  const list = [item('A')];
  return new Proxy(list, {
    get: (target, name) => (name === 'length' ? length : Reflect.get(target, name)),
  });
}

function endless(): unknown[] {
  const list: unknown[] = [undefined];
  list[Symbol.iterator] = function* () {
    for (;;) yield undefined;
  };
  return list;
}

describe('readAnswer', () => {
  for (const answer of [
    undefined,
    null,
    {},
    items(),
    { batchItemFailures: null },
    { batchItemFailures: undefined },
  ])
    it(`${JSON.stringify(answer)}: all done`, () => {
      assert.deepEqual(failures(answer), {});
    });

  it('a messageId fails every record that has it, a receiptHandle its own', () => {
    assert.deepEqual(failures(items(item('A'))), { 0: 'default', 2: 'default' });
    assert.deepEqual(failures(items(item('orders/broker-a/0/3'))), { 2: 'default' });
    assert.deepEqual(failures(items(item('B'), item('orders/broker-a/0/1'))), {
      0: 'default',
      1: 'default',
    });
  });

  it('a receiptHandle names its record, also where another record has it as messageId', () => {
    const [victim, other] = RECORDS;
    assert.ok(victim && other);
    const hostile = { ...other, messageId: victim.receiptHandle };
    for (const format of ['sqs', 'kafka'] as const) {
      const answer = items(item(victim.receiptHandle, { action: 'drop' }));
      const verdict = readAnswer(answer, [victim, hostile], format);
      assert.deepEqual(verdict.kind === 'read' && [...verdict.failures.keys()], [0]);
    }
  });

  it('an identifier of several records drops and dead-letters none of them', () => {
    for (const action of ['drop', 'dlq'])
      for (const answer of [items(item('A', { action })), { ...items(item('A')), action }])
        assert.deepEqual(failures(answer), { 0: 'default', 2: 'default' });
  });

  it('no messageId stands for an identifier of format kafka', () => {
    const [victim] = RECORDS;
    assert.ok(victim);
    const partition = 'orders-broker-a-0';
    const hostile = {
      messageId: `the string "${partition}" at offset 1`,
      receiptHandle: 'x',
      rocketmq: { ...victim.rocketmq, queueOffset: '9' },
    };
    const answer = items(
      { itemIdentifier: { partition, offset: 1 } } as never,
      item(hostile.messageId, { action: 'drop' }),
    );
    const verdict = readAnswer(answer, [victim, hostile], 'kafka');
    assert.deepEqual(verdict.kind === 'read' && [...verdict.failures.keys()], [0, 1]);
  });

  it('takes a delay level per message; the last word counts', () => {
    assert.deepEqual(failures(items(item('B', { delayLevel: 18 }), item('A', { delayLevel: 0 }))), {
      0: 'auto',
      1: 18,
      2: 'auto',
    });
    assert.deepEqual(
      failures(items(item('A', { delayLevel: 2 }), item('orders/broker-a/0/3', { delayLevel: 5 }))),
      { 0: 2, 2: 5 },
    );
  });

  it('takes seconds and actions', () => {
    assert.deepEqual(
      failures(
        items(item('B', { delaySeconds: 259_200 }), item('orders/broker-a/0/1', { action: 'dlq' })),
      ),
      {
        0: 'dlq',
        1: '259200s',
      },
    );
    assert.deepEqual(failures(items(item('B', { action: 'drop' }))), { 1: 'drop' });
    assert.deepEqual(failures(items(item('B', { action: 'retry', delaySeconds: 0 }))), { 1: '0s' });
  });

  it('what stands beside the list counts for items that say nothing', () => {
    const all = [item('B'), item('A', { delayLevel: 2 })];
    assert.deepEqual(failures({ batchItemFailures: all, delaySeconds: 30 }), {
      0: 2,
      1: '30s',
      2: 2,
    });
    assert.deepEqual(failures({ batchItemFailures: all, delayLevel: 4, action: 'retry' }), {
      0: 2,
      1: 4,
      2: 2,
    });
    assert.deepEqual(failures({ batchItemFailures: all, action: 'dlq' }), { 0: 2, 1: 'dlq', 2: 2 });
    assert.deepEqual(
      failures({ batchItemFailures: [item('B', { action: 'retry' })], action: 'drop' }),
      { 1: 'default' },
    );
    assert.deepEqual(
      failures({ batchItemFailures: [], delayLevel: 99 }),
      {},
      'of no use, and no harm',
    );
  });

  it('other fields beside the list are the handler’s own business', () => {
    assert.deepEqual(
      failures({ batchItemFailures: [item('B', { note: 'later' })], statusCode: 200 }),
      { 1: 'default' },
    );
  });

  const invalid: [unknown, RegExp][] = [
    [[], /a list/],
    [[item('A')], /a list/],
    ['done', /the string "done"/],
    ['', /empty/],
    [42, /the number 42/],
    [true, /the boolean true/],
    [false, /the boolean false/],
    [{ statusCode: 200 }, /"statusCode" but no batchItemFailures/],
    [{ batchItemFailure: [] }, /"batchItemFailure" but no/],
    [{ BatchItemFailures: [item('A')] }, /"BatchItemFailures" but no/],
    [{ batchItemFailures: 'A' }, /not a list/],
    [{ batchItemFailures: {} }, /not a list/],
    [{ batchItemFailures: 0 }, /not a list/],
    [items('A'), /an item/],
    [items(null), /an item/],
    [items(7), /an item/],
    [items({}), /itemIdentifier is missing/],
    [items({ id: 'A' }), /itemIdentifier is missing/],
    [items(item('')), /itemIdentifier is empty/],
    [items(item(null)), /itemIdentifier is null/],
    [items(item(1)), /itemIdentifier is the number 1/],
    [items(item('C')), /"C" names no record/],
    [items(item('B'), item('C')), /"C" names no record/],
    [items(item('toString')), /names no record/],
    [items(item('__proto__')), /names no record/],
  ];
  for (const [answer, reason] of invalid)
    it(`${JSON.stringify(answer)}: everything failed`, () => {
      const verdict = readAnswer(answer, RECORDS);
      assert.equal(verdict.kind, 'invalid');
      assert.match(verdict.kind === 'invalid' ? verdict.reason : '', reason);
    });

  const wrong: [fields: object, reason: RegExp][] = [
    ...[-1, 19, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', {}].map(
      (delayLevel): [object, RegExp] => [{ delayLevel }, /delayLevel of A/],
    ),
    ...[-1, 259_201, 0.5, '30', Number.NaN, 345_600, 1n].map((delaySeconds): [object, RegExp] => [
      { delaySeconds },
      /delaySeconds of A/,
    ]),
    ...['ack', 'call', 'DLQ', 1, {}, Symbol('dlq')].map((action): [object, RegExp] => [
      { action },
      /action of A .* retry, dlq, drop/,
    ]),
    [{ delayLevel: 1, delaySeconds: 1 }, /A has both delayLevel and delaySeconds/],
    [{ delayLevel: 3, action: 'dlq' }, /A has a delay, which action dlq/],
    [{ delaySeconds: 5, action: 'drop' }, /A has a delay, which action drop/],
  ];
  for (const [fields, reason] of wrong)
    it(`a wrong wish fails its message by default, and no other: ${inspect(fields)}`, () => {
      const others = item('B', { delaySeconds: 30 });
      for (const answer of [items(item('A', fields), others), items(others, item('A', fields))]) {
        assert.deepEqual(failures(answer), { 0: 'default', 1: '30s', 2: 'default' });
        assert.match(wrongWish(answer) ?? '', reason);
      }
      const all = { batchItemFailures: [item('B'), item('A', { action: 'dlq' })], ...fields };
      assert.equal(failures(all)[1], 'default', 'beside the list');
      assert.match(wrongWish(all) ?? '', /the answer/);
    });

  it('what serializers write for what was not said is not said', () => {
    for (const nothing of [
      { delaySeconds: null, delayLevel: null, action: null },
      { delaySeconds: 0, delayLevel: 0, action: '' },
      { delaySeconds: 0, delayLevel: 0, action: 0 },
    ]) {
      assert.deepEqual(failures(items(item('B', nothing))), { 1: 'default' });
      assert.deepEqual(failures({ ...items(item('B')), ...nothing }), { 1: 'default' });
      const said = { ...items(item('B', nothing)), action: 'dlq' };
      assert.deepEqual(failures(said), { 1: 'dlq' }, 'what stands beside the list counts');
      for (const [wish, end] of [
        [{ delaySeconds: 30 }, '30s'],
        [{ delayLevel: 4 }, 4],
        [{ action: 'drop' }, 'drop'],
        [{ action: 'retry' }, 'default'],
      ] as const) {
        const answer = items(item('B', { ...nothing, ...wish }));
        assert.deepEqual(failures(answer), { 1: end }, inspect(answer));
        assert.equal(wrongWish(answer), undefined);
      }
    }
    assert.deepEqual(failures(items(item('B', { delaySeconds: 0 }))), { 1: '0s' }, 'at once');
    assert.deepEqual(failures(items(item('B', { delayLevel: 0 }))), { 1: 'auto' });
  });

  it('others are done behind a failed one when the answer says so', () => {
    const othersDone = (answer: unknown) => {
      const verdict = readAnswer(answer, RECORDS);
      return verdict.kind === 'read' && verdict.othersDone;
    };
    assert.equal(othersDone({ ...items(item('B')), othersDone: true }), true);
    for (const said of [undefined, false, null, 'true', 1])
      assert.equal(othersDone({ ...items(item('B')), othersDone: said }), false);
  });

  const throwing = () => {
    throw new Error('not now');
  };
  const circular: { itemIdentifier?: unknown } = {};
  circular.itemIdentifier = circular;
  const unreadable: [string, unknown][] = [
    [
      'a getter that throws',
      {
        get batchItemFailures() {
          return throwing();
        },
      },
    ],
    [
      'a getter of an item that throws',
      items({
        get itemIdentifier() {
          return throwing();
        },
      }),
    ],
    [
      'a getter of a delay that throws',
      items({
        itemIdentifier: 'A',
        get delaySeconds() {
          return throwing();
        },
      }),
    ],
    ['toJSON that throws', { batchItemFailures: [], toJSON: throwing }],
    ['a proxy that throws', new Proxy({}, { get: throwing })],
    ['a proxy that throws for its keys', new Proxy({}, { ownKeys: throwing })],
    ['a revoked proxy', revoked()],
    [
      'a thrown value without a text',
      {
        get batchItemFailures() {
          throw Object.create(null);
        },
      },
    ],
    ['a circular identifier', items(circular)],
    ['a symbol', Symbol('answer')],
    ['a symbol as identifier', items(item(Symbol('A')))],
    ['a list without an end', items(...Array.from({ length: 100_001 }, () => item('A')))],
    ['a Map', new Map([['batchItemFailures', []]])],
    ['a Set', new Set(['A'])],
    ['an Error', new Error('returned')],
    ['an Error of another realm', runInNewContext('new Error("returned")')],
    ['a Response', new Response('{"batchItemFailures":[]}', { status: 500 })],
    ['a generator', (function* () {})()],
    ['a typed array', new Uint8Array(0)],
    ['a boxed value', Object(false)],
    ['an instance of a class', new (class Report {})()],
    ['an asynchronous toJSON', { toJSON: async () => items(item('A')) }],
    [
      'toJSON with a thenable',
      {
        toJSON: () =>
          Object.fromEntries(
            ['batchItemFailures', 'then'].map((name) => [name, name === 'then' ? throwing : []]),
          ),
      },
    ],
    ['a list of a negative length', { batchItemFailures: lengthOf(-1) }],
    ['a list of no length', { batchItemFailures: lengthOf(Number.NaN) }],
    ['a list with holes', { batchItemFailures: new Array(3) }],
    ['a list whose iterator never ends', { batchItemFailures: endless() }],
    ['a function', () => ({ batchItemFailures: [] })],
  ];
  for (const format of ['sqs', 'kafka', 'cloudevents', 'raw'] as const)
    for (const [what, answer] of unreadable)
      it(`${what}, ${format}: everything failed`, () => {
        const verdict = readAnswer(answer, RECORDS, format);
        assert.equal(verdict.kind, 'invalid');
        assert.ok(verdict.kind === 'invalid' && verdict.reason.length < 300);
      });

  it('an answer that says how it stands in JSON is read as a function’s answer would be', () => {
    class Report {
      readonly #failed = ['B'];
      toJSON() {
        return items(...this.#failed.map((id) => item(id)));
      }
    }
    assert.deepEqual(failures(new Report()), { 1: 'default' });
  });

  it('objects of another realm and without a prototype are as plain as others', () => {
    assert.deepEqual(failures(runInNewContext('({})')), {});
    assert.deepEqual(failures(Object.create(null)), {});
  });

  it('reads each field once', () => {
    const reads: string[] = [];
    const noting = <T extends object>(target: T): T =>
      new Proxy(target, {
        get(object, name) {
          if (typeof name === 'string' && !/^\d+$|^length$/.test(name)) reads.push(name);
          return Reflect.get(object, name);
        },
      });
    readAnswer(noting({ batchItemFailures: [noting(item('A'))], delayLevel: 3 }), RECORDS);
    assert.deepEqual(
      reads.toSorted(),
      [...new Set(reads), 'action', 'delayLevel', 'delaySeconds'].sort(),
    );
  });

  it('many words for one id that a whole batch shares are read at once', () => {
    const shared = Array.from({ length: 10_000 }, (_, n) => ({
      messageId: 'A',
      receiptHandle: `orders/broker-a/0/${n}`,
      rocketmq: at(String(n)),
    }));
    const answer = items(...shared.map(() => item('A')));
    const startedAt = performance.now();
    const verdict = readAnswer(answer, shared);
    assert.equal(verdict.kind === 'read' && verdict.failures.size, 10_000);
    assert.ok(performance.now() - startedAt < 2_000);
  });

  it('never throws, and never takes a JSON value for success that names a failure', () => {
    const saysDone = new Set([
      'null',
      '{}',
      '{"batchItemFailures":null}',
      '{"batchItemFailures":[]}',
    ]);
    const answers = fc.oneof(
      fc.jsonValue(),
      fc.record({ batchItemFailures: fc.jsonValue() }),
      fc.constantFrom(null, {}),
    );
    fc.assert(
      fc.property(answers, (answer) => {
        const verdict = readAnswer(answer, RECORDS);
        assert.equal(
          verdict.kind === 'read' && verdict.failures.size === 0,
          saysDone.has(JSON.stringify(answer)),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});
