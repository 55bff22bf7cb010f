import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { PullConsumer } from '../../src/consumer/index.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { at, createPullerWorld, GROUP, recorder } from '../support/puller-world.ts';
import { deploy } from '../support/shared-group.ts';
import { type SilentProxy, startSilentProxy } from '../support/silent-proxy.ts';
import { until } from '../support/until.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const PATIENCE_MS = 30_000;

/** Bytes vanish on every open connection, without an end; new connections work. */
describe('a connection that goes silent', () => {
  let mq: EmbeddedRocketMQ;
  const proxies: SilentProxy[] = [];
  const closing: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    mq = await startEmbeddedRocketMQ({ longPollTickMs: 50, autoCreateTopic: false });
    mq.createTopic('orders', { queues: 1 });
    mq.createGroup('auditors');
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    for (const proxy of proxies.splice(0)) await proxy.stop();
    await mq.stop();
  });

  const behindProxy = async (
    target: string,
  ): Promise<{ proxy: SilentProxy; addressMap: Record<string, string> }> => {
    const proxy = await startSilentProxy(target);
    proxies.push(proxy);
    return { proxy, addressMap: { [target]: proxy.address } };
  };
  const broker = () => behindProxy(mq.brokers[0]?.address ?? '');

  test('is closed by the first request that times out; the next one goes over a new connection', async () => {
    const { proxy, addressMap } = await broker();
    const client = createRocketMQClient({ nameServers: mq.nameServers, addressMap });
    closing.push(() => client.close());
    await client.commitOffset('auditors', queue, 1n);
    proxy.silence();
    await assert.rejects(client.commitOffset('auditors', queue, 2n, { timeoutMs: 300 }), {
      code: 'ROCKETMQ_REQUEST_TIMEOUT',
    });
    await client.commitOffset('auditors', queue, 3n);
    assert.deepEqual([mq.offset('auditors', queue), proxy.connections], [3n, 2]);
  });

  test('takes a long poll with it, which goes on over the new connection', async () => {
    const { proxy, addressMap } = await broker();
    const client = createRocketMQClient({ nameServers: mq.nameServers, addressMap });
    closing.push(() => client.close());
    const pull = client.pull({
      consumerGroup: 'auditors',
      queue,
      offset: 0n,
      subscription: {
        ...{ topic: 'orders', subString: '*', expressionType: 'TAG', subVersion: 0 },
        ...{ tagsSet: [], codeSet: [] },
      },
      maxMessages: 32,
      suspendMs: 20_000,
    });
    await until(() => proxy.connections === 1, 'the poll is under way');
    await sleep(100);
    proxy.silence();
    await assert.rejects(client.maxOffset(queue, { timeoutMs: 300 }));
    await client.send({ topic: 'orders', body: Buffer.from('late') }, { queue });
    const result = await pull;
    assert.equal(result.status === 'FOUND' && String(result.messages[0]?.body), 'late');
  });

  test('to a name server is closed too', async () => {
    const { proxy } = await behindProxy(mq.nameServers[0] ?? '');
    const client = createRocketMQClient({ nameServers: [proxy.address] });
    closing.push(() => client.close());
    await client.topicRoute('orders');
    proxy.silence();
    await assert.rejects(client.topicRoute('orders', { fresh: true, timeoutMs: 300 }), {
      code: 'ROCKETMQ_CONNECTION',
    });
    const { queues } = await client.topicRoute('orders', { fresh: true });
    assert.deepEqual([queues.length, proxy.connections], [1, 2]);
  });

  test('does not stop a PullConsumer’s loop', async () => {
    const { proxy, addressMap } = await broker();
    const consumer = new PullConsumer({
      ...{ consumerGroup: 'auditors', nameServers: mq.nameServers, addressMap },
    });
    closing.push(() => consumer.close());
    const client = createRocketMQClient({ nameServers: mq.nameServers });
    closing.push(() => client.close());
    const send = (body: string) =>
      client.send({ topic: 'orders', body: Buffer.from(body) }, { queue });
    await send('before');
    const seen: string[] = [];
    for await (const { body } of consumer.messages('orders', { commitIntervalMs: 100 })) {
      seen.push(String(body));
      if (seen.length === 2) break;
      proxy.silence();
      await send('after');
    }
    assert.deepEqual(seen, ['before', 'after']);
  });

  test('does not keep a puller from its messages and commits', async () => {
    const world = await createPullerWorld();
    closing.push(() => world.stop());
    await world.prepare(1);
    await world.produce(5);
    const { proxy, addressMap } = await behindProxy(world.broker.brokers[0]?.address ?? '');
    const client = createRocketMQClient({ nameServers: world.broker.nameServers, addressMap });
    closing.push(() => client.close());
    const seen = recorder();
    const puller = world.start(seen.handler, {
      deps: { client },
      options: { idleTimeoutMs: undefined },
    });
    await until(() => world.committed(at(0)) === 5n, 'the first messages are committed');
    proxy.silence();
    await world.produce(5);
    await until(() => world.committed(at(0)) === 10n, 'the others are committed', PATIENCE_MS);
    assert.equal(seen.records.length, 10);
    assert.equal((await puller.stop()).queues[0]?.reason, 'signal');
    assert.equal(world.broker.offset(GROUP, at(0)), 10n);
  });

  test('does not cost a coexist member its membership and its messages', async () => {
    const { proxy, addressMap } = await broker();
    mq.createGroup('workers');
    mq.createTopic('%RETRY%workers', { queues: 1 });
    const database = await startDynalite();
    closing.push(() => database.stop());
    const dynamodb = await connect(database.endpoint);
    closing.push(async () => dynamodb.destroy());
    const bodies: string[] = [];
    const service = deploy({
      dynamodb,
      nameServers: mq.nameServers,
      addressMap,
      source: source([subscription('orders')], { coexist: true, pullers: 1 }),
      handler: ({ Records }) => void bodies.push(...Records.map(({ body }) => body)),
      options: { renewIntervalMs: 200, maxSuspendMs: 200 },
      logger: silentLogger,
    });
    closing.push(() => service.end());
    const client = createRocketMQClient({ nameServers: mq.nameServers });
    closing.push(() => client.close());
    await client.send({ topic: 'orders', body: Buffer.from('before') }, { queue });
    await until(() => bodies.includes('before'), 'the member works', PATIENCE_MS);
    let beats = 0;
    using _beats = mq.control('HEART_BEAT', () => void beats++, { times: Infinity });
    proxy.silence();
    await client.send({ topic: 'orders', body: Buffer.from('after') }, { queue });
    await until(() => bodies.includes('after'), 'the member works again', PATIENCE_MS);
    await until(() => beats > 0, 'its heartbeats arrive again', PATIENCE_MS);
    assert.equal((await client.consumerIds('workers', 'broker-a')).length, 1);
  });
});
