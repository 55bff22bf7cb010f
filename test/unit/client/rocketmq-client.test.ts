import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { signRequest } from '../../../src/client/acl-signature.ts';
import { createRocketMQClient, type RocketMQClient } from '../../../src/client/rocketmq-client.ts';
import {
  BrokerError,
  ConfigError,
  ConnectionError,
  GroupNotFoundError,
  InvalidFilterError,
  PermissionError,
  RequestTimeoutError,
  TopicNotFoundError,
} from '../../../src/errors.ts';
import type { ClusterConfig } from '../../../src/model/source.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { getMinOffset } from '../../../src/requests/get-min-offset.ts';
import { getRoute } from '../../../src/requests/get-route.ts';
import { pullMessage } from '../../../src/requests/pull-message.ts';
import { sendMessageBack } from '../../../src/requests/send-back.ts';
import {
  type EmbeddedRocketMQ,
  type RequestName,
  startEmbeddedRocketMQ,
} from '../../../src/testing/index.ts';
import { type FrameServer, startFrameServer } from '../../support/frame-server.ts';
import { record } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const all = buildSubscription('orders', '*');
const pulling = {
  consumerGroup: 'group',
  queue,
  offset: 0n,
  subscription: all,
  maxMessages: 32,
  suspendMs: 0,
};
const ALWAYS = { times: Number.POSITIVE_INFINITY };

describe('createRocketMQClient', () => {
  for (const [what, config] of [
    ['no name server', { nameServers: [] }],
    ['a malformed name server', { nameServers: ['localhost'] }],
    [
      'a malformed address in addressMap',
      { nameServers: ['localhost:9876'], addressMap: { '10.0.0.1:10911': 'nlb' } },
    ],
  ] as const)
    it(`refuses ${what}`, () => assert.throws(() => createRocketMQClient(config), ConfigError));
});

describe('the client', () => {
  let mq: EmbeddedRocketMQ;
  let client: RocketMQClient;
  before(async () => {
    mq = await startEmbeddedRocketMQ({ brokers: 2, longPollTickMs: 50 });
    mq.createTopic('orders', { queues: 2 });
    mq.createGroup('group');
    client = createRocketMQClient({ nameServers: mq.nameServers }, { random: () => 0 });
  });
  after(async () => {
    await client.close();
    await mq.stop();
  });

  /** The requests of a kind that one call makes. */
  async function requestsOf(
    name: RequestName,
    call: () => Promise<unknown>,
  ): Promise<RemotingCommand[]> {
    const seen: RemotingCommand[] = [];
    using _ = mq.control(name, ({ command }) => void seen.push(command), ALWAYS);
    await call();
    return seen;
  }

  it('has one connection per broker however many requests are in flight', async () => {
    const from = new Set<string>();
    using _ = mq.control(
      'GET_MAX_OFFSET',
      ({ remoteAddress }) => void from.add(remoteAddress),
      ALWAYS,
    );
    await Promise.all(Array.from({ length: 50 }, () => client.maxOffset(queue)));
    assert.equal(from.size, 1);
  });

  describe('pull', () => {
    it('carries the subscription, asks for suspension only with a time, and never commits', async () => {
      const subscription = buildSubscription('orders', 'a || b');
      for (const [suspendMs, sysFlag] of [
        [0, 4],
        [20, 6],
      ] as const) {
        const [command] = await requestsOf('PULL_MESSAGE', () =>
          client.pull({ ...pulling, subscription, suspendMs }),
        );
        assert(command);
        const request = pullMessage.decode(command);
        assert.deepEqual(
          [request.sysFlag, request.commitOffset, request.suspendTimeoutMillis],
          [sysFlag, 0n, suspendMs],
        );
        assert.deepEqual(
          [request.subscription, request.expressionType, request.subVersion],
          ['a || b', 'TAG', 0],
        );
      }
    });

    it('sends the version of an SQL92 filter', async () => {
      mq.control('PULL_MESSAGE', ({ command }) => {
        const { expressionType, subVersion } = pullMessage.decode(command);
        return { code: 2, remark: `${expressionType} ${subVersion}` };
      });
      await assert.rejects(
        client.pull({
          ...pulling,
          subscription: buildSubscription('orders', 'a > 1', 'SQL92', 42),
        }),
        /SQL92 42/,
      );
    });

    const offsets = {
      suggestWhichBrokerId: '1',
      nextBeginOffset: '9007199254740995',
      minOffset: '3',
      maxOffset: '9223372036854775807',
    };
    for (const [code, remark, expected] of [
      [19, undefined, { status: 'NO_NEW_MSG' }],
      [20, undefined, { status: 'NO_MATCHED_MSG' }],
      [21, 'OFFSET_TOO_SMALL', { status: 'OFFSET_MOVED', reset: false }],
      [21, 'OFFSET_RESET', { status: 'OFFSET_MOVED', reset: true }],
    ] as const)
      it(`reads code ${code} ${remark ?? ''}, 64-bit offsets exact`, async () => {
        mq.control('PULL_MESSAGE', () => ({
          code,
          extFields: offsets,
          ...(remark === undefined ? {} : { remark }),
        }));
        assert.deepEqual(await client.pull(pulling), {
          ...expected,
          suggestWhichBrokerId: 1,
          nextBeginOffset: 9_007_199_254_740_995n,
          minOffset: 3n,
          maxOffset: 9_223_372_036_854_775_807n,
        });
      });

    it('drops messages whose tag only hashes alike, but not in the retry topic', async () => {
      const stored = Buffer.concat(
        ['Aa', 'BB', ''].map((tag) => record({ properties: tag === '' ? {} : { TAGS: tag } })),
      );
      const subscription = buildSubscription('orders', 'Aa');
      const tags = async (topic: string) => {
        mq.control('PULL_MESSAGE', () => ({ code: 0, extFields: offsets, body: stored }));
        const result = await client.pull({ ...pulling, queue: { ...queue, topic }, subscription });
        assert(result.status === 'FOUND');
        assert.deepEqual(
          [result.size, result.nextBeginOffset],
          [stored.length, 9_007_199_254_740_995n],
        );
        return result.messages.map(({ properties }) => properties.get('TAGS'));
      };
      assert.deepEqual(await tags('orders'), ['Aa']);
      assert.deepEqual(await tags('%RETRY%group'), ['Aa', 'BB', undefined]);
    });

    it('takes as long as the broker’s tick may need', async () => {
      mq.control('PULL_MESSAGE', () => 'drop');
      const [begin, signal] = [Date.now(), AbortSignal.timeout(3500)];
      await assert.rejects(client.pull(pulling, { signal }), { name: 'TimeoutError' });
      assert(Date.now() - begin >= 3400, 'an ordinary call would have given up after 3 s');
    });
  });

  describe('offsets', () => {
    it('are asked for in a way that makes "none" honest', async () => {
      const [command] = await requestsOf('QUERY_CONSUMER_OFFSET', async () =>
        assert.equal(await client.queryOffset('nobody', queue), undefined),
      );
      assert.equal(command?.extFields.setZeroIfNotFound, 'false');
    });

    it('beyond 2^53 are exact both ways', async () => {
      const offset = 9_007_199_254_740_995n;
      assert.deepEqual(await client.commitOffset('group', queue, offset), { resetPending: false });
      assert.equal(await client.queryOffset('group', queue), offset);
      mq.control('GET_MIN_OFFSET', () => ({
        code: 0,
        extFields: { ...getMinOffset.encodeAnswer(offset).extFields },
      }));
      assert.equal(await client.minOffset(queue), offset);
    });

    it('tell of a commit that the broker dropped for a reset', async () => {
      mq.control('UPDATE_CONSUMER_OFFSET', () => ({
        code: 0,
        remark: 'Offset has been previously reset',
      }));
      assert.deepEqual(await client.commitOffset('group', queue, 1n), { resetPending: true });
    });
  });

  describe('a call that fails', () => {
    for (const [code, remark, kind] of [
      [16, 'no', PermissionError],
      [1, 'org.apache.rocketmq.acl.common.AclException: check signature failed', PermissionError],
      [26, 'no group', GroupNotFoundError],
      [23, 'parse error', InvalidFilterError],
      [2, 'busy', BrokerError],
    ] as const)
      it(`with code ${code} (${remark}) is a ${kind.name}, and is not repeated`, async () => {
        using control = mq.control('PULL_MESSAGE', () => ({ code, remark }), ALWAYS);
        await assert.rejects(client.pull(pulling), (error) => error instanceof kind);
        assert.equal(control.calls, 1);
      });

    for (const code of [14, 17, 29, 501])
      it(`with code ${code} reads the route again and is repeated once`, async () => {
        await client.topicRoute('orders');
        mq.control('GET_MAX_OFFSET', () => ({ code }));
        const routes = await requestsOf('GET_ROUTEINFO_BY_TOPIC', async () =>
          assert.equal(await client.maxOffset(queue), mq.maxOffset(queue)),
        );
        assert.equal(routes.length, 1);
        using twice = mq.control('GET_MAX_OFFSET', () => ({ code }), ALWAYS);
        await assert.rejects(client.maxOffset(queue));
        assert.equal(twice.calls, 2);
      });

    it('with TOPIC_NOT_EXIST is a TopicNotFoundError', async () => {
      using _ = mq.control('GET_MAX_OFFSET', () => ({ code: 17 }), ALWAYS);
      await assert.rejects(
        client.maxOffset(queue),
        (error) => error instanceof TopicNotFoundError && error.topic === 'orders',
      );
      await assert.rejects(
        client.maxOffset({ ...queue, topic: 'nobody', brokerName: 'broker-x' }),
        TopicNotFoundError,
      );
    });

    it('because its topic was deleted says so', async () => {
      mq.control('GET_ROUTEINFO_BY_TOPIC', () => ({ code: 17 }));
      using _ = mq.control('GET_MAX_OFFSET', () => ({ code: 29 }), ALWAYS);
      await assert.rejects(client.maxOffset(queue), TopicNotFoundError);
    });

    it('keeps its own error when the name servers are down too', async () => {
      mq.control('GET_ROUTEINFO_BY_TOPIC', () => 'disconnect');
      using _ = mq.control('GET_MAX_OFFSET', () => ({ code: 29, remark: 'queueId' }), ALWAYS);
      await assert.rejects(
        client.maxOffset(queue),
        (error) => error instanceof BrokerError && error.responseCode === 29,
      );
    });

    it('with SYSTEM_ERROR makes the next one who asks get a fresh route (4.9 says so of a queue that is gone)', async () => {
      await client.topicRoute('orders');
      mq.control('PULL_MESSAGE', () => ({ code: 1, remark: 'queueId[9] is illegal' }));
      await assert.rejects(client.pull(pulling), BrokerError);
      assert.equal(
        (await requestsOf('GET_ROUTEINFO_BY_TOPIC', () => client.topicRoute('orders'))).length,
        1,
      );
    });

    it('by a broken connection is repeated when it reads', async () => {
      mq.control('GET_MAX_OFFSET', () => 'disconnect');
      assert.equal(await client.maxOffset(queue), mq.maxOffset(queue));
    });

    for (const [name, call] of [
      [
        'SEND_MESSAGE_V2',
        () => client.send({ topic: 'orders', body: Buffer.from('x') }, { queue }),
      ],
      ['UPDATE_CONSUMER_OFFSET', () => client.commitOffset('group', queue, 1n)],
      ['CONSUMER_SEND_MSG_BACK', () => client.sendBack({ ...sendingBack, commitLogOffset: 0n })],
    ] as const)
      it(`by a broken connection is not repeated when it is ${name}`, async () => {
        using control = mq.control(name, () => 'disconnect', ALWAYS);
        await assert.rejects(call(), ConnectionError);
        assert.equal(control.calls, 1);
      });

    it('by its time leaves the connection good', async () => {
      mq.control('GET_MAX_OFFSET', () => 'drop');
      await assert.rejects(client.maxOffset(queue, { timeoutMs: 50 }), RequestTimeoutError);
      assert.equal(await client.maxOffset(queue), mq.maxOffset(queue));
    });

    it('by its signal throws the signal’s reason', async () => {
      const reason = new Error('the lease was lost');
      const controller = new AbortController();
      using control = mq.control('GET_MAX_OFFSET', () => 'drop');
      const call = assert.rejects(client.maxOffset(queue, { signal: controller.signal }), reason);
      await until(() => control.calls === 1, 'the request arrived');
      controller.abort(reason);
      await call;
      await assert.rejects(
        client.topicRoute('orders', { signal: controller.signal, fresh: true }),
        reason,
      );
    });
  });

  const sendingBack = {
    consumerGroup: 'group',
    brokerName: 'broker-a',
    delayLevel: 3,
    originMsgId: 'ID',
    originTopic: 'orders',
    maxReconsumeTimes: 16,
  };

  describe('sendBack', () => {
    it('always sends the full form', async () => {
      mq.control('CONSUMER_SEND_MSG_BACK', ({ command }) => ({
        code: 0,
        remark: JSON.stringify(command.extFields),
      }));
      const [command] = await requestsOf('CONSUMER_SEND_MSG_BACK', () =>
        client.sendBack({ ...sendingBack, commitLogOffset: 1n << 60n }).catch(() => {}),
      );
      assert(command);
      assert.deepEqual(sendMessageBack.decode(command), {
        group: 'group',
        offset: 1n << 60n,
        delayLevel: 3,
        originMsgId: 'ID',
        originTopic: 'orders',
        unitMode: false,
        maxReconsumeTimes: 16,
      });
    });

    it('says Java’s largest number for "without end"', async () => {
      const call = () =>
        client
          .sendBack({ ...sendingBack, commitLogOffset: 1n << 60n, maxReconsumeTimes: -1 })
          .catch(() => {});
      const [command] = await requestsOf('CONSUMER_SEND_MSG_BACK', call);
      assert.equal(command?.extFields.maxReconsumeTimes, '2147483647');
    });
  });

  describe('send', () => {
    it('goes round the writable queues of all brokers', async () => {
      mq.createTopic('round', { queues: 2 });
      const seen: string[] = [];
      for (let n = 0; n < 8; n++) {
        const sent = await client.send({ topic: 'round', body: Buffer.from('x') });
        seen.push(`${sent.queue.brokerName} ${sent.queue.queueId}`);
      }
      assert.deepEqual(seen.slice(0, 4).sort(), [
        'broker-a 0',
        'broker-a 1',
        'broker-b 0',
        'broker-b 1',
      ]);
      assert.deepEqual(seen.slice(4), seen.slice(0, 4));
    });

    it('never makes a topic, not even when the queue is given', async () => {
      const message = { topic: 'misspelt', body: Buffer.from('x') };
      await assert.rejects(client.send(message), TopicNotFoundError);
      await assert.rejects(
        client.send(message, { queue: { ...queue, topic: 'misspelt' } }),
        TopicNotFoundError,
      );
      await assert.rejects(client.sendBatch([message]), TopicNotFoundError);
      await assert.rejects(client.topicRoute('misspelt'), TopicNotFoundError);
    });

    it('to a topic that nobody may write says so', async () => {
      mq.createTopic('readonly', { perm: 4 });
      await assert.rejects(client.send({ topic: 'readonly', body: Buffer.from('x') }), {
        code: 'ROCKETMQ_NO_WRITABLE_QUEUE',
      });
    });

    for (const [code, status] of [
      [10, 'FLUSH_DISK_TIMEOUT'],
      [11, 'SLAVE_NOT_AVAILABLE'],
      [12, 'FLUSH_SLAVE_TIMEOUT'],
    ] as const)
      it(`with code ${code} is stored all the same: ${status}`, async () => {
        const extFields = { msgId: 'OFFSETID', queueId: '1', queueOffset: '5' };
        mq.control('SEND_MESSAGE_V2', () => ({ code, extFields }));
        const sent = await client.send({ topic: 'orders', body: Buffer.from('x') }, { queue });
        assert.deepEqual(
          [sent.status, sent.offsetMsgId, sent.queue.queueId, sent.queueOffset],
          [status, 'OFFSETID', 1, 5n],
        );
      });
  });

  describe('locks', () => {
    it('are taken broker by broker', async () => {
      const other = { ...queue, brokerName: 'broker-b' };
      await assert.rejects(client.lockQueues('group', 'me', [queue, other]), {
        code: 'ROCKETMQ_USAGE',
      });
      await assert.rejects(client.unlockQueues('group', 'me', []), { code: 'ROCKETMQ_USAGE' });
      assert.deepEqual(await client.lockQueues('group', 'me', [other]), [other]);
    });
  });

  describe('administration', () => {
    it('reaches every master, or those that are named', async () => {
      assert.deepEqual((await client.brokerNames()).sort(), ['broker-a', 'broker-b']);
      await client.createTopic('made', { readQueueNums: 1, writeQueueNums: 1 });
      await client.createTopic('half', { brokerNames: ['broker-b'] });
      const brokersOf = async (topic: string) =>
        (await client.topicRoute(topic)).queues.map(({ brokerName }) => brokerName).sort();
      assert.deepEqual(
        [await brokersOf('made'), await brokersOf('half')],
        [['broker-a', 'broker-b'], ['broker-b']],
      );
      const made = await requestsOf('UPDATE_AND_CREATE_SUBSCRIPTIONGROUP', () =>
        client.createGroup('made', { retryMaxTimes: 3 }),
      );
      assert.deepEqual(
        made.map(({ body }) => JSON.parse(String(body)).retryMaxTimes),
        [3, 3],
      );
    });

    it('of an unknown broker says that it may be down', async () => {
      await assert.rejects(
        client.consumerIds('group', 'broker-x'),
        (error) => error instanceof ConnectionError && /broker-x has no master/.test(error.message),
      );
    });

    it('tells an empty group from an error', async () => {
      assert.deepEqual(await client.consumerIds('nobody', 'broker-a'), []);
      assert.deepEqual(await client.consumerConnections('nobody', 'broker-a'), []);
      mq.control('GET_CONSUMER_LIST_BY_GROUP', () => ({ code: 1, remark: 'something else' }));
      await assert.rejects(client.consumerIds('group', 'broker-a'), BrokerError);
    });
  });

  it('works again after a reset', async () => {
    const held = assert.rejects(
      client.pull({ ...pulling, offset: mq.maxOffset(queue), suspendMs: 15_000 }),
      ConnectionError,
    );
    await until(() => mq.heldPulls() === 1, 'the pull is held');
    // A pull may be repeated over a new connection; here that one breaks too.
    const network = mq.control('*', () => 'disconnect', ALWAYS);
    client.reset();
    await held;
    network.remove();
    assert.equal(await client.maxOffset(queue), mq.maxOffset(queue));
  });

  it('signs every request with its credentials', async () => {
    const credentials = { accessKey: 'ak', secretKey: 'sk', securityToken: 'token' };
    const signing = createRocketMQClient({ nameServers: mq.nameServers, credentials });
    const commands = await requestsOf('UPDATE_AND_CREATE_SUBSCRIPTIONGROUP', () =>
      signing.createGroup('signed'),
    );
    await signing.close();
    assert.equal(commands.length, 2);
    for (const { extFields, body } of commands) {
      const { AccessKey, SecurityToken, Signature, ...fields } = extFields;
      assert.deepEqual([AccessKey, SecurityToken], ['ak', 'token']);
      assert.equal(Signature, signRequest(fields, body, credentials).Signature);
    }
  });
});

describe('brokers that cannot be reached where they say', () => {
  let mq: EmbeddedRocketMQ;
  const cleanups: (() => Promise<void>)[] = [];
  before(async () => {
    mq = await startEmbeddedRocketMQ();
    mq.createTopic('orders');
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
    await mq.stop();
  });

  /** A client whose only name server announces these addresses for broker-a; `addresses` is asked at each route request. */
  async function clientBehind(
    addresses: () => ReadonlyMap<number, string>,
    config: Partial<ClusterConfig> = {},
  ): Promise<RocketMQClient> {
    const queues = [
      { brokerName: 'broker-a', readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 },
    ];
    const nameServer: FrameServer = await startFrameServer((command, peer) => {
      const brokers = [{ cluster: 'C', brokerName: 'broker-a', brokerAddrs: addresses() }];
      peer.answer(command, getRoute.encodeAnswer({ brokers, queues, mappedBrokers: [] }));
    });
    const client = createRocketMQClient({ nameServers: [nameServer.address], ...config });
    cleanups.push(
      () => nameServer.stop(),
      () => client.close(),
    );
    return client;
  }
  const real = (): string => mq.brokers[0]?.address ?? '';

  async function refusing(): Promise<string> {
    const server = await startFrameServer(() => {});
    await server.stop();
    return server.address;
  }

  it('are reached through addressMap', async () => {
    const client = await clientBehind(() => new Map([[0, '10.255.255.1:10911']]), {
      addressMap: { '10.255.255.1:10911': real() },
    });
    assert.equal(await client.maxOffset(queue), 0n);
  });

  const hasIPv6 = Object.values(networkInterfaces()).some((entries) =>
    entries?.some(({ address }) => address === '::1'),
  );
  it('are reached over IPv6 that is announced without brackets', {
    skip: hasIPv6 ? false : 'this machine has no ::1',
  }, async () => {
    const broker = await startFrameServer(
      (command, peer) => peer.answer(command, { extFields: { offset: '42' } }),
      { host: '::1' },
    );
    cleanups.push(() => broker.stop());
    const client = await clientBehind(() => new Map([[0, `::1:${broker.port}`]]));
    assert.equal(await client.maxOffset(queue), 42n);
  });

  it('are found in addressMap with and without the brackets of IPv6', async () => {
    for (const key of ['fd00::1:10911', '[fd00::1]:10911']) {
      const client = await clientBehind(() => new Map([[0, 'fd00::1:10911']]), {
        addressMap: { [key]: real() },
      });
      assert.equal(await client.maxOffset(queue), 0n);
    }
  });

  for (const announced of ['nonsense', 'fd00::1', 'host:port:1'])
    it(`give an error that names the broker and the route when "${announced}" is announced`, async () => {
      const client = await clientBehind(() => new Map([[0, announced]]));
      await assert.rejects(client.maxOffset(queue), (error) => {
        assert(error instanceof ConnectionError);
        assert.ok(
          error.message.startsWith(
            `broker broker-a announces itself as "${announced}" in the route of topic "orders", which is not a valid address: correct brokerIP1`,
          ),
          error.message,
        );
        return true;
      });
    });

  it('give an error that names the address, and addressMap', async () => {
    const announced = await refusing();
    const client = await clientBehind(() => new Map([[0, announced]]));
    await assert.rejects(client.maxOffset(queue), (error) => {
      assert(error instanceof ConnectionError);
      assert.equal(error.address, announced);
      assert.match(
        error.message,
        /ECONNREFUSED.*The broker announces itself as .*translate it with addressMap/,
      );
      return true;
    });
    const mapped = await clientBehind(() => new Map([[0, '10.255.255.1:10911']]), {
      addressMap: { '10.255.255.1:10911': announced },
    });
    await assert.rejects(
      mapped.maxOffset(queue),
      /announces itself as 10\.255\.255\.1:10911, which addressMap translates to 127/,
    );
  });

  it('are found again at a new address, by writes too: nothing was sent yet', async () => {
    const old = await refusing();
    let address = old;
    const client = await clientBehind(() => new Map([[0, address]]));
    await client.topicRoute('orders');
    address = real();
    mq.createGroup('group');
    assert.deepEqual(await client.commitOffset('group', queue, 1n), { resetPending: false });
  });

  it('are pulled from a slave when it is named, and from the master when the slave is gone', async () => {
    const slave = await startFrameServer((command, peer) => {
      peer.answer(command, {
        code: 19,
        extFields: {
          suggestWhichBrokerId: '1',
          nextBeginOffset: '1',
          minOffset: '1',
          maxOffset: '1',
        },
      });
    });
    const client = await clientBehind(
      () =>
        new Map([
          [0, real()],
          [1, slave.address],
        ]),
    );
    assert.equal((await client.pull({ ...pulling, brokerId: 1 })).maxOffset, 1n);
    assert.equal((await client.pull({ ...pulling, brokerId: 0 })).maxOffset, 0n);
    assert.equal(
      (await client.pull({ ...pulling, brokerId: 2 })).maxOffset,
      0n,
      'an id that the route does not have: the master',
    );
    await slave.stop();
    assert.equal((await client.pull({ ...pulling, brokerId: 1 })).maxOffset, 0n);
  });

  it('are pulled from a slave when there is no master; all else waits for one', async () => {
    const slave = await startFrameServer((command, peer) => {
      peer.answer(command, {
        code: 19,
        extFields: {
          suggestWhichBrokerId: '1',
          nextBeginOffset: '1',
          minOffset: '1',
          maxOffset: '1',
        },
      });
    });
    cleanups.push(() => slave.stop());
    const addresses = new Map([[1, slave.address]]);
    const client = await clientBehind(() => addresses);
    assert.equal((await client.pull(pulling)).maxOffset, 1n);
    await assert.rejects(
      client.commitOffset('group', queue, 1n),
      /broker-a has no master in the route: it may be down/,
    );
    addresses.set(0, real());
    assert.deepEqual(await client.commitOffset('group', queue, 1n), { resetPending: false });
  });
});
