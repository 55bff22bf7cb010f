import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readAnswer } from '../../../src/delivery/read-answer.ts';

const RECORDS = [
  { messageId: 'A', receiptHandle: 'orders/broker-a/0/1' },
  { messageId: 'B', receiptHandle: 'orders/broker-a/0/2' },
  { messageId: 'A', receiptHandle: 'orders/broker-a/0/3' },
];

function failures(answer: unknown): Record<number, number> {
  const verdict = readAnswer(answer, RECORDS);
  assert.equal(verdict.kind, 'read');
  return Object.fromEntries(
    [...(verdict.kind === 'read' ? verdict.failures : [])].map(([position, { delayLevel }]) => [position, delayLevel]),
  );
}

const items = (...batchItemFailures: unknown[]) => ({ batchItemFailures });
const item = (itemIdentifier: unknown, more: object = {}) => ({ itemIdentifier, ...more });

describe('readAnswer', () => {
  for (const answer of [undefined, null, {}, items(), { batchItemFailures: null }, { batchItemFailures: undefined }])
    it(`${JSON.stringify(answer)}: all done`, () => {
      assert.deepEqual(failures(answer), {});
    });

  it('a messageId fails every record that has it, a receiptHandle its own', () => {
    assert.deepEqual(failures(items(item('A'))), { 0: 0, 2: 0 });
    assert.deepEqual(failures(items(item('orders/broker-a/0/3'))), { 2: 0 });
    assert.deepEqual(failures(items(item('B'), item('orders/broker-a/0/1'))), { 0: 0, 1: 0 });
  });

  it('takes a delay level per message; the last word counts', () => {
    assert.deepEqual(failures(items(item('B', { delayLevel: 18 }), item('A', { delayLevel: 0 }))), { 0: 0, 1: 18, 2: 0 });
    assert.deepEqual(failures(items(item('A', { delayLevel: 2 }), item('orders/broker-a/0/3', { delayLevel: 5 }))), { 0: 2, 2: 5 });
  });

  it('other fields beside the list are the handler’s own business', () => {
    assert.deepEqual(failures({ batchItemFailures: [item('B', { note: 'later' })], statusCode: 200 }), { 1: 0 });
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
    ...[-1, 19, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null, {}].map((delayLevel): [unknown, RegExp] => [
      items(item('A', { delayLevel })),
      /delayLevel of A/,
    ]),
  ];
  for (const [answer, reason] of invalid)
    it(`${JSON.stringify(answer)}: everything failed`, () => {
      const verdict = readAnswer(answer, RECORDS);
      assert.equal(verdict.kind, 'invalid');
      assert.match(verdict.kind === 'invalid' ? verdict.reason : '', reason);
    });

  it('never throws, and never takes a JSON value for success that names a failure', () => {
    const saysDone = new Set(['null', '{}', '{"batchItemFailures":null}', '{"batchItemFailures":[]}']);
    const answers = fc.oneof(fc.jsonValue(), fc.record({ batchItemFailures: fc.jsonValue() }), fc.constantFrom(null, {}));
    fc.assert(
      fc.property(answers, (answer) => {
        const verdict = readAnswer(answer, RECORDS);
        assert.equal(verdict.kind === 'read' && verdict.failures.size === 0, saysDone.has(JSON.stringify(answer)));
      }),
      { numRuns: 2_000 },
    );
  });
});
