import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isLive } from '../../src/decide/lease/lease.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { runOperator } from '../../src/operator/run-operator.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';
import { until } from '../support/until.ts';

const refusal = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof OperatorError &&
  error.code === `ROCKETMQ_OPERATOR_${code}` &&
  text.test(error.message);

describe('requests of operators', () => {
  let world: OperatorWorld;
  before(async () => {
    world = await createOperatorWorld();
  });
  after(() => world?.stop());

  test('that are none, of another version, or unknown are answered with what to do', async () => {
    for (const [request, code, text] of [
      [undefined, 'USAGE', /"rocketmqOperator"/],
      [
        { version: 2, command: 'status' },
        'USAGE',
        /version 2, and this function knows version 1: deploy/,
      ],
      [{ version: 1, command: 'stats' }, 'USAGE', /no command "stats"; did you mean status\?/],
      [{ version: 1, command: 'toString' }, 'USAGE', /no command/],
      [{ version: 1, command: 'status', args: [] }, 'USAGE', /args/],
      [
        { version: 1, command: 'status', args: { gruop: 'g' } },
        'USAGE',
        /--gruop is not an option of this command; did you mean group\?/,
      ],
      [
        { version: 1, command: 'status', args: { group: 'nobody' } },
        'NOT_FOUND',
        /no consumer group "nobody"/,
      ],
      [
        { version: 1, command: 'status', args: { cluster: 'defualt' } },
        'NOT_FOUND',
        /did you mean default\?/,
      ],
      [{ version: 1, command: 'pause', args: { queue: 'orders' } }, 'USAGE', /TOPIC\/BROKER\/ID/],
      [
        { version: 1, command: 'pause', args: { topic: 'order' } },
        'NOT_FOUND',
        /did you mean orders\?/,
      ],
      [{ version: 1, command: 'pause', args: { for: 0 } }, 'USAGE', /--for is 0/],
    ] as const) {
      const answer = await runOperator(world.deps, request);
      assert.equal(answer.ok, false);
      if (answer.ok) continue;
      assert.equal(answer.error.code, `ROCKETMQ_OPERATOR_${code}`, answer.error.message);
      assert.match(answer.error.message, text);
    }
    assert.equal((await runOperator(world.deps, { version: 1, command: 'status' })).ok, true);
  });
});

describe('status, pause and resume', () => {
  let world: OperatorWorld;
  before(async () => {
    world = await createOperatorWorld();
  });
  after(() => world?.stop());
  const only = async () => {
    const { groups } = await world.operate('status');
    assert.ok(groups[0]);
    return groups[0];
  };

  test('before anybody works: queues, offsets, lag and age by the broker', async () => {
    await world.produce(3, 0);
    await world.client.commitOffset(world.group.consumerGroup, world.queue(0), 1n);
    const { queues, lag, mode, deadLetters, oldestAgeMs } = await only();
    assert.deepEqual([lag, mode, deadLetters], ['2', 'pull', { stored: '0', waiting: '0' }]);
    assert.ok((oldestAgeMs ?? -1) >= 0);
    const [first, second] = queues;
    assert.deepEqual(
      [first?.state, first?.brokerOffset, first?.consumerOffset, first?.lag],
      ['unassigned', '3', '1', '2'],
    );
    assert.ok((first?.oldestStoredAt ?? 0) >= (first?.lastDoneStoredAt ?? Number.NaN));
    assert.deepEqual(
      [second?.brokerOffset, second?.consumerOffset, second?.lag, second?.oldestAgeMs],
      ['0', undefined, '0', undefined],
    );
  });

  test('a running group: held, then paused by an operator, drained, not started again, resumed', async () => {
    let handled = 0;
    const service = world.startService(({ Records }) => {
      handled += Records.length;
    });
    try {
      await until(
        async () => (await only()).lag === '0' && handled >= 2,
        'the group has caught up',
        20_000,
      );
      await until(
        async () =>
          (await only()).queues.every(
            ({ topic, holder }) => topic !== 'orders' || holder !== undefined,
          ),
        'all are held',
        20_000,
      );
      assert.ok(
        (await only()).queues
          .filter(({ topic }) => topic === 'orders')
          .every(({ state }) => state === 'consuming'),
      );

      const { groups } = await world.operate('pause', { reason: 'the warehouse moves', for: 600 });
      assert.deepEqual(
        [groups[0]?.scope, groups[0]?.reason, (groups[0]?.draining ?? 0) >= 2],
        ['*', 'the warehouse moves', true],
      );
      await until(
        async () =>
          (await world.store.list(world.group)).every(({ lease }) => !isLive(lease, Date.now())),
        'holders drain',
        20_000,
      );
      const before = handled;
      await world.produce(4, 1);
      const paused = await only();
      assert.ok(
        paused.queues.every(
          ({ state, reason, pauseReason }) =>
            state === 'paused' &&
            reason === 'PAUSED_BY_OPERATOR' &&
            pauseReason === 'the warehouse moves',
        ),
      );
      assert.equal(paused.lag, '4');

      // A topic of a paused group cannot go on alone.
      await assert.rejects(
        world.operate('resume', { topic: 'orders' }),
        refusal('REFUSED', /whole group .* is paused \(the warehouse moves\)/),
      );
      // The coordinator passes at least once, and a queue that appears now rests with the others.
      const late = { topic: 'orders', brokerName: 'broker-a', queueId: 2 };
      world.broker.createTopic('orders', { queues: 3 });
      await until(
        async () =>
          (await world.store.list(world.group)).some(
            ({ queue, operatorPause }) =>
              queue.queueId === late.queueId && operatorPause !== undefined,
          ),
        'the new queue is paused too',
        30_000,
      );
      assert.equal(handled, before);

      const look = await world.operate('resume', { 'dry-run': true });
      assert.deepEqual([look.groups[0]?.dryRun, (look.groups[0]?.queues ?? 0) >= 3], [true, true]);
      assert.ok((await only()).queues.every(({ state }) => state === 'paused'));
      await world.operate('resume');
      await until(() => handled === before + 4, 'what waited is delivered', 40_000);
      assert.ok(
        (await world.store.standingPauses(world.group)).every(({ until: end }) => end === 0),
      );
    } finally {
      await service.end();
    }
  });

  test('of a queue and of a topic; resuming the wider scope ends both; a check of the group stays out of it', async () => {
    const queue = 'orders/broker-a/0';
    await world.operate('pause', { queue, for: 60, reason: 'one' });
    await world.operate('pause', { topic: 'orders', for: 120, reason: 'all' });
    const states = async () =>
      (await only()).queues
        .filter(({ topic }) => topic === 'orders')
        .map(({ reason, pauseReason }) => [reason, pauseReason]);
    assert.deepEqual(
      await states(),
      [0, 1, 2].map(() => ['PAUSED_BY_OPERATOR', 'all']),
    );
    await assert.rejects(
      world.operate('resume', { queue }),
      refusal('REFUSED', /topic "orders" is paused \(all\)/),
    );
    await world.store.setPaused(world.group, world.queue(1), Date.now() + 60_000);
    await world.operate('resume', { topic: 'orders' });
    assert.deepEqual(await states(), [
      [undefined, undefined],
      ['PAUSED_BY_CHECK', undefined],
      [undefined, undefined],
    ]);
    await world.store.setPaused(world.group, world.queue(1), undefined);
  });

  test('a pause ends by itself', async () => {
    await world.operate('pause', { for: 1 });
    assert.equal((await only()).queues[0]?.reason, 'PAUSED_BY_OPERATOR');
    await until(async () => (await only()).queues[0]?.reason === undefined, 'it is over', 5_000);
  });

  test('what cannot be asked has a reason, and the rest is told', async () => {
    const service = {
      ...world.deps.service,
      sources: [
        {
          ...world.config,
          subscriptions: [
            ...world.config.subscriptions,
            { ...world.config.subscriptions[0]!, topic: 'no-such' },
          ],
        },
      ],
    };
    const { groups } = await world.operate('status', {}, { service });
    assert.deepEqual(
      groups[0]?.problems.map(({ topic, reason }) => [topic, reason]),
      [['no-such', 'TOPIC_NOT_FOUND']],
    );
    assert.ok((groups[0]?.queues.length ?? 0) >= 3);
  });

  test('without a table only the brokers are told, and a pause is refused', async () => {
    const { groups } = await world.operate('status', {}, { store: undefined });
    assert.ok(groups[0]?.queues.every(({ state }) => state === 'unassigned'));
    await assert.rejects(
      world.operate('pause', {}, { store: undefined }),
      refusal('REFUSED', /--table/),
    );
  });
});
