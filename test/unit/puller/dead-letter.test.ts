import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError } from '../../../src/errors.ts';
import type { FailureRecord } from '../../../src/model/failure.ts';
import { endForGood } from '../../../src/puller/dead-letter.ts';
import { createHeldQueue, namedMessage } from '../../support/held-queue.ts';

const ARN = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';

test('a holder that loses its lease while it looks for a dead letter gives it to nobody', async () => {
  const delivered: FailureRecord[] = [];
  const refusals = [new Error('no queue')];
  const { held } = createHeldQueue({
    subscription: { maximumRetryAttempts: 0, onFailure: { type: 'sqs', arn: ARN } },
    client: {
      sendBack: async () => {
        throw new ConnectionError('broker-a', 'reset', { maybeSent: true });
      },
      topicRoute: async () => {
        held.lease.lose('taken-over', true);
        throw new Error('aborted');
      },
    },
    deps: {
      destinations: {
        sqs: {
          deliver: async (_arn, record) => {
            const refusal = refusals.pop();
            if (refusal !== undefined) throw refusal;
            delivered.push(record);
          },
        },
      },
    },
  });
  held.messages.put([namedMessage('a', 0)], [], 1n, 0);
  const { work } = held.nextBatch();
  assert(work?.kind === 'batch');
  const [entry] = work.deliveries.map((delivery) => delivery.entry);
  assert(entry !== undefined);
  await endForGood(held, entry, 'RetryAttemptsExhausted');
  assert.equal(held.pendingEnds.of(entry)?.unanswered, 1);
  held.messages.take(entry);
  await endForGood(held, entry, 'RetryAttemptsExhausted');
  assert.deepEqual([delivered, held.lifecycle.isLost], [[], true]);
});
