import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError } from '../../../src/errors.ts';
import type { FailureRecord } from '../../../src/model/failure.ts';
import { dlqTopic, type MessageQueue } from '../../../src/model/message-queue.ts';
import { endForGood } from '../../../src/puller/dead-letter.ts';
import { createHeldQueue, HELD_AT, HELD_GROUP, namedMessage } from '../../support/held-queue.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

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

const ENDS = [
  ['retries exhausted', { maximumRetryAttempts: 2 }, 3, 'ROCKETMQ_RETRIES_EXHAUSTED'],
  ['too old', { maximumRecordAgeInSeconds: 60 }, 1, 'ROCKETMQ_RECORD_AGE_EXCEEDED'],
] as const;
for (const [why, subscription, counted, code] of ENDS)
  for (const isStored of [true, false])
    test(`a dead letter that an earlier holder sent is looked for before another one is sent: ${why}, ${isStored ? 'found' : 'absent'}`, async () => {
      const clock = virtualClock(HELD_AT);
      const broker = new MemoryBroker(clock);
      const [letters] = broker.createTopic(dlqTopic(HELD_GROUP), 1) as [MessageQueue];
      const message = namedMessage('a', 0);
      if (isStored)
        broker.produce(letters, ['a'], {
          topic: letters.topic,
          properties: { UNIQ_KEY: 'a', ORIGIN_MESSAGE_ID: message.offsetMsgId },
        });
      let sent = 0;
      const { client } = broker;
      const { held, pass } = createHeldQueue({
        subscription,
        assignment: { attempts: new Map([[0n, counted]]) },
        client: {
          topicRoute: (...call) => client.topicRoute(...call),
          minOffset: (...call) => client.minOffset(...call),
          maxOffset: (...call) => client.maxOffset(...call),
          queryOffset: (...call) => client.queryOffset(...call),
          searchOffset: (...call) => client.searchOffset(...call),
          pull: (...call) => client.pull(...call),
          sendBack: async () => void sent++,
          sendBackAsNormalMessage: async () => void sent++,
        },
      });
      held.messages.put([message], [], 1n, HELD_AT);
      pass(120_000);
      const { work } = held.nextBatch();
      assert(work?.kind === 'unhandled' && work.code === code);
      await held.settlement.settleUnhandled(work);
      assert.deepEqual([sent, held.messages.committable], [isStored ? 0 : 1, 1n]);
    });
