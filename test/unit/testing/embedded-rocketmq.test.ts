import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../../src/client/rocketmq-client.ts';
import {
  BrokerError,
  ConnectionError,
  GroupNotFoundError,
  RequestTimeoutError,
  TopicNotFoundError,
} from '../../../src/errors.ts';
import { readableQueues } from '../../../src/model/route.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import type { EmbeddedRocketMQ, EmbeddedRocketMQOptions } from '../../../src/testing/index.ts';
import { startEmbeddedRocketMQ } from '../../../src/testing/index.ts';
import { heartbeatBody } from '../../contract/rocketmq/lab.ts';
import { connectRaw } from '../../support/raw-connection.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const message = (body = 'hello') => ({ topic: 'orders', body: Buffer.from(body) });

/** An embedded RocketMQ with topic "orders" and a client, for the tests of the surrounding describe. */
function useEmbedded(options: EmbeddedRocketMQOptions = {}): {
  mq: EmbeddedRocketMQ;
  client: RocketMQ;
} {
  const used = {} as { mq: EmbeddedRocketMQ; client: RocketMQ };
  before(async () => {
    used.mq = await startEmbeddedRocketMQ({ longPollTickMs: 50, ...options });
    used.mq.createTopic('orders', { queues: 2 });
    used.client = createRocketMQClient({ nameServers: used.mq.nameServers });
  });
  after(async () => {
    await used.client.close();
    await used.mq.stop();
  });
  return used;
}

const pullOf = (client: RocketMQ, group = 'group', offset = 0n, suspendMs = 0) =>
  client.pull({
    consumerGroup: group,
    queue,
    offset,
    subscription: buildSubscription('orders', '*'),
    maxMessages: 32,
    suspendMs,
  });

describe('controls of the embedded RocketMQ', () => {
  const used = useEmbedded();

  it('fail one request with a code, then let the next pass', async () => {
    const control = used.mq.control('GET_MAX_OFFSET', () => ({ code: 2, remark: '[OVERLOAD]' }));
    await assert.rejects(
      used.client.maxOffset(queue),
      (error) => error instanceof BrokerError && error.responseCode === 2,
    );
    assert.equal(await used.client.maxOffset(queue), used.mq.maxOffset(queue));
    assert.equal(control.calls, 1);
  });

  it('drop: the broker never sees it', async () => {
    const before = used.mq.messages('orders').length;
    using _ = used.mq.control('SEND_MESSAGE_V2', () => 'drop');
    await assert.rejects(
      used.client.send(message(), { queue, timeoutMs: 100 }),
      RequestTimeoutError,
    );
    assert.equal(used.mq.messages('orders').length, before);
  });

  it('lose-answer: the broker carries it out', async () => {
    const before = used.mq.messages('orders').length;
    used.mq.control('SEND_MESSAGE_V2', () => 'lose-answer');
    await assert.rejects(
      used.client.send(message(), { queue, timeoutMs: 100 }),
      RequestTimeoutError,
    );
    assert.equal(used.mq.messages('orders').length, before + 1);
  });

  it('disconnect: the client loses its connection', async () => {
    used.mq.control('SEND_MESSAGE_V2', () => 'disconnect');
    await assert.rejects(used.client.send(message(), { queue }), ConnectionError);
    assert.equal((await used.client.send(message(), { queue })).status, 'SEND_OK');
  });

  it('hold a request until the test lets it go, while others pass', async () => {
    const gate = Promise.withResolvers<void>();
    used.mq.control('GET_MIN_OFFSET', () => gate.promise);
    const held = used.client.minOffset(queue);
    const first = await Promise.race([
      held.then(() => 'held'),
      used.client.maxOffset(queue).then(() => 'other'),
    ]);
    assert.equal(first, 'other');
    gate.resolve();
    assert.equal(await held, 0n);
  });

  it('observe as often as asked', async () => {
    const seen: string[] = [];
    using control = used.mq.control(
      '*',
      ({ name, server }) => void seen.push(`${server}: ${name}`),
      { times: Number.POSITIVE_INFINITY },
    );
    await used.client.topicRoute('orders', { fresh: true });
    await used.client.maxOffset(queue);
    assert.deepEqual(seen, ['name-server: GET_ROUTEINFO_BY_TOPIC', 'broker-a: GET_MAX_OFFSET']);
    assert.equal(control.calls, 2);
  });

  it('take requests by code and by server only', async () => {
    using wrong = used.mq.control(30, () => ({ code: 1 }), { server: 'name-server' });
    using right = used.mq.control(30, () => ({ code: 1, remark: 'by code' }), {
      server: 'broker-a',
    });
    await assert.rejects(used.client.maxOffset(queue), /by code/);
    assert.deepEqual([wrong.calls, right.calls], [0, 1]);
  });

  it('a control that throws is an answer with code 1 that says so', async () => {
    used.mq.control('GET_MAX_OFFSET', () => {
      throw new Error('oops');
    });
    await assert.rejects(
      used.client.maxOffset(queue),
      /the control of GET_MAX_OFFSET threw: Error: oops/,
    );
  });
});

describe('an embedded broker that restarts', () => {
  const used = useEmbedded();

  it('vanishes from the routes and comes back on its port with its data, without members and locks', async () => {
    const { mq, client } = used;
    const raw = await connectRaw(mq.brokers[0]?.address ?? '');
    await client.createGroup('group');
    await client.send(message('kept'), { queue });
    await client.commitOffset('group', queue, 1n);
    await client.lockQueues('group', 'one', [queue]);
    await raw.call(34, {}, { body: heartbeatBody('group', { clientID: 'one', topic: 'orders' }) });
    const address = mq.brokers[0]?.address;
    assert.deepEqual(mq.members('group'), ['one']);

    await mq.stopBroker('broker-a');
    assert.equal(mq.brokers[0]?.running, false);
    await assert.rejects(client.topicRoute('orders', { fresh: true }), TopicNotFoundError);
    await assert.rejects(client.maxOffset(queue), ConnectionError);

    await mq.startBroker('broker-a');
    assert.equal(mq.brokers[0]?.address, address);
    assert.equal(readableQueues(await client.topicRoute('orders', { fresh: true })).length, 2);
    const pulled = await pullOf(client);
    assert.equal(pulled.status === 'FOUND' && String(pulled.messages[0]?.body), 'kept');
    assert.equal(await client.queryOffset('group', queue), 1n);
    assert.deepEqual(
      [mq.members('group'), await client.lockQueues('group', 'two', [queue])],
      [[], [queue]],
    );
  });

  it('drops held pulls', async () => {
    const held = pullOf(used.client, 'group', 1n, 15_000);
    const outcome = assert.rejects(held);
    for (const until = Date.now() + 2000; used.mq.heldPulls() === 0 && Date.now() < until; )
      await sleep(5);
    assert.equal(used.mq.heldPulls(), 1);
    await used.mq.stopBroker('broker-a');
    assert.equal(used.mq.heldPulls(), 0);
    // The client reads its route once more before it gives up.
    await outcome;
    await used.mq.startBroker('broker-a');
  });

  it('an unknown name is a mistake with the names that there are', async () => {
    await assert.rejects(
      async () => used.mq.stopBroker('broker-x'),
      /no broker broker-x: this cluster has broker-a/,
    );
  });
});

describe('several embedded brokers', () => {
  const used = useEmbedded({ brokers: 2 });

  it('share a name server and keep their own messages', async () => {
    const { mq, client } = used;
    const other = { ...queue, brokerName: 'broker-b' };
    await client.send(message('a'), { queue });
    await client.send(message('b'), { queue: other });
    const placed = mq
      .messages('orders')
      .map(({ brokerName, body }) => `${brokerName}: ${String(body)}`);
    assert.deepEqual(placed, ['broker-a: a', 'broker-b: b']);
    assert.deepEqual(await client.brokerNames(), ['broker-a', 'broker-b']);
    assert.equal(readableQueues(await client.topicRoute('orders')).length, 4);
  });

  it('a topic may live on one of them', async () => {
    used.mq.createTopic('only-b', { queues: 3, brokers: ['broker-b'] });
    const queues = readableQueues(await used.client.topicRoute('only-b'));
    assert.deepEqual(
      queues.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`),
      ['broker-b/0', 'broker-b/1', 'broker-b/2'],
    );
  });

  it('one of them may be down', async () => {
    await used.mq.stopBroker('broker-b');
    assert.equal(readableQueues(await used.client.topicRoute('orders', { fresh: true })).length, 2);
  });
});

describe('options and inspection of the embedded RocketMQ', () => {
  it('without auto-creation: 26 for groups, 17 for topics, a heartbeat that registers nothing', async () => {
    await using mq = await startEmbeddedRocketMQ({
      autoCreateTopic: false,
      autoCreateSubscriptionGroup: false,
    });
    mq.createTopic('orders');
    const client = createRocketMQClient({ nameServers: mq.nameServers });
    const raw = await connectRaw(mq.brokers[0]?.address ?? '');
    await assert.rejects(pullOf(client, 'new-group'), GroupNotFoundError);
    const heartbeat = await raw.call(
      34,
      {},
      { body: heartbeatBody('new-group', { clientID: 'one', topic: 'orders' }) },
    );
    const send = {
      a: 'p',
      b: 'new-topic',
      c: 'TBW102',
      d: 4,
      e: 0,
      f: 0,
      g: 0,
      h: 0,
      i: '',
      j: 0,
      k: false,
    };
    const sent = await raw.call(310, send, { body: 'x' });
    assert.deepEqual([heartbeat.code, mq.members('new-group'), sent.code], [0, [], 17]);
    mq.createGroup('new-group');
    assert.equal((await pullOf(client, 'new-group')).status, 'NO_NEW_MSG');
    raw.close();
    await client.close();
  });

  it('expired messages move the beginning of a queue', async () => {
    await using mq = await startEmbeddedRocketMQ();
    mq.createTopic('orders');
    const client = createRocketMQClient({ nameServers: mq.nameServers });
    const sent = [];
    for (const body of ['a', 'b', 'c']) sent.push(await client.send(message(body), { queue }));
    mq.expireMessages(queue, 2n);
    assert.deepEqual([await client.minOffset(queue), await client.maxOffset(queue)], [2n, 3n]);
    const moved = await pullOf(client);
    assert.deepEqual([moved.status, moved.nextBeginOffset], ['OFFSET_MOVED', 2n]);
    assert.deepEqual(
      mq.messages('orders').map(({ body }) => String(body)),
      ['c'],
    );
    const gone = {
      consumerGroup: 'group',
      brokerName: 'broker-a',
      commitLogOffset: 0n,
      delayLevel: 1,
      maxReconsumeTimes: 16,
    };
    await assert.rejects(
      client.sendBack({ ...gone, originMsgId: sent[0]?.offsetMsgId ?? '', originTopic: 'orders' }),
      /look message by offset failed/,
    );
    await client.close();
  });

  it('a member without heartbeats is cut off', async () => {
    await using mq = await startEmbeddedRocketMQ({ channelExpiredMs: 100 });
    const raw = await connectRaw(mq.brokers[0]?.address ?? '');
    await raw.call(34, {}, { body: heartbeatBody('group', { clientID: 'one', topic: 'orders' }) });
    for (const until = Date.now() + 2000; !raw.closed && Date.now() < until; ) await sleep(10);
    assert(raw.closed);
    assert.deepEqual(mq.members('group'), []);
  });

  it('a delay level that cannot be read is refused at the start', async () => {
    await assert.rejects(
      startEmbeddedRocketMQ({ messageDelayLevel: '1s 5 seconds' }),
      /write numbers with s, m, h or d/,
    );
  });
});
