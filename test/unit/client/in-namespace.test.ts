import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../../src/client/rocketmq-client.ts';
import type { GroupMember } from '../../../src/model/membership.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../../src/testing/index.ts';
import { until } from '../../support/until.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };

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
    const names = [
      'brokerName',
      'queueId',
      'queueOffset',
      'commitLogOffset',
      'flag',
      'sysFlag',
      'bornTimestamp',
      'bornHost',
      'storeTimestamp',
    ] as const;
    const more = [
      'storeHost',
      'reconsumeTimes',
      'preparedTransactionOffset',
      'bodyCRC',
      'storeSize',
      'body',
      'properties',
      'offsetMsgId',
      'msgId',
    ] as const;
    for (const name of [...names, ...more])
      assert.deepEqual(message[name], stored.messages[0][name], name);
    assert.equal(message.topic, 'orders');
    await client.sendBackAsNormalMessage('group', message, 1, 16);
    await until(() => mq.messages('%RETRY%ns%group').length === 1, 'it is in the retry topic');
    assert.equal(mq.messages('%RETRY%ns%group')[0]?.properties.get('RETRY_TOPIC'), 'ns%orders');
  });
});
