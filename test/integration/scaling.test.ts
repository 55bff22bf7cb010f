import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { PermissionError } from '../../src/errors.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';
import { until } from '../support/until.ts';

const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };

describe('when pullers are started', () => {
  let world: World;
  afterEach(() => world.stop());

  const invoked = () => world.invocations.flatMap(({ queues }) => queues.map(queueKey));
  /** A topic with one queue, whose every message is done. */
  const idle = async (speed?: number) => {
    world = await createWorld({ longPollTickMs: 5_000 }, speed);
    world.broker.createTopic('orders', { queues: 1 });
    world.broker.createGroup('workers');
    await world.client.commitOffset('workers', QUEUE, 0n);
  };
  /** With ACL 2.0 a right to SUB is enough to consume, and no right to GET. */
  const withoutGet = () =>
    new Proxy(world.client, {
      get(target, name) {
        if (name !== 'maxOffset') return Reflect.get(target, name).bind(target);
        return () =>
          Promise.reject(
            new PermissionError('GET_MAX_OFFSET', 'broker-a', 16, 'NO_PERMISSION', 'no right'),
          );
      },
    });

  test('coordinator.mode schedule: a run is one look, holds no poll, and finds what came since the last one', async () => {
    await idle();
    const service: ServiceConfig = {
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: world.broker.nameServers } },
      sources: [source([subscription('orders')])],
      coordinatorMode: 'schedule',
    };
    const pass = async () => {
      const startedAt = world.clock.now();
      const report = await world.pass(service.sources[0]!, { service, remainingMs: () => 60_000 });
      assert.deepEqual([report.passes, report.problems], [1, []]);
      assert.equal(world.broker.heldPulls(), 0);
      // Of its clock, which runs 20 times as fast: a run that watches takes 55.
      assert.ok(world.clock.now() - startedAt < 50_000, 'it ended long before the next one');
    };
    await pass();
    assert.deepEqual(invoked(), []);
    await world.send('orders', 0);
    assert.deepEqual(invoked(), []);
    await pass();
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('coordinator.mode schedule: a pass that fails is tried again in the same run', async () => {
    await idle(4);
    await world.send('orders', 0);
    let asked = 0;
    const store = {
      ...world.store,
      async list(key: typeof world.group) {
        if (++asked === 1) throw new Error('the table sleeps');
        return world.store.list(key);
      },
    };
    const sources = [source([subscription('orders')])];
    const clusters = { default: { nameServers: world.broker.nameServers } };
    const service: ServiceConfig = {
      service: 'shop',
      stage: 'dev',
      clusters,
      sources,
      coordinatorMode: 'schedule',
    };
    const report = await world.pass(sources[0]!, { service, store, remainingMs: () => 60_000 });
    assert.deepEqual([report.passes, report.problems.length], [2, 1]);
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('coordinator.mode schedule: messages are found where the end of a queue may not be asked for', async () => {
    await idle();
    const sources = [source([subscription('orders')])];
    const clusters = { default: { nameServers: world.broker.nameServers } };
    const service: ServiceConfig = {
      service: 'shop',
      stage: 'dev',
      clusters,
      sources,
      coordinatorMode: 'schedule',
    };
    const pass = () => world.pass(sources[0]!, { service, clients: () => withoutGet() });
    await pass();
    assert.deepEqual(invoked(), []);
    await world.send('orders', 0);
    await pass();
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('idleTimeout never: a queue without messages has a puller, too', async () => {
    await idle();
    await world.pass(source([subscription('orders')]));
    assert.deepEqual(invoked(), []);
    await world.pass(source([subscription('orders')], { idleTimeout: 'never' }));
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('scaling: messages that are few wait until the first is old, also when the watch saw them', async () => {
    await idle(10);
    const sparse = source([subscription('orders')], {
      scaling: { activationLagThreshold: 2, maxMessageAgeSeconds: 35 },
    });
    const running = world.pass(sparse, { remainingMs: () => 60_000 });
    await until(() => world.broker.heldPulls() === 1, 'the queue is watched');
    const sentAt = world.clock.now();
    await world.send('orders', 0);
    await until(() => invoked().length > 0, 'its puller is invoked');
    // The coordinator's clock runs ten times as fast as the broker's, so that the message seems some seconds older than it is.
    const waited = world.clock.now() - sentAt;
    assert.ok(waited >= 15_000, `after ${waited} ms`);
    await running;
  });

  test('scaling: where the end of a queue may not be asked for, its first message is old enough some day', async () => {
    await idle(10);
    let lists = 0;
    const store = {
      ...world.store,
      async list(key: typeof world.group) {
        lists++;
        return world.store.list(key);
      },
    };
    const sparse = source([subscription('orders')], {
      scaling: { activationLagThreshold: 2, maxMessageAgeSeconds: 10 },
    });
    const running = world.pass(sparse, {
      remainingMs: () => 30_000,
      store,
      clients: () => withoutGet(),
    });
    await until(() => world.broker.heldPulls() === 1, 'the queue is watched');
    await world.send('orders', 0);
    await running;
    assert.deepEqual([...new Set(invoked())], ['orders/broker-a/0']);
    assert.ok(lists < 30, `the table was asked ${lists} times`);
  });

  test('scaling: more messages than the threshold do not wait', async () => {
    await idle(4);
    const sparse = source([subscription('orders')], {
      scaling: { activationLagThreshold: 2, maxMessageAgeSeconds: 3_600 },
    });
    await world.send('orders', 0, 2);
    await world.pass(sparse);
    assert.deepEqual(invoked(), []);
    await world.send('orders', 0, 1);
    await world.pass(sparse);
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });
});
