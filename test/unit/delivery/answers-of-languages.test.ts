import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meaningOf, type PostedAnswer, postedAnswers } from '../../../cli/docs/answer-meaning.ts';
import { readAnswer } from '../../../src/delivery/read-answer.ts';
import { EVENT_FORMATS } from '../../../src/model/event-formats.ts';

/** By hand: what each row of test/vectors/answers.json means. */
const MEANINGS: Readonly<Record<string, readonly string[]>> = {
  'the batch failed': [
    'node: 0',
    'node: undefined as identifier',
    'node: Set as list',
    'node: list of promises',
    'node: promise as list',
    'node: Buffer',
    'node: empty string',
    'node: false',
    'go: SQSEventResponse, empty identifier',
    'go: own struct, empty item',
    'go: own struct without tags, one',
    'go: own struct without tags, nil slice',
    'go: empty string',
    'go: zero',
    'go: bytes',
    'python: None as identifier',
    'python: empty identifier',
    'python: empty item',
    'python: None as item',
    'python: NaN',
    'python: snake_case',
    'python: misspelt',
    'python: list',
    'python: empty string',
    'python: False',
    'python: zero',
    'python: text of json.dumps',
    'python: status code',
    'java sqs: null identifier',
    'java sqs: empty identifier',
    'java text: empty',
    'java text: OK',
    'java bytes: bytes',
    'java bool: true',
    'java zero: 0',
    'dotnet: SQSBatchResponse, null identifier',
    'dotnet: own class, one',
  ],
  'all done': [
    'node: nothing',
    'node: null',
    'node: empty object',
    'node: empty list of failures',
    'node: undefined as list',
    'node: Map',
    'node: Error',
    'go: nil',
    'go: SQSEventResponse, nil slice',
    'go: SQSEventResponse, empty slice',
    'go: SQSEventResponse, nil pointer',
    'go: empty struct',
    'python: None',
    'python: empty dict',
    'python: empty list of failures',
    'python: None as list',
    'python: dataclass, empty',
    'python: bytes',
    'python: Powertools, none failed',
    'java sqs: null',
    'java sqs: new',
    'java sqs: null list',
    'java sqs: empty list',
    'java streams: new',
    'java own: null list',
    'java own: empty list',
    'java map: empty',
    'java nothing: void',
    'dotnet: null',
    'dotnet: SQSBatchResponse, new',
    'dotnet: SQSBatchResponse, null list',
  ],
  'A failed': [
    'node: one',
    'node: undefined and null in all others',
    'node: NaN seconds',
    'go: SQSEventResponse, one',
    'go: KinesisEventResponse, one',
    'go: own struct, zero values',
    'python: one',
    'python: tuple',
    'python: dataclass, None in all others',
    'python: Powertools, one failed',
    'java sqs: one',
    'java streams: one',
    'java own: one, null and zero in all others',
    'java map: nulls',
    'dotnet: SQSBatchResponse, one',
  ],
  'A failed, again after 30 s': [
    'go: own struct, seconds beside zero values',
    'python: Decimal from DynamoDB',
    'python: float',
  ],
  'the call failed: errorString': ['go: error', 'go: error beside an answer'],
  'the call failed: Runtime.MarshalError': ['python: dataclass itself'],
  'the call failed: BatchProcessingError': ['python: Powertools, all failed'],
  'the call failed: ValueError': ['python: error'],
  'the call failed: java.lang.IllegalStateException': ['java sqs: error'],
  'the call failed: InvalidOperationException': ['dotnet: exception'],
};

const nameOf = ({ language, handler, case: name }: PostedAnswer): string =>
  `${language}${language === 'java' ? ` ${handler.slice('Answers::'.length)}` : ''}: ${name}`;

describe('answers as the runtimes of Lambda post them', () => {
  const meaningByName = new Map(
    Object.entries(MEANINGS).flatMap(([meaning, names]) => names.map((name) => [name, meaning])),
  );

  it('each has a row here, and each row an answer', () => {
    const names = postedAnswers().map(nameOf);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(names.toSorted(), [...meaningByName.keys()].sort());
  });

  for (const answer of postedAnswers())
    it(`${nameOf(answer)}: ${answer.body.slice(0, 60)}`, async () => {
      for (const format of EVENT_FORMATS) {
        const meaning = await meaningOf(answer, format);
        const expected = meaningByName.get(nameOf(answer));
        if (expected === 'the batch failed') assert.match(meaning, /^the batch failed: ./, format);
        else assert.equal(meaning, expected, format);
      }
    });
});

/** A batch whose records count how often a field of theirs is read. */
function countingRecords(count: number) {
  let reads = 0;
  const counted = <Fields extends object>(fields: Fields): Fields =>
    new Proxy(fields, {
      get(target, name) {
        reads++;
        return Reflect.get(target, name);
      },
    });
  const records = Array.from({ length: count }, (_, n) =>
    counted({
      messageId: `id ${n}`,
      receiptHandle: `handle ${n}`,
      rocketmq: counted({
        topic: 'orders',
        brokerName: 'broker-a',
        queueId: 0,
        queueOffset: String(n),
      }),
    }),
  );
  return { records, reads: () => reads };
}

describe('an answer for many records', () => {
  const identifiers: Record<string, (n: number) => unknown> = {
    messageId: (n) => `id ${n}`,
    receiptHandle: (n) => `handle ${n}`,
    'partition and offset': (n) => ({ partition: 'orders-broker-a-0', offset: n }),
  };
  for (const format of EVENT_FORMATS)
    for (const [kind, identifier] of Object.entries(identifiers)) {
      if (kind === 'partition and offset' && format !== 'kafka') continue;
      it(`${format}, by ${kind}: reads grow as the batch does, and all that are named fail`, () => {
        const readsOf = (count: number): number => {
          const { records, reads } = countingRecords(count);
          const batchItemFailures = records.map((_, n) => ({ itemIdentifier: identifier(n) }));
          const verdict = readAnswer({ batchItemFailures }, records, format);
          assert.equal(verdict.kind === 'read' && verdict.failures.size, count);
          return reads();
        };
        const [few, many] = [readsOf(100), readsOf(10_000)];
        assert.equal(many, few * 100);
        assert.ok(many <= 10_000 * 20, `${many} reads`);
      });
    }

  it('the same record named ten times over costs no more per item', () => {
    for (const format of EVENT_FORMATS) {
      const { records, reads } = countingRecords(10_000);
      const batchItemFailures = Array.from({ length: 100_000 }, () => ({ itemIdentifier: 'id 7' }));
      const verdict = readAnswer({ batchItemFailures }, records, format);
      assert.deepEqual(verdict.kind === 'read' && [...verdict.failures.keys()], [7]);
      assert.ok(reads() <= 10_000 * 20, `${reads()} reads`);
    }
  });
});
