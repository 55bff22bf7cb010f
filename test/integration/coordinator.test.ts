import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FOREIGN_SLOT } from '../../src/model/membership.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { heartbeatBody } from '../contract/rocketmq/lab.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';
import { connectRaw } from '../support/raw-connection.ts';

const HEART_BEAT = 34;
const NO_PERMISSION = 16;

describe('the coordinator', () => {
  let world: World;
  afterEach(() => world.stop());

  const slots = async () => (await world.items()).map(({ queue, slot }) => [queueKey(queue), slot]);
  const codes = (report: { problems: readonly { code: string }[] }) =>
    report.problems.map(({ code }) => code);
  /** A lease of a puller that lives 15 minutes. */
  const hold = async (
    queueId: number,
    { slot = queueId, endsAt = 900_000, topic = 'orders' } = {},
  ) => {
    const now = world.clock.now();
    const answer = await world.store.acquire({
      ...world.group,
      queue: { topic, brokerName: 'broker-a', queueId },
      slot,
      holder: `holder-${queueId}`,
      now: now + endsAt - 900_000,
      leaseUntil: now + Math.min(endsAt, 400_000),
      endsAt: now + endsAt,
    });
    assert.equal(answer.applied, true);
  };

  test('makes an assignment per queue with a slot of its own, and invokes a puller for each whose offset is unknown', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 3 });
    await world.send('orders', 1, 5);
    const report = await world.pass(source([subscription('orders')]));
    assert.deepEqual(codes(report), []);
    assert.deepEqual(await slots(), [
      ['orders/broker-a/0', 0],
      ['orders/broker-a/1', 1],
      ['orders/broker-a/2', 2],
    ]);
    assert.deepEqual(
      world.invocations.map(({ slot, queues }) => [slot, queues.map(queueKey)]).sort(),
      [0, 1, 2].map((id) => [id, [`orders/broker-a/${id}`]]),
    );
    const plan = await world.store.readPlan(world.group);
    assert.deepEqual(
      [plan?.version, plan?.strategy, plan?.slots, plan?.metTopics],
      [1, 'AVG', 3, ['orders']],
    );
    assert.deepEqual([report.passes, report.created, report.invocations], [1, 3, 3]);
  });

  test('with N pullers invokes each slot once, for all of its queues; the retry topic is one of them', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 4 });
    world.broker.createTopic('%RETRY%workers', { queues: 1 });
    await world.pass(source([subscription('orders')], { pullers: 2 }));
    assert.deepEqual(
      world.invocations.map(({ slot, queues }) => [slot, queues.map(queueKey)]).sort(),
      [
        [0, ['%RETRY%workers/broker-a/0', 'orders/broker-a/0', 'orders/broker-a/1']],
        [1, ['orders/broker-a/2', 'orders/broker-a/3']],
      ],
    );
  });

  test('LATEST counts at the first meeting only; later queues and the retry queue start at their first message', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 2 });
    world.broker.createTopic('%RETRY%workers', { queues: 1 });
    await world.send('orders', 0, 5);
    const latest = source([subscription('orders', { startingPosition: 'LATEST' })]);
    await world.pass(latest);
    world.broker.createTopic('orders', { queues: 3 });
    await world.send('orders', 2, 4);
    await world.pass(latest);
    assert.deepEqual(
      (await world.items()).map(({ queue, startOffset }) => [queueKey(queue), startOffset]),
      [
        ['%RETRY%workers/broker-a/0', 0n],
        ['orders/broker-a/0', 5n],
        ['orders/broker-a/1', 0n],
        ['orders/broker-a/2', 0n],
      ],
    );
  });

  test('AT_TIMESTAMP starts at the first message stored since', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    await world.send('orders', 0, 3);
    await sleep(20);
    const since = Date.now();
    await sleep(5);
    await world.send('orders', 0, 3);
    await world.pass(
      source([
        subscription('orders', {
          startingPosition: 'AT_TIMESTAMP',
          startingPositionTimestamp: since,
        }),
      ]),
    );
    assert.equal((await world.items())[0]?.startOffset, 3n);
  });

  test('a broker that cannot tell an offset at the first meeting delays its queues only, and does not make them late', async () => {
    world = await createWorld({ brokers: 2 });
    world.broker.createTopic('orders', { queues: 1 });
    await world.send('orders', 0, 4, 'broker-b');
    const latest = source([subscription('orders', { startingPosition: 'LATEST' })]);
    const control = world.broker.control('GET_MAX_OFFSET', () => ({ code: 1, remark: 'not now' }), {
      server: 'broker-b',
      times: Infinity,
    });
    assert.deepEqual(new Set(codes(await world.pass(latest))), new Set(['ROCKETMQ_BROKER']));
    assert.deepEqual(await slots(), [['orders/broker-a/0', 0]]);
    assert.deepEqual((await world.store.readPlan(world.group))?.metTopics, []);
    control.remove();
    await world.pass(latest);
    assert.deepEqual(
      (await world.items()).map(({ startOffset }) => startOffset),
      [0n, 4n],
    );
    assert.deepEqual((await world.store.readPlan(world.group))?.metTopics, ['orders']);
  });

  test('moves what has to move when queues are added, generation +1, at once within a run', async () => {
    world = await createWorld({}, 10);
    world.broker.createTopic('orders', { queues: 4 });
    const two = source([subscription('orders')], { pullers: 2 });
    const running = world.pass(two, { remainingMs: () => 15_000 });
    await sleep(200);
    assert.deepEqual(
      (await slots()).map(([, slot]) => slot),
      [0, 0, 1, 1],
    );
    world.broker.createTopic('orders', { queues: 8 });
    const report = await running;
    assert.deepEqual(
      (await slots()).map(([, slot]) => slot),
      [0, 0, 0, 0, 1, 1, 1, 1],
    );
    assert.deepEqual(
      (await world.items()).map(({ generation }) => generation),
      [1, 1, 2, 2, 1, 1, 1, 1],
    );
    // Two passes in 10 s: the second did not wait for its 20 s.
    assert.deepEqual([report.passes, report.moved], [2, 2]);
    assert.equal((await world.store.readPlan(world.group))?.version, 2);
  });

  test('a broker that is gone for a moment changes nothing; one that stays away leaves its items as they are', async () => {
    world = await createWorld({ brokers: 2 });
    world.broker.createTopic('orders', { queues: 2 });
    const all = source([subscription('orders')], { pullers: 2 });
    await world.pass(all);
    const before = await slots();
    await world.broker.stopBroker('broker-b');
    await world.pass(all);
    assert.deepEqual(await slots(), before);
    assert.deepEqual(
      (await world.items()).map(({ absentSince }) => absentSince !== undefined),
      [false, false, true, true],
    );
    await world.broker.startBroker('broker-b');
    await world.pass(all);
    assert.deepEqual(
      (await world.items()).map(({ absentSince }) => absentSince),
      [undefined, undefined, undefined, undefined],
    );

    await world.broker.stopBroker('broker-b');
    world.invocations.length = 0;
    const reports = [await world.pass(all, { remainingMs: () => 60_000 }), await world.pass(all)];
    assert.equal(
      reports.reduce((sum, { retired }) => sum + retired, 0),
      0,
    );
    assert.deepEqual(
      (await world.items()).map(({ absentSince }) => absentSince !== undefined),
      [false, false, true, true],
    );
    // Only now the rest is spread anew.
    await world.pass(all);
    assert.deepEqual((await slots()).map(([, slot]) => slot).slice(0, 2), [0, 1]);
    assert.equal(
      world.invocations.some(({ queues }) =>
        queues.some(({ brokerName }) => brokerName === 'broker-b'),
      ),
      false,
    );

    await world.broker.startBroker('broker-b');
    await world.pass(all, { remainingMs: () => 60_000 });
    assert.deepEqual(await slots(), before);
    assert.deepEqual(
      (await world.items()).map(({ retiredAt, absentSince }) => [retiredAt, absentSince]),
      Array.from({ length: 4 }, () => [undefined, undefined]),
    );
  });

  test('a broker that was away for minutes: offsets, attempts, deaths and pauses are as they were', async () => {
    world = await createWorld({ brokers: 2 });
    world.broker.createTopic('orders', { queues: 1 });
    const all = source([subscription('orders')]);
    await world.pass(all);
    const [, item] = await world.items();
    assert.ok(item?.queue.brokerName === 'broker-b');
    const key = { ...world.group, queue: item.queue, holder: 'A' };
    assert.ok(item.slot !== FOREIGN_SLOT);
    const now = world.clock.now();
    const acquired = await world.store.acquire({
      ...key,
      slot: item.slot,
      now,
      leaseUntil: now + 9_000,
      endsAt: now + 9_000,
    });
    assert.ok(acquired.applied);
    const known = {
      committedOffset: 7n,
      maxOffset: 9n,
      crash: { offset: 7n, count: 2, isolateUntil: 9n },
      attempts: new Map([[7n, 3]]),
      lifeMark: { offset: 8n, storedAt: 1_000 },
    };
    await world.store.release({ ...key, fence: acquired.assignment.fence, ...known });
    const pause = { until: now + 3_600_000, since: now, reason: 'maintenance' };
    await world.store.setOperatorPause(world.group, item.queue, pause);

    await world.broker.stopBroker('broker-b');
    const away = [];
    for (let minutes = 0; minutes < 3; minutes++)
      away.push(await world.pass(all, { remainingMs: () => 60_000 }));
    // It is not asked for what it cannot answer.
    assert.deepEqual(codes(away.at(-1) ?? assert.fail('no pass')), []);
    await world.broker.startBroker('broker-b');
    await world.pass(all);
    const rest = (await world.items())[1] ?? assert.fail('no item');
    assert.deepEqual(
      { ...rest },
      {
        ...world.group,
        queue: item.queue,
        slot: item.slot,
        generation: rest.generation,
        startOffset: 0n,
        fence: 1,
        ...known,
        pausedUntil: pause.until,
        operatorPause: pause,
      },
    );
  });

  test('a topic that was deleted is retired; created again under its name, it keeps what its items know', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createTopic('others', { queues: 1 });
    const both = source([subscription('orders'), subscription('others')]);
    await world.pass(both);
    world.broker.deleteTopic('orders');
    await world.pass(both, { remainingMs: () => 60_000 });
    assert.equal((await world.pass(both, { remainingMs: () => 60_000 })).created, 0);
    assert.notEqual((await world.items())[0]?.retiredAt, undefined);
    world.broker.createTopic('orders', { queues: 1 });
    assert.equal((await world.pass(both)).revived, 1);
    assert.equal((await world.items())[0]?.retiredAt, undefined);
  });

  test('the only broker of a cluster is away: nothing is retired, although its topics have no route', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    const orders = source([subscription('orders')]);
    await world.pass(orders);
    await world.broker.stopBroker('broker-a');
    for (let minutes = 0; minutes < 2; minutes++)
      await world.pass(orders, { remainingMs: () => 60_000 });
    assert.deepEqual(
      (await world.items()).map(({ retiredAt }) => retiredAt),
      [undefined],
    );
  });

  test('an idle queue that was replaced by one of the same length gets a puller', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createGroup('workers');
    await world.send('orders', 0, 3);
    const latest = source([subscription('orders', { startingPosition: 'LATEST' })]);
    await world.pass(latest);
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
    await world.client.commitOffset('workers', queue, 3n);
    world.invocations.length = 0;
    await world.pass(latest);
    assert.equal(world.invocations.length, 0);
    // Brokers before 5.0 keep the offset.
    world.broker.deleteTopic('orders');
    world.broker.createTopic('orders', { queues: 1 });
    await world.client.commitOffset('workers', queue, 3n);
    await sleep(5);
    await world.send('orders', 0, 3);
    await world.pass(latest);
    assert.deepEqual(
      world.invocations.flatMap(({ queues }) => queues.map(queueKey)),
      ['orders/broker-a/0'],
    );
  });

  test('an item of LATEST recognises the queue that its start offset is of', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    await world.send('orders', 0, 3);
    await world.pass(source([subscription('orders', { startingPosition: 'LATEST' })]));
    const [item] = await world.items();
    assert.equal(item?.startOffset, 3n);
    assert.deepEqual(item.lifeMark, {
      offset: 2n,
      storedAt: world.broker.messages('orders')[2]?.storeTimestamp,
    });
  });

  test('refuses a group with a foreign member: pauses who holds, invokes nobody, and goes on when the member is gone', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 2 });
    const orders = source([subscription('orders')]);
    await world.pass(orders);
    await hold(0);
    const member = await connectRaw(world.broker.brokers[0]?.address ?? '');
    await member.call(
      HEART_BEAT,
      {},
      { body: heartbeatBody('workers', { clientID: '10.0.0.1@java', topic: 'orders' }) },
    );
    world.invocations.length = 0;
    const report = await world.pass(orders);
    assert.deepEqual(codes(report), ['ROCKETMQ_FOREIGN_MEMBERS']);
    assert.match(report.problems[0]?.message ?? '', /10\.0\.0\.1@java.*stop them/);
    assert.equal(world.invocations.length, 0);
    const [held, free] = await world.items();
    assert.ok((held?.pausedUntil ?? 0) > world.clock.now());
    assert.equal(free?.pausedUntil, undefined);
    member.close();
    await sleep(100);
    assert.deepEqual(codes(await world.pass(orders)), []);
    assert.deepEqual(
      world.invocations.flatMap(({ queues }) => queues.map(queueKey)),
      ['%RETRY%workers/broker-a/0', 'orders/broker-a/1'],
    );
  });

  test('names what other members subscribe to otherwise, and lets it be in broadcasting', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    const member = await connectRaw(world.broker.brokers[0]?.address ?? '');
    await member.call(
      HEART_BEAT,
      {},
      {
        body: heartbeatBody('workers', {
          clientID: '10.0.0.1@java',
          topic: 'orders',
          tags: 'paid || new',
        }),
      },
    );
    const ours = { type: 'TAG', expression: 'paid' } as const;
    const report = await world.pass(source([subscription('orders', { filter: ours })]));
    assert.deepEqual(codes(report), ['ROCKETMQ_FOREIGN_MEMBERS', 'ROCKETMQ_UNEQUAL_SUBSCRIPTIONS']);
    assert.match(
      report.problems[1]?.message ?? '',
      /orders: here TAG paid, there TAG new \|\| paid/,
    );
    const same = { type: 'TAG', expression: 'new||paid' } as const;
    const broadcast = source([subscription('orders', { filter: same })], {
      messageModel: 'BROADCASTING',
    });
    assert.deepEqual(codes(await world.pass(broadcast)), []);
    assert.equal(world.invocations.length, 1);
    member.close();
  });

  test('a member under the name of one of our slots is not foreign', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    const member = await connectRaw(world.broker.brokers[0]?.address ?? '');
    await member.call(
      HEART_BEAT,
      {},
      { body: heartbeatBody('workers', { clientID: 'shop-dev@workers@12', topic: 'orders' }) },
    );
    assert.deepEqual(codes(await world.pass(source([subscription('orders')]))), []);
    member.close();
  });

  test('a failing topic does not stop the others, nor a failing group the others', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createTopic('filtered', { queues: 1 });
    const bad = { type: 'TAG', expression: ' || ' } as const;
    const sql = { type: 'SQL92', expression: 'a > 1' } as const;
    const { groups } = await world.run([
      source([
        subscription('nowhere'),
        subscription('filtered', { filter: bad }),
        subscription('orders'),
      ]),
      source([subscription('filtered', { filter: sql })], { consumerGroup: 'others' }),
    ]);
    assert.deepEqual(codes(groups[0]!).sort(), [
      'ROCKETMQ_INVALID_FILTER',
      'ROCKETMQ_TOPIC_NOT_FOUND',
    ]);
    assert.deepEqual(groups[0]?.problems.map(({ topic }) => topic).sort(), ['filtered', 'nowhere']);
    assert.notDeepEqual(codes(groups[1]!), []);
    assert.deepEqual(
      world.invocations
        .filter(({ consumerGroup }) => consumerGroup === 'workers')
        .flatMap(({ queues }) => queues.map(queueKey)),
      ['orders/broker-a/0'],
    );
  });

  test('a broker that does not answer does not stop the queues of the others', async () => {
    world = await createWorld({ brokers: 2 });
    world.broker.createTopic('orders', { queues: 1 });
    await world.pass(source([subscription('orders')]));
    world.invocations.length = 0;
    world.broker.control('*', () => 'disconnect', { server: 'broker-b', times: Infinity });
    const report = await world.pass(source([subscription('orders')]));
    assert.deepEqual(new Set(codes(report)), new Set(['ROCKETMQ_CONNECTION']));
    assert.match(report.problems[0]?.message ?? '', /addressMap/);
    assert.deepEqual(
      world.invocations.flatMap(({ queues }) => queues.map(queueKey)),
      ['orders/broker-a/0'],
    );
  });

  test('an unreachable table and an invoker that fails are told, and stop nothing for good', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    let refusals = 1;
    const invoker = {
      async invoke() {
        if (refusals-- > 0) throw new Error('TooManyRequests');
      },
    };
    const report = await world.pass(source([subscription('orders')]), {
      invoker,
      remainingMs: () => 25_000,
    });
    assert.deepEqual(
      report.problems.map(({ message }) => message),
      ['TooManyRequests'],
    );
    assert.ok(report.invocations >= 1);
    let outages = 1;
    const store = {
      ...world.store,
      async list(key: typeof world.group) {
        if (outages-- > 0) throw new Error('the table sleeps');
        return world.store.list(key);
      },
    };
    const second = await world.pass(source([subscription('orders')]), {
      store,
      remainingMs: () => 25_000,
    });
    assert.deepEqual(
      second.problems.map(({ message }) => message),
      ['the table sleeps'],
    );
    assert.equal(second.invocations, 1);
  });

  test('without the right to ask for offsets LATEST is a named error; TRIM_HORIZON and the retry queue start at 0', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createTopic('bills', { queues: 1 });
    for (const request of ['GET_MAX_OFFSET', 'GET_MIN_OFFSET'] as const)
      world.broker.control(request, () => ({ code: NO_PERMISSION, remark: 'no' }), {
        times: Infinity,
      });
    const report = await world.pass(
      source([subscription('orders', { startingPosition: 'LATEST' }), subscription('bills')]),
    );
    assert.deepEqual(new Set(codes(report)), new Set(['ROCKETMQ_PERMISSION']));
    assert.match(report.problems[0]?.message ?? '', /Get/);
    assert.deepEqual(await slots(), [['bills/broker-a/0', 0]]);
    assert.deepEqual(
      world.invocations.flatMap(({ queues }) => queues.map(queueKey)),
      ['bills/broker-a/0'],
    );
  });

  test('does not dispatch a subscription that is not enabled: makes no item, and its holders drain', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createTopic('bills', { queues: 1 });
    await world.pass(source([subscription('orders', { enabled: false }), subscription('bills')]));
    assert.deepEqual(await slots(), [['bills/broker-a/0', 0]]);
    await hold(0, { topic: 'bills' });
    world.invocations.length = 0;
    await world.pass(
      source([
        subscription('orders', { enabled: false }),
        subscription('bills', { enabled: false }),
      ]),
    );
    assert.equal(world.invocations.length, 0);
    assert.ok(((await world.items())[0]?.pausedUntil ?? 0) > world.clock.now());
  });

  test('two coordinators at once reach one assignment and one plan, and decide one start offset', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 16 });
    const latest = source([subscription('orders', { startingPosition: 'LATEST' })], { pullers: 5 });
    let sending = true;
    const traffic = (async () => {
      while (sending) for (let id = 0; id < 16; id++) await world.send('orders', id);
    })();
    const reports = await Promise.all(Array.from({ length: 4 }, () => world.pass(latest)));
    sending = false;
    await traffic;
    assert.equal(
      reports.reduce((sum, { created }) => sum + created, 0),
      16,
    );
    assert.deepEqual(reports.flatMap(codes), []);
    const first = await world.items();
    assert.deepEqual(
      first.map(({ generation }) => generation),
      Array(16).fill(1),
    );
    assert.equal((await world.store.readPlan(world.group))?.version, 1);
    await world.pass(latest);
    assert.deepEqual(await world.items(), first);
  });

  test('dies at any step, and the next one reaches the same state', async () => {
    world = await createWorld({ brokers: 2 });
    const reach = async (consumerGroup: string, diesAt: number | undefined) => {
      world.broker.createTopic(consumerGroup, { queues: 2 });
      const group: SourceConfig = source([subscription(consumerGroup)], {
        consumerGroup,
        pullers: 3,
      });
      let steps = 0;
      const dead = new AbortController();
      const mortal = <T extends object>(target: T): T =>
        new Proxy(target, {
          get(object, name) {
            const method: unknown = Reflect.get(object, name);
            if (typeof method !== 'function') return method;
            return async (...parameters: unknown[]) => {
              // Half of the deaths come before the call, half between its effect and its answer.
              const dies = ++steps >= (diesAt ?? Infinity);
              if (dies && (steps % 2 === 0 || dead.signal.aborted)) {
                dead.abort();
                throw new Error('died');
              }
              const result: unknown = await Reflect.apply(method, object, parameters);
              if (!dies) return result;
              dead.abort();
              throw new Error('died');
            };
          },
        });
      await world.pass(group, {
        store: mortal(world.store),
        clients: () => mortal(world.client),
        signal: dead.signal,
      });
      if (diesAt !== undefined) await world.pass(group);
      const items = await world.store.list({ cluster: 'default', consumerGroup });
      const plan = await world.store.readPlan({ cluster: 'default', consumerGroup });
      const state = items.map(({ queue, slot, generation, startOffset }) => [
        queue.brokerName,
        queue.queueId,
        slot,
        generation,
        startOffset,
      ]);
      return {
        steps,
        state: {
          state: state.sort(),
          metTopics: plan?.metTopics.length,
          slots: plan?.slots,
          version: plan?.version,
        },
      };
    };
    const { steps, state } = await reach('immortal', undefined);
    assert.equal(state.state.length, 4);
    assert.ok(steps > 10);
    for (let step = 1; step <= steps; step++)
      assert.deepEqual((await reach(`mortal-${step}`, step)).state, state, `died at step ${step}`);
  });

  test('watches idle queues: a message invokes its puller at once, nothing is committed, other queues are left alone', async () => {
    world = await createWorld({ longPollTickMs: 5_000 }, 10);
    world.broker.createTopic('orders', { queues: 3 });
    await commitAll(world.client, 'orders', 3);
    const running = world.pass(source([subscription('orders')]), { remainingMs: () => 25_000 });
    await sleep(500);
    assert.equal(world.invocations.length, 0);
    assert.equal(world.broker.heldPulls(), 3);
    const sentAt = Date.now();
    await world.send('orders', 1);
    await sleep(300);
    assert.deepEqual(
      world.invocations.map(({ slot, queues }) => [slot, queues.map(queueKey)]),
      [[1, ['orders/broker-a/1']]],
    );
    assert.ok((world.invocations[0]?.at ?? Infinity) - sentAt < 250);
    const report = await running;
    assert.deepEqual(codes(report), []);
    assert.equal(world.broker.offset('workers', { topic: 'orders', queueId: 1 }), 0n);
    // Nobody came, and 15 s had not passed for long: no storm of invocations.
    assert.ok(world.invocations.length <= 2, `${world.invocations.length} invocations`);
  });

  test('a message that waits does not make it ask a table that is away without a pause', async () => {
    world = await createWorld({ longPollTickMs: 5_000 }, 4);
    world.broker.createTopic('orders', { queues: 1 });
    await commitAll(world.client, 'orders', 1);
    let [away, asked] = [false, 0];
    const store = {
      ...world.store,
      async list(key: typeof world.group) {
        if (!away) return world.store.list(key);
        asked++;
        throw new Error('the table sleeps');
      },
    };
    const running = world.pass(source([subscription('orders')]), {
      store,
      remainingMs: () => 15_000,
    });
    for (const end = Date.now() + 3_000; world.broker.heldPulls() !== 1 && Date.now() < end; )
      await sleep(10);
    away = true;
    await world.send('orders', 0);
    // 4 s of its clock.
    await sleep(1_000);
    assert.ok(asked >= 1 && asked <= 6, `${asked} times`);
    away = false;
    await running;
    assert.equal(world.invocations.length, 1);
  });

  test('invokes again at once when the puller came, worked and went', async () => {
    world = await createWorld({ longPollTickMs: 5_000 }, 4);
    world.broker.createTopic('orders', { queues: 1 });
    await commitAll(world.client, 'orders', 1);
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
    const running = world.pass(source([subscription('orders')]), { remainingMs: () => 17_000 });
    await sleep(300);
    await world.send('orders', 0);
    await sleep(200);
    assert.equal(world.invocations.length, 1);
    await hold(0);
    await world.client.commitOffset('workers', queue, 1n);
    await world.store.release({ ...world.group, queue, holder: 'holder-0', fence: 1 });
    // The next look finds it idle and watches it again.
    await sleep(1_500);
    assert.equal(world.broker.heldPulls(), 1);
    await world.send('orders', 0);
    await sleep(200);
    assert.equal(world.invocations.length, 2);
    await running;
  });

  test('invokes the successor of a holder that ends soon, and the new slot of a queue that moved', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 3 });
    const orders = source([subscription('orders')]);
    await world.pass(orders);
    for (const queueId of [0, 1, 2])
      await hold(queueId, { endsAt: queueId === 0 ? 30_000 : 800_000 });
    world.invocations.length = 0;
    await world.pass(orders);
    const invoked = () => world.invocations.map(({ slot, queues }) => [slot, queues.map(queueKey)]);
    assert.deepEqual(invoked(), [[0, ['orders/broker-a/0']]]);
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
    const now = world.clock.now();
    await world.store.announceSuccessor({
      ...world.group,
      queue,
      slot: 0,
      holder: 'next',
      now,
      until: now + 60_000,
    });
    world.invocations.length = 0;
    await world.pass(orders);
    assert.deepEqual(invoked(), []);
    await world.pass(source([subscription('orders')], { pullers: 1 }));
    assert.deepEqual(invoked(), [[0, ['orders/broker-a/1', 'orders/broker-a/2']]]);
  });

  test('returns in good order when it is told to stop, or has no time', async () => {
    world = await createWorld({}, 1);
    world.broker.createTopic('orders', { queues: 1 });
    await commitAll(world.client, 'orders', 1);
    const stop = new AbortController();
    const running = world.pass(source([subscription('orders')]), {
      signal: stop.signal,
      remainingMs: () => 60_000,
    });
    await sleep(300);
    const stoppedAt = Date.now();
    stop.abort(new Error('stop'));
    assert.deepEqual(codes(await running), []);
    assert.ok(Date.now() - stoppedAt < 200);
    assert.equal(
      (await world.pass(source([subscription('orders')]), { remainingMs: () => 1_000 })).passes,
      0,
    );
  });
});

/** As a puller leaves its queues: the group exists, everything is committed. */
async function commitAll(client: RocketMQ, topic: string, queues: number): Promise<void> {
  await client.createGroup('workers');
  for (let queueId = 0; queueId < queues; queueId++) {
    const queue = { topic, brokerName: 'broker-a', queueId };
    await client.commitOffset('workers', queue, await client.maxOffset(queue));
  }
}
