import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import { PERM_READ, PERM_WRITE } from '../../src/model/route.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { getRoute } from '../../src/requests/get-route.ts';
import { createWorld, source, subscription, type World } from '../support/coordinator-world.ts';

/** Two passes of 20 s after the first that missed a queue, by the fast clock. */
const LONG_RUN = { remainingMs: () => 60_000 };

describe('topologies that change', () => {
  let world: World;
  afterEach(() => world.stop());
  const living = async () =>
    (await world.items())
      .filter(({ retiredAt }) => retiredAt === undefined)
      .map(({ queue, slot }) => `${queueKey(queue)} ${slot}`);
  const invoked = () =>
    [...new Set(world.invocations.flatMap(({ queues }) => queues.map(queueKey)))].sort();

  test('queues that are taken away are retired after two passes, and the rest is spread anew', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 6 });
    const two = source([subscription('orders')], { pullers: 2 });
    await world.pass(two);
    assert.equal((await living()).length, 6);
    world.broker.createTopic('orders', { queues: 2 });
    await world.pass(two);
    assert.equal((await living()).length, 6, 'not at once');
    await world.pass(two, LONG_RUN);
    await world.pass(two);
    assert.deepEqual(await living(), ['orders/broker-a/0 0', 'orders/broker-a/1 1']);
  });

  test('a broker that is added gets its queues assigned, from their first message on', async () => {
    world = await createWorld({ brokers: 2 });
    world.broker.createTopic('orders', { queues: 2, brokers: ['broker-a'] });
    const latest = source([subscription('orders', { startingPosition: 'LATEST' })], { pullers: 2 });
    await world.pass(latest);
    assert.deepEqual(await living(), ['orders/broker-a/0 0', 'orders/broker-a/1 1']);
    world.broker.createTopic('orders', { queues: 2 });
    await world.send('orders', 0, 3, 'broker-b');
    await world.pass(latest);
    assert.deepEqual(await living(), [
      'orders/broker-a/0 0',
      'orders/broker-a/1 0',
      'orders/broker-b/0 1',
      'orders/broker-b/1 1',
    ]);
    assert.deepEqual(
      (await world.items()).map(({ startOffset }) => startOffset),
      [0n, 0n, 0n, 0n],
    );
  });

  test('read-only queues are consumed, write-only ones are not, and come back when they may be read again', async () => {
    world = await createWorld();
    world.broker.createTopic('old', { queues: 2, perm: PERM_READ });
    world.broker.createTopic('new', { queues: 2, perm: PERM_WRITE });
    const both = source([subscription('old'), subscription('new')]);
    const report = await world.pass(both);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(await living(), ['old/broker-a/0 0', 'old/broker-a/1 1']);
    assert.deepEqual(invoked(), ['old/broker-a/0', 'old/broker-a/1']);
    // Switched over: the old one is closed, the new one opened.
    world.broker.createTopic('old', { queues: 2, perm: 0 });
    world.broker.createTopic('new', { queues: 2 });
    await world.pass(both, LONG_RUN);
    await world.pass(both);
    assert.deepEqual(await living(), ['new/broker-a/0 0', 'new/broker-a/1 1']);
    world.broker.createTopic('old', { queues: 2 });
    await world.pass(both);
    assert.deepEqual(await living(), [
      'new/broker-a/0 0',
      'new/broker-a/1 1',
      'old/broker-a/0 0',
      'old/broker-a/1 1',
    ]);
  });

  // As MQClientInstance.topicRouteData2TopicSubscribeInfo does it: the order configuration is for producers only.
  test('orderTopicConf does not take queues away from consumers', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 4 });
    const { brokers, queues } = await world.client.topicRoute('orders');
    world.broker.control(
      'GET_ROUTEINFO_BY_TOPIC',
      ({ command }) =>
        command.extFields.topic === 'orders'
          ? {
              code: ResponseCode.SUCCESS,
              ...getRoute.encodeAnswer({
                brokers,
                queues,
                orderTopicConf: 'broker-a:2',
                mappedBrokers: [],
              }),
            }
          : undefined,
      { times: Infinity },
    );
    assert.equal(
      (await world.client.topicRoute('orders', { fresh: true })).orderTopicConf,
      'broker-a:2',
    );
    assert.deepEqual((await world.pass(source([subscription('orders')]))).problems, []);
    assert.equal((await living()).length, 4);
  });

  test('a static topic is refused with its name; nothing of it is assigned, and other topics go on', async () => {
    world = await createWorld();
    world.broker.createTopic('logical', { queues: 2 });
    world.broker.createTopic('orders', { queues: 1 });
    const { brokers, queues } = await world.client.topicRoute('logical');
    world.broker.control(
      'GET_ROUTEINFO_BY_TOPIC',
      ({ command }) => {
        if (command.extFields.topic !== 'logical') return undefined;
        const body = JSON.parse(
          String(getRoute.encodeAnswer({ brokers, queues, mappedBrokers: [] }).body),
        ) as object;
        const topicQueueMappingByBroker = {
          'broker-a': {
            topic: 'logical',
            totalQueues: 2,
            bname: 'broker-a',
            epoch: 1,
            dirty: false,
            currIdMap: { 0: 0, 1: 1 },
          },
        };
        return {
          code: ResponseCode.SUCCESS,
          body: Buffer.from(JSON.stringify({ ...body, topicQueueMappingByBroker })),
        };
      },
      { times: Infinity },
    );
    const report = await world.pass(source([subscription('logical'), subscription('orders')]));
    assert.deepEqual(
      report.problems.map(({ code, topic }) => [code, topic]),
      [['ROCKETMQ_STATIC_TOPIC', 'logical']],
    );
    assert.match(
      report.problems[0]?.message ?? '',
      /"logical" is a static topic.*use an ordinary topic/,
    );
    assert.deepEqual(await living(), ['orders/broker-a/0 0']);
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('a route beyond all bounds is refused with its topic; nothing of it is assigned, and other topics go on', async () => {
    world = await createWorld();
    for (const topic of ['flooded', 'orders']) world.broker.createTopic(topic, { queues: 1 });
    const entry = (readQueueNums: number) => ({
      ...{ brokerName: 'broker-a', readQueueNums, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
    });
    const { brokers } = await world.client.topicRoute('flooded');
    // 7 KB of such entries made 6.5 million queues.
    const queues = Array.from({ length: 100 }, () => entry(65_536));
    world.broker.control(
      'GET_ROUTEINFO_BY_TOPIC',
      ({ command }) =>
        command.extFields.topic === 'flooded'
          ? {
              code: ResponseCode.SUCCESS,
              body: getRoute.encodeAnswer({ brokers, queues, mappedBrokers: [] }).body!,
            }
          : undefined,
      { times: Infinity },
    );
    const report = await world.pass(source([subscription('flooded'), subscription('orders')]));
    assert.deepEqual(
      report.problems.map(({ code, topic }) => [code, topic]),
      [['ROCKETMQ_ROUTE_REFUSED', 'flooded']],
    );
    assert.match(report.problems[0]?.message ?? '', /"flooded" refused: 6553600 queues to read/);
    assert.deepEqual(await living(), ['orders/broker-a/0 0']);
    assert.deepEqual(invoked(), ['orders/broker-a/0']);
  });

  test('a name server that goes away in the middle of a run is replaced by the next; all gone changes nothing', async () => {
    world = await createWorld();
    world.broker.createTopic('orders', { queues: 3 });
    const doors = await Promise.all([
      openDoor(world.broker.nameServers[0] ?? ''),
      openDoor(world.broker.nameServers[0] ?? ''),
    ]);
    const client = createRocketMQClient({ nameServers: doors.map(({ address }) => address) });
    const orders = source([subscription('orders')]);
    assert.deepEqual((await world.pass(orders, { clients: () => client })).problems, []);
    await doors[0]?.close();
    world.broker.createTopic('orders', { queues: 4 });
    assert.deepEqual((await world.pass(orders, { clients: () => client })).problems, []);
    assert.equal((await living()).length, 4);
    await doors[1]?.close();
    const report = await world.pass(orders, { clients: () => client, ...LONG_RUN });
    assert.deepEqual(
      new Set(report.problems.map(({ code }) => code)),
      new Set(['ROCKETMQ_CONNECTION']),
    );
    assert.equal((await living()).length, 4);
    assert.equal(
      (await world.items()).some(({ absentSince }) => absentSince !== undefined),
      false,
    );
    await client.close();
  });
});

/** A name server of its own, as far as a client can tell: everything goes to the real one until it is closed. */
async function openDoor(to: string): Promise<{ readonly address: string; close(): Promise<void> }> {
  const [host = '', port = ''] = to.split(':');
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const other = connect(Number(port), host);
    for (const [from, into] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}).on('close', () => into.destroy());
      from.pipe(into);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
