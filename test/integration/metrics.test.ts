import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError } from '../../src/errors.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { FOREIGN_SLOT } from '../../src/model/membership.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import type { MessageHandler } from '../../src/ports/invoke.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';
import { collectingGauges, countingMeter } from '../support/counting-meter.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import {
  at,
  createPullerWorld,
  gate,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

describe('a run of the coordinator tells', () => {
  let world: World;
  afterEach(() => world.stop());

  const service = (
    of: ServiceConfig['sources'],
    settings: Partial<ServiceConfig> = {},
  ): ServiceConfig => ({
    service: 'shop',
    stage: 'dev',
    clusters: {},
    sources: of,
    ...settings,
  });

  test('lag and age of each group, queues that nobody works, and that it ran', async () => {
    world = await createWorld({}, 1);
    world.broker.createTopic('orders', { queues: 2 });
    const before = Date.now();
    await world.send('orders', 0, 5);
    await sleep(5);
    await world.send('orders', 1, 2);
    const { record, told } = collectingGauges();
    const of = [source([subscription('orders')])];
    await world.run(of, {
      gauges: { record },
      service: service(of, { metrics: ['LagMetrics', 'QueueMetrics'] }),
    });
    const {
      OldestMessageAge = -1,
      AssignmentDuration = -1,
      ...group
    } = told.get('shop-dev/workers') ?? {};
    assert.deepEqual(group, {
      ActivePollers: 0,
      CurrentLeases: 0,
      UnmeasuredQueues: 0,
      SumOffsetLag: 7,
      MaxOffsetLag: 5,
      StalledQueues: 0,
      UnownedQueues: 0,
    });
    assert.ok(
      Number(OldestMessageAge) >= 0 && Number(OldestMessageAge) <= Date.now() - before,
      `${String(OldestMessageAge)} ms`,
    );
    // Two queues were new.
    assert.ok(
      Number(AssignmentDuration) >= 0 && Number(AssignmentDuration) <= Date.now() - before,
      `${String(AssignmentDuration)} ms`,
    );
    assert.equal(told.get('shop-dev/workers orders broker-a/0')?.SumOffsetLag, 5);
    assert.equal(told.get('shop-dev/workers orders broker-a/1')?.SumOffsetLag, 2);
    assert.deepEqual(told.get('shop-dev'), { CoordinatorHeartbeat: 1, CoordinatorErrorCount: 0 });
  });

  for (const mode of ['pull', 'pop'] as const)
    test(`brokers that do not answer, mode ${mode}: the queues count as unmeasured, nothing as 0`, async () => {
      world = await createWorld({}, 1);
      world.broker.createTopic('orders', { queues: 2 });
      world.broker.createGroup('workers');
      await world.send('orders', 0, 5);
      const of = [source([subscription('orders')], { mode })];
      const refused = () => Promise.reject(new ConnectionError('broker-a', 'connection refused'));
      const calls: Partial<RocketMQ> = {};
      const client = overriddenClient(world.client, calls);
      const run = async () => {
        const { record, told } = collectingGauges();
        await world.run(of, { gauges: { record }, clients: () => client });
        const {
          AssignmentDuration: _ms,
          OldestMessageAge,
          ...group
        } = told.get('shop-dev/workers') ?? {};
        return { ...group, isAgeTold: OldestMessageAge !== undefined };
      };
      // No list of metrics: what is 0 is left out, beside the sum and the age.
      assert.deepEqual(await run(), { SumOffsetLag: 5, MaxOffsetLag: 5, isAgeTold: true });
      calls.maxOffset = refused;
      assert.deepEqual(await run(), { UnmeasuredQueues: 2, isAgeTold: false });
      if (mode === 'pull') return;
      calls.topicRoute = refused;
      // The topic and its two retry topics.
      assert.deepEqual(await run(), { UnmeasuredQueues: 3, isAgeTold: false });
    });

  test('in mode pop: what is still to be popped, in the topic and in its retry topics, and for how long', async () => {
    world = await createWorld({}, 1);
    const { client, broker } = world;
    broker.createTopic('orders', { queues: 2 });
    broker.createTopic('news', { queues: 1 });
    broker.createTopic('%RETRY%workers_orders', { queues: 1 });
    broker.createGroup('workers');
    const queue = (topic: string, queueId = 0) => ({ topic, brokerName: 'broker-a', queueId });
    await world.send('orders', 0, 5);
    await sleep(20);
    const popped = Date.now();
    await world.send('orders', 1, 2);
    await world.send('%RETRY%workers_orders', 0, 1);
    await world.send('news', 0, 4);
    // As brokers do it when popped messages are acknowledged.
    await client.commitOffset('workers', queue('orders'), 5n);
    const pulls: string[] = [];
    broker.control(
      'PULL_MESSAGE',
      ({ command }) => void pulls.push(command.extFields.consumerGroup ?? ''),
      { times: Infinity },
    );
    const { record, told } = collectingGauges();
    const of = [
      source([subscription('orders'), subscription('news', { startingPosition: 'LATEST' })], {
        mode: 'pop',
      }),
    ];
    await world.run(of, {
      gauges: { record },
      service: service(of, { metrics: ['LagMetrics', 'QueueMetrics'] }),
    });
    const {
      OldestMessageAge = -1,
      AssignmentDuration: _ms,
      ...group
    } = told.get('shop-dev/workers') ?? {};
    assert.deepEqual(group, {
      ActivePollers: 0,
      CurrentLeases: 0,
      UnmeasuredQueues: 0,
      SumOffsetLag: 3,
      MaxOffsetLag: 2,
      StalledQueues: 0,
      UnownedQueues: 0,
    });
    assert.ok(
      Number(OldestMessageAge) >= 0 && Number(OldestMessageAge) <= Date.now() - popped,
      `${String(OldestMessageAge)} ms`,
    );
    assert.deepEqual(
      [
        'orders broker-a/0',
        'orders broker-a/1',
        '%RETRY%workers_orders broker-a/0',
        'news broker-a/0',
      ].map((name) => told.get(`shop-dev/workers ${name}`)?.SumOffsetLag),
      [0, 2, 1, 0],
    );
    // A pull in the group's name would move the place that it pops from, on some brokers.
    assert.deepEqual([...new Set(pulls)], ['serverless-rocketmq-ages']);
  });

  test('no queues without being asked for them, holders as pollers, and problems', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 2 });
    const of = [source([subscription('orders'), subscription('unknown')])];
    await world.pass(of[0]!);
    const now = world.clock.now();
    for (const { queue, slot } of await world.items()) {
      assert.ok(slot !== FOREIGN_SLOT);
      await world.store.acquire({
        ...world.group,
        queue,
        slot,
        holder: 'one-puller',
        now,
        leaseUntil: now + 900_000,
        endsAt: now + 900_000,
      });
    }
    const { record, told } = collectingGauges();
    await world.run(of, { gauges: { record } });
    assert.deepEqual([...told.keys()].sort(), ['shop-dev', 'shop-dev/workers']);
    const { ActivePollers, CurrentLeases, AssignmentDuration } = told.get('shop-dev/workers') ?? {};
    assert.deepEqual([ActivePollers, CurrentLeases], [1, 2]);
    assert.equal(AssignmentDuration, undefined, 'nothing had to be assigned');
    assert.equal(told.get('shop-dev')?.CoordinatorErrorCount, 1);
  });
});

describe('a puller counts', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  /** Of what the first pull of the queue brings. */
  async function storedBytes(expression: string): Promise<number> {
    const queue = at(0);
    const request = {
      consumerGroup: 'reader',
      queue,
      offset: 0n,
      subscription: buildSubscription(TOPIC, expression),
      maxMessages: 32,
    };
    const result = await world.client.pull({ ...request, suspendMs: 0 });
    return result.status === 'FOUND'
      ? result.messages.reduce((bytes, { storeSize }) => bytes + storeSize, 0)
      : 0;
  }

  test('what it polled, invoked, committed, sent back, dead-lettered and gave up', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(40, 0, (index) => (index < 30 ? { tags: 'paid' } : { tags: 'open' }));
    const { counts, meter } = countingMeter();
    const fails = new Map([
      ['3', 'dlq'],
      ['4', 'drop'],
      ['5', 'retry'],
    ]);
    const seen = recorder((event) => ({
      batchItemFailures: event.Records.flatMap(({ body, messageId }) =>
        fails.has(body) ? [{ itemIdentifier: messageId, action: fails.get(body) }] : [],
      ),
    }));
    const puller = world.start(seen.handler, {
      deps: { meter },
      subscriptions: [{ filter: { type: 'TAG', expression: 'paid' }, batchSize: 10 }],
    });
    while (world.committed() !== 40n) await sleep(10);
    await puller.stop();
    const {
      FilteredOutEventCount,
      InvokedBatchCount = 0,
      PollerThroughputInBytes,
      ...rest
    } = counts;
    assert.equal(PollerThroughputInBytes, await storedBytes('paid'));
    assert.ok(
      InvokedBatchCount >= 3 && InvokedBatchCount <= 30,
      `${InvokedBatchCount} batches of at most 10`,
    );
    assert.equal(FilteredOutEventCount, 10);
    assert.deepEqual(rest, {
      PolledEventCount: 30,
      InvokedEventCount: 30,
      FailedInvokeEventCount: 3,
      DeadLetteredEventCount: 1,
      DroppedEventCount: 1,
      RetriedEventCount: 1,
      CommittedEventCount: 40,
    });
    assert.equal((await world.assignmentOf()).committedOffset, 40n);
    assert.ok(
      ((await world.assignmentOf()).progressAt ?? 0) > Date.now() - 60_000,
      'when the group went on is noted',
    );
  });

  test('a throttled, a failing and a senseless handler', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(1);
    const { counts, meter } = countingMeter();
    let call = 0;
    const throttled = Object.assign(new Error('Rate exceeded'), {
      name: 'TooManyRequestsException',
    });
    const puller = world.start(
      {
        invoke: async () => {
          switch (++call) {
            case 1:
              return { kind: 'unavailable', error: throttled };
            case 2:
              return { kind: 'failed', errorType: 'Error', errorMessage: 'no' };
            default:
              return { kind: 'answered', answer: 'done' };
          }
        },
      },
      {
        queues: [
          { topic: TOPIC, brokerName: 'broker-a', queueId: 0 },
          { topic: '%RETRY%workers', brokerName: 'broker-a', queueId: 0 },
        ],
        deps: { meter },
        subscriptions: [{ maximumRetryAttempts: 1 }],
      },
    );
    while (counts.DeadLetteredEventCount === undefined) await sleep(10);
    await puller.stop();
    assert.deepEqual(
      [
        counts.ThrottleCount,
        counts.InvokeErrorCount,
        counts.InvalidResponseCount,
        counts.RetriedEventCount,
        counts.FailedInvokeEventCount,
      ],
      [1, 1, 1, 1, 2],
    );
  });
});

describe('a puller tells of the queue that it takes over', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());
  const IDLE = { idleTimeoutMs: 150 };

  /** A puller that takes what there is, and goes when it is idle. */
  async function idlePuller(): Promise<void> {
    const { queues } = await world.start(recorder().handler, { options: IDLE }).report;
    assert.deepEqual(
      queues.map(({ reason }) => reason),
      ['idle'],
    );
  }
  /** A puller that handles one message of many and is asked to go; what is left over is whoever's comes next. */
  async function handleOneOf(
    count: number,
    settings: Parameters<PullerWorld['start']>[1] = {},
  ): Promise<void> {
    await world.produce(count);
    const hold = gate();
    const seen = recorder(() => hold.passed);
    const puller = world.start(seen.handler, { subscriptions: [{ batchSize: 1 }], ...settings });
    await until(() => seen.bodies.length === 1, 'the first message is with its handler');
    const ending = puller.stop();
    hold.open();
    await ending;
    assert.equal(world.committed(), 1n);
  }

  test('how long a message waited that woke it: once, and not when the message found it awake', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const first = countingMeter();
    await world.start(recorder().handler, { options: IDLE, deps: { meter: first.meter } }).report;
    assert.deepEqual(
      [first.counts.InvokedEventCount, first.measured.WakeLatency],
      [1, undefined],
      'its first holder: nobody was missed',
    );
    const before = Date.now();
    await world.produce(1);
    const woken = countingMeter();
    const seen = recorder();
    const puller = world.start(seen.handler, { deps: { meter: woken.meter } });
    await until(() => seen.bodies.length === 1, 'it came');
    const after = Date.now();
    await world.produce(1);
    await until(() => seen.bodies.length === 2, 'the next came');
    await puller.stop();
    const [latency = -1, ...more] = woken.measured.WakeLatency ?? [];
    assert.ok(latency >= 0 && latency <= after - before, `${latency} ms`);
    assert.deepEqual([more, woken.measured.SuccessionGap], [[], undefined]);
    const awake = countingMeter();
    const third = recorder();
    const last = world.start(third.handler, { deps: { meter: awake.meter } });
    await until(() => awake.counts.PolledEventCount === 0, 'it has looked, and there was nothing');
    await world.produce(1);
    await until(() => third.bodies.length === 1, 'it came');
    await last.stop();
    assert.deepEqual(
      [awake.measured.WakeLatency, awake.measured.SuccessionGap],
      [undefined, undefined],
    );
  });

  test('how long messages were nobody’s that its predecessor left over', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await handleOneOf(3);
    const { heldUntil = 0 } = await world.assignmentOf();
    await sleep(60);
    const { counts, measured, meter } = countingMeter();
    const seen = recorder();
    const puller = world.start(seen.handler, { deps: { meter } });
    await until(() => seen.bodies.length === 2, 'the rest came');
    const acquiredAt = (await world.assignmentOf()).lease?.acquiredAt ?? 0;
    await puller.stop();
    assert.deepEqual(measured.SuccessionGap, [acquiredAt - heldUntil]);
    assert.ok(acquiredAt - heldUntil >= 60);
    assert.deepEqual(
      [measured.WakeLatency, counts.ExpiredLeases, counts.LeaseConflicts],
      [undefined, undefined, undefined],
    );
  });

  test('that its predecessor died, and how long ago its lease ended', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await handleOneOf(3);
    await world.die('killed');
    const { leaseUntil = 0 } = (await world.assignmentOf()).lease ?? {};
    const { counts, measured, meter } = countingMeter();
    const seen = recorder();
    const puller = world.start(seen.handler, { deps: { meter } });
    await until(() => seen.bodies.length === 2, 'the rest came');
    const acquiredAt = (await world.assignmentOf()).lease?.acquiredAt ?? 0;
    await puller.stop();
    assert.deepEqual(
      [counts.ExpiredLeases, measured.SuccessionGap],
      [1, [acquiredAt - leaseUntil]],
    );
  });

  test('nothing of what waited in a pause', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await idlePuller();
    await world.store.setPaused(world.group, at(0), Date.now() + 60_000);
    await world.produce(1);
    await world.store.setPaused(world.group, at(0), undefined);
    const asleep = countingMeter();
    await world.start(recorder().handler, { options: IDLE, deps: { meter: asleep.meter } }).report;
    assert.deepEqual(
      [asleep.counts.InvokedEventCount, asleep.measured.WakeLatency],
      [1, undefined],
    );
    await world.produce(20);
    const hold = gate();
    const seen = recorder(() => hold.passed);
    const drained = world.start(seen.handler, { subscriptions: [{ batchSize: 1 }] });
    await until(() => seen.bodies.length === 1, 'it works');
    await world.store.setOperatorPause(world.group, at(0), {
      until: Date.now() + 60_000,
      since: Date.now(),
      reason: 'a test',
    });
    await until(() => world.logs.some(({ reason }) => reason === 'paused'), 'it obeys');
    hold.open();
    await drained.report;
    await world.store.setOperatorPause(world.group, at(0), undefined);
    const resumed = countingMeter();
    const rest = recorder();
    const last = world.start(rest.handler, { deps: { meter: resumed.meter } });
    await until(() => rest.bodies.length === 19, 'the rest came');
    await last.stop();
    assert.equal(resumed.measured.SuccessionGap, undefined);
  });

  test('that it came for nothing', async () => {
    world = await createPullerWorld();
    await world.prepare();
    const holder = countingMeter();
    const puller = world.start(recorder().handler, { deps: { meter: holder.meter } });
    await until(() => holder.counts.PolledEventCount === 0, 'it holds the queue');
    const late = countingMeter();
    const { queues } = await world.start(recorder().handler, {
      options: { successionWaitMs: 0 },
      deps: { meter: late.meter },
    }).report;
    assert.deepEqual(
      queues.map(({ reason }) => reason),
      ['not-acquired'],
    );
    await puller.stop();
    assert.deepEqual([late.counts.LeaseConflicts, holder.counts.LeaseConflicts], [1, undefined]);
    assert.deepEqual(late.measured.PollerUtilization, undefined);
  });
});

describe('a puller tells', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  test('how much of its time it had messages in hand', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(1);
    const { measured, meter } = countingMeter();
    let workedMs = 0;
    const startedAt = Date.now();
    const handler = async (): Promise<void> => {
      const calledAt = Date.now();
      await sleep(300);
      workedMs = Date.now() - calledAt;
    };
    await world.start(handler, { options: { idleTimeoutMs: 700 }, deps: { meter } }).report;
    const [percent = -1, ...more] = measured.PollerUtilization ?? [];
    assert.deepEqual(more, []);
    // It waited for at least so long without a message, and was at work for at least so long of all its time.
    assert.ok(
      percent >= (workedMs / (Date.now() - startedAt)) * 99 && percent < 100,
      `${percent} %`,
    );
  });

  test('which messages are delivered again though nobody failed them: an answer that got lost', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(2);
    const { counts, meter } = countingMeter();
    let calls = 0;
    const puller = world.start(
      {
        invoke: async () =>
          ++calls === 1
            ? { kind: 'unavailable', error: new Error('socket hang up'), mayRun: true }
            : { kind: 'answered', answer: undefined },
      },
      { deps: { meter } },
    );
    await until(() => world.committed() === 2n, 'it went through at last');
    await puller.stop();
    assert.deepEqual([counts.DuplicateEventCount, counts.InvokedEventCount], [2, 4]);
  });

  test('and those of a handler that was not waited for, with what was done ahead of them', async () => {
    world = await createPullerWorld();
    await world.prepare();
    await world.produce(3);
    const { counts, meter } = countingMeter();
    const deaf: MessageHandler = {
      invoke: async (payload, { signal }) => {
        if ((payload.event() as RocketMQEvent).Records[0]?.body !== '0')
          return { kind: 'answered', answer: null };
        return new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      },
    };
    const handler = {
      invocation: 'function',
      functionKey: 'f',
      functionName: 'f',
      timeout: 0.1,
    } as const;
    const report = await world.start(deaf, {
      remainingMs: 9_000,
      subscriptions: [{ handler, batchSize: 1, parallelizationFactor: 2 }],
      deps: { meter },
    }).report;
    assert.deepEqual([report.queues[0]?.reason, world.committed()], ['deadline', 0n]);
    assert.equal(counts.DuplicateEventCount, 3);
    const again = recorder();
    const next = world.start(again.handler);
    await until(() => world.committed() === 3n, 'the next holder goes on');
    await next.stop();
    assert.deepEqual(again.bodies.toSorted(), ['0', '1', '2']);
  });
});
