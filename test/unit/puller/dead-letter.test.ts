import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectionError } from '../../../src/errors.ts';
import type { FailureRecord } from '../../../src/model/failure.ts';
import { dlqTopic, type MessageQueue } from '../../../src/model/message-queue.ts';
import { endForGood } from '../../../src/puller/dead-letter.ts';
import {
  createHeldQueue,
  HELD_AT,
  HELD_GROUP,
  type HeldQueueSettings,
  namedMessage,
} from '../../support/held-queue.ts';
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

describe('the end of a message that failed for good', () => {
  const MAYBE = new ConnectionError('broker-a', 'reset', { maybeSent: true });
  const AWAY = new ConnectionError('broker-b', 'refused', { maybeSent: false });

  /** A taken message whose end is to be found, and what is written and sent meanwhile, in order. */
  function takenMessage(
    settings: Pick<HeldQueueSettings, 'store' | 'client' | 'assignment' | 'source'> = {},
  ) {
    const done: string[] = [];
    const world = createHeldQueue({
      ...settings,
      subscription: { maximumRetryAttempts: 0 },
      store: {
        renew: async ({ attempts }) => {
          done.push(`item has ${[...(attempts ?? [])].map((run) => run.join(':')).join(' ')}`);
          return { applied: true, assignment: world.held.lease.current as never };
        },
        ...settings.store,
      },
      client: {
        topicRoute: async (topic) => ({ topic, brokers: [], queues: [] }),
        minOffset: async () => 0n,
        maxOffset: async () => {
          done.push('looked for');
          return 0n;
        },
        sendBack: async () => void done.push('sent'),
        ...settings.client,
      },
    });
    const { held } = world;
    held.messages.put([namedMessage('a', 0), namedMessage('b', 1)], [], 2n, HELD_AT);
    const entries = [...held.messages.unfinished()];
    for (const entry of entries) held.messages.take(entry);
    const [first, second] = entries;
    assert(first !== undefined && second !== undefined);
    return { ...world, done, first, second };
  }

  test('is in the assignment before it is sent, and until its offset is committed', async () => {
    const { held, done, first, second } = takenMessage();
    await endForGood(held, second, 'RetryAttemptsExhausted');
    assert.deepEqual(done.splice(0), ['item has 1:1', 'sent']);
    assert.equal(second.state, 'done');
    await held.leaseKeeper.renew();
    assert.deepEqual(done.splice(0), ['item has 1:1']);
    held.messages.settle(first);
    assert.equal(held.attempts.toStore(held.messages, 2n).size, 0);
  });

  test('needs no table', async () => {
    const { held, done, first } = takenMessage({
      store: { renew: () => Promise.reject(new Error('the table is away')) },
    });
    await endForGood(held, first, 'RetryAttemptsExhausted');
    assert.deepEqual([done, first.state], [['sent'], 'done']);
  });

  test('is left to the next holder where the assignment shows one', async () => {
    const { held, done, first } = takenMessage({
      store: { renew: async () => ({ applied: false, reason: 'taken-over' }) as never },
    });
    await endForGood(held, first, 'RetryAttemptsExhausted');
    assert.deepEqual([done, held.lifecycle.isLost], [[], true]);
  });

  test('shares its write with ends that begin meanwhile', async () => {
    const { held, done, first, second } = takenMessage();
    held.messages.put([namedMessage('c', 2)], [], 3n, HELD_AT);
    const third = [...held.messages.unfinished()].at(-1);
    assert(third !== undefined);
    held.messages.take(third);
    const entries = [first, second, third];
    await Promise.all(entries.map((entry) => endForGood(held, entry, 'RetryAttemptsExhausted')));
    assert.deepEqual(
      done.filter((what) => what !== 'sent'),
      ['item has 0:1', 'item has 0:1 1:1 2:1'],
    );
    assert.equal(held.messages.count, 0);
  });

  test('that its handler chose is looked for, where an earlier holder counted a failure', async () => {
    const { held, done, first, second } = takenMessage({
      assignment: { attempts: new Map([[0n, 1]]) },
    });
    await endForGood(held, first, 'RejectedByHandler');
    assert.deepEqual(done.splice(0), ['looked for', 'looked for', 'item has 0:2', 'sent']);
    await endForGood(held, second, 'RejectedByHandler');
    assert.deepEqual(done, ['item has 0:2 1:1', 'sent']);
  });

  test('counts its tries once each, the first one before it is sent', async () => {
    const { held, first } = takenMessage({
      client: {
        sendBack: async () => {
          throw MAYBE;
        },
        sendBackAsNormalMessage: async () => {
          throw MAYBE;
        },
      },
    });
    await endForGood(held, first, 'RetryAttemptsExhausted');
    assert.equal(first.localRetries, 1);
    held.messages.take(first);
    await endForGood(held, first, 'RetryAttemptsExhausted');
    assert.deepEqual([first.localRetries, held.pendingEnds.of(first)?.unanswered], [2, 2]);
  });

  /** An unanswered send, then tries until it is sent again or the looks are used up. */
  async function triesUntilSentAgain(isAway: (brokerName: string) => boolean, most: number) {
    let sent = 0;
    const { held, logs, first } = takenMessage({
      client: {
        topicRoute: async (topic) => ({
          ...{ topic, brokers: [] },
          queues: ['broker-a', 'broker-b'].map((brokerName) => ({
            ...{ brokerName, readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
          })),
        }),
        maxOffset: async ({ brokerName }) => {
          if (isAway(brokerName)) throw AWAY;
          return 0n;
        },
        sendBack: async () => {
          if (sent++ === 0) throw MAYBE;
        },
        sendBackAsNormalMessage: async () => void sent++,
      },
    });
    await endForGood(held, first, 'RetryAttemptsExhausted');
    let tries = 0;
    while (sent === 1 && tries < most) {
      held.messages.take(first);
      await endForGood(held, first, 'RetryAttemptsExhausted');
      tries++;
    }
    const reports = logs.filter(({ code }) => code === 'ROCKETMQ_DEAD_LETTER_UNKNOWN').length;
    return { tries, sent, reports, counted: first.localRetries };
  }

  test('waits for its own broker without bound', async () => {
    const result = await triesUntilSentAgain((name) => name === 'broker-a', 40);
    assert.deepEqual(result, { tries: 40, sent: 1, reports: 40, counted: 1 });
  });

  test('waits for another broker within a bound, then it is sent again and said so', async () => {
    const result = await triesUntilSentAgain((name) => name === 'broker-b', 40);
    assert.deepEqual(result, { tries: 6, sent: 2, reports: 6, counted: 1 });
  });
});
