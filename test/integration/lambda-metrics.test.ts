import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { MetricName } from '../../src/model/metrics.ts';
import type { HandlerOutcome, MessageHandler } from '../../src/ports/invoke.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { countingMeter } from '../support/counting-meter.ts';
import {
  at,
  createPullerWorld,
  type PullerWorld,
  RETRY,
  recorder,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** The metrics of `EventCount` that event source mappings of Lambda have, those of their errors, and ours beside them. */
const COMPARED = [
  'PolledEventCount',
  'FilteredOutEventCount',
  'InvokedEventCount',
  'FailedInvokeEventCount',
  'OnFailureDestinationDeliveredEventCount',
  'CommittedEventCount',
  'InvokeErrorCount',
  'OnFailureDestinationDeliveryErrorCount',
  'RetriedEventCount',
  'DeadLetteredEventCount',
  'DiscardedEventCount',
  'GivenUpEventCount',
  'InvalidResponseCount',
  'ThrottleCount',
  'UnavailableHandlerCount',
] as const satisfies readonly MetricName[];

const QUEUES = [at(0), RETRY];
const ARN = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';
const THROTTLED: HandlerOutcome = {
  kind: 'unavailable',
  error: Object.assign(new Error('Rate exceeded'), { name: 'TooManyRequestsException' }),
};
const MISSING: HandlerOutcome = { kind: 'misconfigured', error: new Error('no such function') };

describe('metrics that have names of Lambda’s mean what these mean', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  async function prepared(count: number, tags?: (index: number) => string): Promise<void> {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(count, 0, (index) => (tags === undefined ? {} : { tags: tags(index) }));
  }

  function compared(counts: Partial<Record<MetricName, number>>) {
    return Object.fromEntries(
      COMPARED.map((name) => [name, counts[name]] as const).filter(
        ([, count]) => count !== undefined && count !== 0,
      ),
    );
  }

  const failing = (...bodies: readonly string[]) =>
    recorder(({ Records }) => ({
      batchItemFailures: Records.filter(({ body }) => bodies.includes(body)).map(
        ({ messageId }) => ({ itemIdentifier: messageId }),
      ),
    })).handler;

  /** Each call's outcome; the last one stays. */
  function inTurn(...outcomes: readonly HandlerOutcome[]): MessageHandler & { calls: number } {
    const handler = {
      calls: 0,
      invoke: async () =>
        outcomes[Math.min(handler.calls++, outcomes.length - 1)] as HandlerOutcome,
    };
    return handler;
  }

  test('what filters leave out, by tag and by pattern; 0 is reported where nothing is left out', async () => {
    await prepared(20, (index) => (index < 12 ? 'paid' : 'open'));
    const { counts, meter } = countingMeter();
    const puller = world.start(failing(), {
      deps: { meter },
      subscriptions: [
        {
          filter: { type: 'TAG', expression: 'paid' },
          filterPatterns: [{ body: [{ prefix: '1' }] }],
          batchSize: 20,
        },
      ],
    });
    await until(() => world.committed() === 20n, 'all are done');
    await puller.stop();
    // By tag: 8. By pattern all but 1, 10 and 11: 9.
    assert.deepEqual(compared(counts), {
      PolledEventCount: 12,
      FilteredOutEventCount: 17,
      InvokedEventCount: 3,
      CommittedEventCount: 20,
    });
    await world.stop();

    await prepared(3, () => 'paid');
    const all = countingMeter();
    const second = world.start(failing(), {
      deps: { meter: all.meter },
      subscriptions: [{ filter: { type: 'TAG', expression: 'paid' } }],
    });
    await until(() => world.committed() === 3n, 'all are done');
    await second.stop();
    assert.equal(all.counts.FilteredOutEventCount, 0);
    await world.stop();

    await prepared(3);
    const none = countingMeter();
    const third = world.start(failing(), { deps: { meter: none.meter } });
    await until(() => world.committed() === 3n, 'all are done');
    await third.stop();
    assert.equal(none.counts.FilteredOutEventCount, undefined, 'without a filter');
  });

  test('a partial batch: the named messages, at each of their deliveries, until their ends', async () => {
    await prepared(10);
    const { counts, meter } = countingMeter();
    const puller = world.start(failing('3', '7'), {
      queues: QUEUES,
      deps: { meter },
      subscriptions: [{ maximumRetryAttempts: 2, batchSize: 10 }],
    });
    await until(() => counts.DeadLetteredEventCount === 2, 'both are in the DLQ');
    await until(() => world.committed(RETRY) === 4n, 'their last deliveries are committed');
    await puller.stop();
    assert.deepEqual(compared(counts), {
      PolledEventCount: 10 + 4,
      InvokedEventCount: 10 + 4,
      FailedInvokeEventCount: 2 + 4,
      CommittedEventCount: 10 + 4,
      RetriedEventCount: 4,
      DeadLetteredEventCount: 2,
    });
  });

  test('onFailure: what its destination took, and what it did not take', async () => {
    await prepared(4);
    const { counts, meter } = countingMeter();
    const deliver = async (_arn: string, record: { payload: Pick<RocketMQEvent, 'Records'> }) => {
      if (record.payload.Records[0]?.body === '0') throw new Error('AccessDenied');
    };
    const puller = world.start(failing('0', '1', '2'), {
      deps: { meter, destinations: { sqs: { deliver } } },
      subscriptions: [
        { maximumRetryAttempts: 0, batchSize: 4, onFailure: { type: 'sqs', arn: ARN } },
      ],
    });
    await until(() => world.committed() === 4n, 'each has its end');
    await puller.stop();
    assert.deepEqual(compared(counts), {
      PolledEventCount: 4,
      InvokedEventCount: 4,
      FailedInvokeEventCount: 3,
      OnFailureDestinationDeliveredEventCount: 2,
      CommittedEventCount: 4,
      OnFailureDestinationDeliveryErrorCount: 1,
      DeadLetteredEventCount: 3,
    });
  });

  test('`action: drop` is no count of Lambda’s', async () => {
    await prepared(3);
    const { counts, meter } = countingMeter();
    const handler = recorder(({ Records }) => ({
      batchItemFailures: [{ itemIdentifier: Records[0]?.messageId, action: 'drop' }],
    })).handler;
    const puller = world.start(handler, { deps: { meter }, subscriptions: [{ batchSize: 3 }] });
    await until(() => world.committed() === 3n, 'all are done');
    await puller.stop();
    assert.ok(!('DroppedEventCount' in counts));
    assert.deepEqual(compared(counts), {
      PolledEventCount: 3,
      InvokedEventCount: 3,
      FailedInvokeEventCount: 1,
      CommittedEventCount: 3,
      GivenUpEventCount: 1,
    });
  });

  test('a batch that is bisected: every call that failed, with its messages', async () => {
    await prepared(4);
    const { counts, meter } = countingMeter();
    const handler = recorder(({ Records }) => {
      if (Records.some(({ body }) => body === '2')) throw new Error('poison');
    }).handler;
    const puller = world.start(handler, {
      queues: QUEUES,
      deps: { meter },
      subscriptions: [{ maximumRetryAttempts: 1, batchSize: 4 }],
    });
    await until(() => counts.DeadLetteredEventCount === 1, 'it is in the DLQ');
    await until(() => world.committed(RETRY) === 1n, 'its last delivery is committed');
    await puller.stop();
    // 0123, 01, 23, 2, 3, and 2 once more.
    assert.deepEqual(compared(counts), {
      PolledEventCount: 4 + 1,
      InvokedEventCount: 4 + 2 + 2 + 1 + 1 + 1,
      FailedInvokeEventCount: 4 + 2 + 1 + 1,
      InvokeErrorCount: 4,
      CommittedEventCount: 4 + 1,
      RetriedEventCount: 1,
      DeadLetteredEventCount: 1,
    });
  });

  test('an answer that is none, and an answer that comes after `consumeTimeout`', async () => {
    await prepared(2);
    const { counts, meter } = countingMeter();
    let passed = 0;
    let calls = 0;
    const hangs: MessageHandler = {
      invoke: (_payload, { signal }) =>
        ++calls === 1
          ? new Promise((_resolve, reject) =>
              signal?.addEventListener('abort', () => reject(signal.reason as Error)),
            )
          : Promise.resolve({ kind: 'answered', answer: undefined }),
    };
    const clock = { ...systemClock, now: () => Date.now() + passed };
    const puller = world.start(hangs, {
      queues: QUEUES,
      deps: { meter, clock },
      subscriptions: [{ consumeTimeout: 5, batchSize: 2 }],
    });
    await until(() => calls === 1, 'the handler has them');
    passed = 6_000;
    await until(() => world.committed(RETRY) === 2n, 'the second delivery of each is done');
    await puller.stop();
    const { InvokedEventCount, PolledEventCount, CommittedEventCount, ...failed } =
      compared(counts);
    assert.deepEqual([PolledEventCount, CommittedEventCount, InvokedEventCount], [4, 4, 4]);
    assert.deepEqual(failed, {
      FailedInvokeEventCount: 2,
      InvokeErrorCount: 1,
      RetriedEventCount: 2,
    });
    await world.stop();

    await prepared(2);
    const invalid = countingMeter();
    const answers = world.start(inTurn({ kind: 'answered', answer: 'done' }), {
      deps: { meter: invalid.meter },
      subscriptions: [{ batchSize: 2 }],
    });
    await until(() => world.committed() === 2n, 'both are sent back');
    await answers.stop();
    assert.deepEqual(compared(invalid.counts), {
      PolledEventCount: 2,
      InvokedEventCount: 2,
      FailedInvokeEventCount: 2,
      CommittedEventCount: 2,
      InvokeErrorCount: 1,
      RetriedEventCount: 2,
      InvalidResponseCount: 1,
    });
  });

  test('a throttled handler: each try counts, and after 10 s it is unavailable', async () => {
    await prepared(3);
    const { counts, meter } = countingMeter();
    const handler = inTurn(THROTTLED, THROTTLED, THROTTLED, THROTTLED, {
      kind: 'answered',
      answer: undefined,
    });
    const clock = {
      ...systemClock,
      // From the third call on, 11 s have passed.
      now: () => Date.now() + (handler.calls > 2 ? 11_000 : 0),
    };
    const puller = world.start(handler, {
      deps: { meter, clock },
      subscriptions: [{ batchSize: 3 }],
    });
    await until(() => world.committed() === 3n, 'the fifth call goes through');
    await puller.stop();
    assert.deepEqual(compared(counts), {
      PolledEventCount: 3,
      InvokedEventCount: 5 * 3,
      FailedInvokeEventCount: 4 * 3,
      CommittedEventCount: 3,
      InvokeErrorCount: 4,
      ThrottleCount: 4,
      UnavailableHandlerCount: 2,
    });
  });

  test('a missing handler: no event invokes it, each puller that comes reports it, nothing fails', async () => {
    await prepared(3);
    const { counts, meter } = countingMeter();
    const missing = inTurn(MISSING);
    for (const rounds of [1, 2]) {
      const { queues } = await world.start(missing, { deps: { meter } }).report;
      assert.deepEqual(
        queues.map(({ reason }) => reason),
        ['handler-misconfigured'],
      );
      const { PolledEventCount, ...rest } = compared(counts);
      assert.equal(PolledEventCount, 3 * rounds);
      assert.deepEqual(rest, {
        FailedInvokeEventCount: 3 * rounds,
        InvokeErrorCount: rounds,
        UnavailableHandlerCount: rounds,
      });
    }
  });

  test('an event that Lambda refuses as too large invokes nothing', async () => {
    await prepared(2);
    const { counts, meter } = countingMeter();
    const handler = inTurn(
      { kind: 'too-large', error: new Error('RequestEntityTooLarge') },
      { kind: 'answered', answer: undefined },
    );
    const puller = world.start(handler, { deps: { meter }, subscriptions: [{ batchSize: 2 }] });
    await until(() => world.committed() === 2n, 'both are done');
    await puller.stop();
    assert.deepEqual(compared(counts), {
      PolledEventCount: 2,
      InvokedEventCount: 2,
      FailedInvokeEventCount: 2,
      CommittedEventCount: 2,
      InvokeErrorCount: 1,
    });
  });
});
