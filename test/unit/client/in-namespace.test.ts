import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inNamespace } from '../../../src/client/in-namespace.ts';
import { createRocketMQClient, type RocketMQClient } from '../../../src/client/rocketmq-client.ts';
import type { GroupMember } from '../../../src/model/membership.ts';
import type { Message } from '../../../src/model/message.ts';
import type { PopHandle } from '../../../src/model/pop.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../../src/testing/index.ts';
import { overriddenClient } from '../../support/overridden-client.ts';
import { messageAt } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };

/** Own fields and getters, whatever is added to them. */
function fieldsOf(message: Message): string[] {
  const getters = Object.entries(
    Object.getOwnPropertyDescriptors(Object.getPrototypeOf(message) as object),
  ).flatMap(([name, { get }]) => (get === undefined ? [] : [name]));
  assert.ok(getters.includes('propertyCount'));
  return [...Object.keys(message), ...getters];
}

describe('a client in a namespace', () => {
  let mq: EmbeddedRocketMQ;
  let client: RocketMQClient;
  before(async () => {
    mq = await startEmbeddedRocketMQ({ autoCreateTopic: false });
    mq.createTopic('ns%orders', { queues: 1 });
    mq.createGroup('ns%group');
    client = createRocketMQClient({ nameServers: mq.nameServers, namespace: 'ns' });
  });
  after(async () => {
    await client.close();
    await mq.stop();
  });

  it('is a member of the group that brokers know, and sees it as its own', async () => {
    const changed: string[] = [];
    client.answerBrokers({
      idsChanged: (group) => void changed.push(group),
      info: () => undefined,
      consumeDirectly: async () => undefined,
      resetOffsets: () => {},
    });
    const member: GroupMember = {
      clientId: 'me',
      consumerGroup: 'group',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      subscriptions: [
        buildSubscription('orders', 'a || b'),
        buildSubscription('%RETRY%group', '*'),
      ],
    };
    await client.heartbeat(member, 'broker-a');
    assert.deepEqual(mq.members('ns%group'), ['me']);
    assert.deepEqual(await client.consumerIds('group', 'broker-a'), ['me']);
    assert.deepEqual(
      (await client.consumerConnections('group', 'broker-a')).map(({ clientId }) => clientId),
      ['me'],
    );
    const subscriptions = await client.memberSubscriptions('group', 'broker-a');
    assert.deepEqual(subscriptions.map(({ topic, subString }) => [topic, subString]).sort(), [
      ['%RETRY%group', '*'],
      ['orders', 'a || b'],
    ]);
    await until(() => changed.length > 0, 'the broker tells of the new member');
    assert.deepEqual([...new Set(changed)], ['group']);
    await client.unregister(member, 'broker-a');
    assert.deepEqual(mq.members('ns%group'), []);
  });

  it('locks the queues that brokers know', async () => {
    assert.deepEqual(await client.lockQueues('group', 'me', [queue]), [queue]);
    const bare = createRocketMQClient({ nameServers: mq.nameServers });
    const wire = { ...queue, topic: 'ns%orders' };
    assert.deepEqual(await bare.lockQueues('ns%group', 'other', [wire]), []);
    await client.unlockQueues('group', 'me', [queue]);
    assert.deepEqual(await bare.lockQueues('ns%group', 'other', [wire]), [wire]);
    await bare.unlockQueues('ns%group', 'other', [wire]);
    await bare.close();
  });

  it('sends, pulls and sends back, with every field of the message', async () => {
    const sent = await client.send(
      { topic: 'orders', body: Buffer.from('1'), tags: 'a', properties: { own: 'x' } },
      { queue },
    );
    assert.deepEqual(sent.queue, queue);
    const batch = await client.sendBatch([{ topic: 'orders', body: Buffer.from('2') }], { queue });
    assert.deepEqual(
      [
        batch.queue,
        mq.messages('ns%orders').map(({ properties }) => properties.get('INSTANCE_ID')),
      ],
      [queue, ['ns', 'ns']],
    );
    const request = {
      queue,
      offset: 0n,
      maxMessages: 32,
      suspendMs: 0,
      subscription: buildSubscription('orders', 'a'),
    };
    const found = await client.pull({ consumerGroup: 'group', ...request });
    assert(found.status === 'FOUND');
    const [message] = found.messages;
    assert(message && found.messages.length === 1);
    const bare = createRocketMQClient({ nameServers: mq.nameServers });
    const stored = await bare.pull({
      consumerGroup: 'ns%group',
      ...request,
      queue: { ...queue, topic: 'ns%orders' },
    });
    await bare.close();
    assert(stored.status === 'FOUND' && stored.messages[0]);
    const original = stored.messages[0];
    for (const name of fieldsOf(original))
      if (name !== 'topic')
        assert.deepEqual(message[name as keyof Message], original[name as keyof Message], name);
    assert.equal(message.topic, 'orders');
    await client.sendBackAsNormalMessage('group', message, 1, 16);
    await until(() => mq.messages('%RETRY%ns%group').length === 1, 'it is in the retry topic');
    assert.equal(mq.messages('%RETRY%ns%group')[0]?.properties.get('RETRY_TOPIC'), 'ns%orders');
  });

  it('passes on every field of what is popped, also those that few messages have', async () => {
    const handle: PopHandle = {
      ...{ ckQueueOffset: 0n, popTime: 0n, invisibleTime: 60_000n, reviveQid: 0 },
      ...{ retryMark: 0, brokerName: 'broker-a', queueId: 0, queueOffset: 0n },
    };
    const message = messageAt(0, { topic: 'ns%orders' });
    const undecodable = {
      ...{ queueId: 0, queueOffset: 1n, commitLogOffset: 1n, reconsumeTimes: 0 },
      ...{ offsetMsgId: 'id', error: new Error('damaged'), stored: Buffer.from('x') },
    };
    const popped = {
      messages: [{ message, handle, unrevivable: 'inner-batch', later: 'field' } as const],
      undecodable: [{ undecodable, handle, later: 'field' }],
      filteredOut: [handle],
      full: true,
      later: 'field',
    };
    const wire = overriddenClient(client, { pop: async () => popped });
    const result = await inNamespace(wire as RocketMQClient, 'ns').pop({
      ...{ consumerGroup: 'group', topic: 'orders', brokerName: 'broker-a', maxMessages: 32 },
      ...{ invisibleMs: 60_000, pollMs: 0, start: 'min' },
      subscription: buildSubscription('orders', '*'),
    });
    const [one] = result.messages;
    assert.ok(one);
    assert.equal(one.message.topic, 'orders');
    assert.deepEqual({ ...result, messages: [{ ...one, message }] }, popped);
  });
});
