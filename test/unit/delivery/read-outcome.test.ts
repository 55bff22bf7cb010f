import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOutcome } from '../../../src/delivery/read-outcome.ts';

const RECORD = {
  messageId: 'A',
  receiptHandle: 'orders/broker-a/0/1',
  rocketmq: { topic: 'orders', brokerName: 'broker-a', queueId: 0, queueOffset: '1' },
};
const read = (answer: unknown) =>
  readOutcome({ kind: 'answered', answer }, [RECORD] as never, { eventFormat: 'sqs' });

test('toJSON of an answer runs once, for the verdict and for the suspension', () => {
  let calls = 0;
  const outcome = read({
    toJSON: () =>
      calls++ === 0
        ? { batchItemFailures: [{ itemIdentifier: 'A' }], suspendCurrentQueueTimeMillis: 50 }
        : { suspendCurrentQueueTimeMillis: 30_000 },
  });
  assert.equal(calls, 1);
  assert.deepEqual(outcome, {
    kind: 'answered',
    verdict: { kind: 'read', failures: new Map([[0, 'default']]), othersDone: false },
    suspension: 50,
  });
});

test('toJSON that throws makes an invalid answer', () => {
  const outcome = read({
    toJSON: () => {
      throw new Error('not now');
    },
  });
  assert.equal(outcome.kind === 'answered' && outcome.verdict.kind, 'invalid');
});

test('a suspension that serializers of other languages write for nothing is not said', () => {
  const suspensionOf = (suspendCurrentQueueTimeMillis: unknown) => {
    const outcome = read({ suspendCurrentQueueTimeMillis, batchItemFailures: [] });
    return outcome.kind === 'answered' ? outcome.suspension : outcome.kind;
  };
  for (const nothing of [undefined, null, '', 0, -1])
    assert.equal(suspensionOf(nothing), undefined, String(nothing));
  for (const [said, expected] of [
    [1, 10],
    [500, 500],
    [60_000, 30_000],
    ['500', 'invalid'],
    [0.5, 'invalid'],
  ])
    assert.equal(suspensionOf(said), expected, String(said));
});
