import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../../src/client/rocketmq-client.ts';
import {
  BrokerError,
  ConnectionError,
  ProtocolError,
  RouteRefusedError,
  TopicNotFoundError,
} from '../../../src/errors.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { getRoute } from '../../../src/requests/get-route.ts';
import { type FrameServer, type Reply, startFrameServer } from '../../support/frame-server.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function routeVia(brokerName: string): Reply {
  const queues = [{ brokerName, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }];
  return getRoute.encodeAnswer({
    brokers: [{ cluster: 'C', brokerName, brokerAddrs: new Map([[0, '127.0.0.1:1']]) }],
    queues,
    mappedBrokers: [],
  });
}
const notFound: Reply = { code: 17, remark: 'No topic route info in name server' };

/** A name server that answers with what `reply` says; 'silent' never answers. */
async function nameServer(reply: () => Reply | 'silent'): Promise<FrameServer> {
  const server = await startFrameServer((command, peer) => {
    const answer = reply();
    if (answer !== 'silent') peer.answer(command, answer);
  });
  cleanups.push(() => server.stop());
  return server;
}

/** The first address is asked first; time stands still unless moved. */
function clientOf(
  servers: readonly (FrameServer | string)[],
  options: { random?: number } = {},
): { mq: RocketMQClient; pass(ms: number): void } {
  let now = 1_000_000;
  const clock = { now: () => now, sleep: async () => {} };
  const nameServers = servers.map((server) =>
    typeof server === 'string' ? server : server.address,
  );
  const mq = createRocketMQClient({ nameServers }, { clock, random: () => options.random ?? 0 });
  cleanups.push(() => mq.close());
  return {
    mq,
    pass(ms) {
      now += ms;
    },
  };
}

async function gone(): Promise<string> {
  const server = await startFrameServer(() => {});
  await server.stop();
  return server.address;
}

const nameOf = async (route: Promise<{ brokers: readonly { brokerName: string }[] }>) =>
  (await route).brokers[0]?.brokerName;

describe('several name servers', () => {
  it('the next one is asked when one cannot be reached, and kept', async () => {
    const [second, third] = [
      await nameServer(() => routeVia('second')),
      await nameServer(() => routeVia('third')),
    ];
    const { mq } = clientOf([await gone(), second, third]);
    for (const topic of ['a', 'b', 'c']) assert.equal(await nameOf(mq.topicRoute(topic)), 'second');
    assert.deepEqual([second.received.length, third.received.length], [3, 0]);
  });

  it('the next one is asked when one is silent; the silent one comes last from then on', async () => {
    const silent = await nameServer(() => 'silent');
    let up = true;
    const second = await nameServer(() => (up ? routeVia('second') : 'silent'));
    const { mq } = clientOf([silent, second]);
    assert.equal(await nameOf(mq.topicRoute('a', { timeoutMs: 50 })), 'second');
    up = false;
    await assert.rejects(mq.topicRoute('b', { timeoutMs: 50 }), ConnectionError);
    assert.deepEqual([silent.received.length, second.received.length], [2, 2]);
  });

  it('the next one is asked when one refuses or is not ready, and kept', async () => {
    const first = await nameServer(() => ({ code: 1, remark: 'name server not ready' }));
    const { mq } = clientOf([first, await nameServer(() => routeVia('second'))]);
    for (const topic of ['a', 'b']) assert.equal(await nameOf(mq.topicRoute(topic)), 'second');
    assert.equal(first.received.length, 1);
  });

  it('which one comes first is chosen by the random number', async () => {
    const servers = [
      await nameServer(() => routeVia('first')),
      await nameServer(() => routeVia('second')),
    ];
    assert.equal(await nameOf(clientOf(servers, { random: 0.49 }).mq.topicRoute('a')), 'first');
    assert.equal(await nameOf(clientOf(servers, { random: 0.51 }).mq.topicRoute('a')), 'second');
  });

  it('when none answers, every address is told with its reason', async () => {
    const [first, second, silent] = [await gone(), await gone(), await nameServer(() => 'silent')];
    const { mq } = clientOf([first, second, silent]);
    await assert.rejects(mq.topicRoute('a', { timeoutMs: 50 }), (error) => {
      assert(error instanceof ConnectionError);
      for (const address of [first, second, silent.address])
        assert(error.message.includes(address), error.message);
      assert.match(
        error.message,
        /no name server answers: .*ECONNREFUSED.*not answered within.*Check nameServers/,
      );
      return true;
    });
  });

  it('an abort ends the search', async () => {
    const controller = new AbortController();
    const second = await nameServer(() => routeVia('second'));
    const first = await nameServer(() => {
      controller.abort(new Error('over'));
      return 'silent';
    });
    await assert.rejects(
      clientOf([first, second]).mq.topicRoute('a', { signal: controller.signal }),
      /over/,
    );
    assert.equal(second.received.length, 0);
  });
});

describe('a topic that a name server does not know', () => {
  it('is asked for at the others, and not found only when none knows it', async () => {
    let known = true;
    const second = await nameServer(() => (known ? routeVia('second') : notFound));
    const { mq } = clientOf([await nameServer(() => notFound), second]);
    assert.equal(await nameOf(mq.topicRoute('a')), 'second');
    known = false;
    await assert.rejects(
      mq.topicRoute('b'),
      (error) => error instanceof TopicNotFoundError && error.topic === 'b',
    );
  });

  it('is not found when one said so and the others cannot be reached; these are not waited for again', async () => {
    const silent = await nameServer(() => 'silent');
    const { mq } = clientOf([silent, await nameServer(() => notFound)]);
    await assert.rejects(mq.topicRoute('a', { timeoutMs: 50 }), TopicNotFoundError);
    await assert.rejects(mq.topicRoute('a', { timeoutMs: 50 }), TopicNotFoundError);
    assert.equal(silent.received.length, 1);
  });

  it('is no TopicNotFoundError when nobody said so', async () => {
    await assert.rejects(
      clientOf([await gone()]).mq.topicRoute('a'),
      (error) => error instanceof ConnectionError,
    );
    const busy = await nameServer(() => ({ code: 2, remark: 'busy' }));
    await assert.rejects(
      clientOf([busy]).mq.topicRoute('a'),
      (error) => error instanceof BrokerError && error.responseCode === 2,
    );
  });

  it('is not remembered', async () => {
    let known = false;
    const { mq } = clientOf([await nameServer(() => (known ? routeVia('first') : notFound))]);
    await assert.rejects(mq.topicRoute('a'), TopicNotFoundError);
    known = true;
    assert.equal(await nameOf(mq.topicRoute('a')), 'first');
  });
});

describe('the route cache', () => {
  it('keeps a route for 30 s, and passes by it when a fresh one is wanted', async () => {
    let name = 'one';
    const server = await nameServer(() => routeVia(name));
    const { mq, pass } = clientOf([server]);
    assert.equal(await nameOf(mq.topicRoute('a')), 'one');
    name = 'two';
    pass(29_999);
    assert.equal(await nameOf(mq.topicRoute('a')), 'one');
    assert.equal(await nameOf(mq.topicRoute('a', { fresh: true })), 'two');
    name = 'three';
    pass(29_999);
    assert.equal(await nameOf(mq.topicRoute('a')), 'two');
    pass(1);
    assert.equal(await nameOf(mq.topicRoute('a')), 'three');
    assert.equal(server.received.length, 3);
  });

  it('forgets a topic that is gone', async () => {
    let reply = routeVia('one');
    const { mq } = clientOf([await nameServer(() => reply)]);
    await mq.topicRoute('a');
    reply = notFound;
    await assert.rejects(mq.topicRoute('a', { fresh: true }), TopicNotFoundError);
    await assert.rejects(mq.topicRoute('a'), TopicNotFoundError);
  });
});

describe('a route that cannot be used', () => {
  const json = (value: object): Reply => ({ body: Buffer.from(JSON.stringify(value)) });

  it('of a static topic is refused by name', async () => {
    const body = { brokerDatas: [], queueDatas: [], topicQueueMappingByBroker: { a: {} } };
    await assert.rejects(clientOf([await nameServer(() => json(body))]).mq.topicRoute('T'), {
      code: 'ROCKETMQ_STATIC_TOPIC',
    });
  });

  it('with a senseless number of queues is a ProtocolError', async () => {
    for (const readQueueNums of [-1, 1e9]) {
      const queueDatas = [
        { brokerName: 'b', readQueueNums, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
      ];
      await assert.rejects(
        clientOf([await nameServer(() => json({ brokerDatas: [], queueDatas }))]).mq.topicRoute(
          'T',
        ),
        ProtocolError,
      );
    }
  });

  const entry = (brokerName: string, readQueueNums = 1) => ({
    ...{ brokerName, readQueueNums, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
  });
  const brokerAt = (address: string, brokerName = 'b', cluster = 'C') => ({
    ...{ cluster, brokerName, brokerAddrs: { 0: address } },
  });
  const tooMany = Object.fromEntries(Array.from({ length: 65 }, (_, id) => [id, 'b:1']));
  for (const [what, route] of [
    ['10,001 queues in all', { queueDatas: [entry('a', 5_000), entry('b', 5_001)] }],
    ['1,001 brokers', { brokerDatas: Array.from({ length: 1_001 }, () => brokerAt('b:1')) }],
    ['65 addresses', { brokerDatas: [{ ...brokerAt('b:1'), brokerAddrs: tooMany }] }],
    ['a broker name that is a key', { queueDatas: [entry('a/b')] }],
    ['a broker name with an escape', { brokerDatas: [brokerAt('b:1', 'b\u001b[2J')] }],
    ['a broker name that reverses text', { queueDatas: [entry('b\u202e')] }],
    ['a broker name of 256 bytes', { queueDatas: [entry('b'.repeat(256))] }],
    ['a cluster name with a line', { brokerDatas: [brokerAt('b:1', 'b', 'C\nD')] }],
    ['an address with a line', { brokerDatas: [brokerAt('b:1\n{"_aws":1}')] }],
    ['an address of 301 characters', { brokerDatas: [brokerAt('b'.repeat(301))] }],
    ['an order of queues without end', { orderTopicConf: 'b:1;'.repeat(100_000) }],
  ] as const)
    it(`with ${what} is refused by name, in one short line`, async () => {
      const body = { brokerDatas: [], queueDatas: [], ...route };
      const { mq } = clientOf([await nameServer(() => json(body))]);
      await assert.rejects(mq.topicRoute('T'), (error) => {
        assert(error instanceof RouteRefusedError);
        assert.equal(error.code, 'ROCKETMQ_ROUTE_REFUSED');
        assert.match(error.message, /^route of topic "T" refused: [\x20-\x7e…]{1,300}$/);
        return true;
      });
    });

  const unusable = { queueDatas: [entry('a', 10_001)], brokerDatas: [] };
  for (const [what, reply] of [
    ['a route beyond all bounds', () => json(unusable)],
    ['no JSON', () => ({ body: Buffer.from('<html>') })],
    ['JSON of another shape', () => json({ queueDatas: {} })],
    ['a broker name that is no name', () => json({ ...unusable, queueDatas: [entry('a b')] })],
  ] as const)
    it(`makes the client ask the next name server, and stay with it: ${what}`, async () => {
      const first = await nameServer(reply);
      const second = await nameServer(() => routeVia('second'));
      const { mq } = clientOf([first, second]);
      for (const topic of ['a', 'b']) assert.equal(await nameOf(mq.topicRoute(topic)), 'second');
      assert.deepEqual([first.received.length, second.received.length], [1, 2]);
    });

  it('is reported where no other name server has a better one, also where one knows no route', async () => {
    for (const second of [notFound, { code: 1, remark: 'busy' }]) {
      const servers = [await nameServer(() => json(unusable)), await nameServer(() => second)];
      await assert.rejects(clientOf(servers).mq.topicRoute('T'), {
        code: 'ROCKETMQ_ROUTE_REFUSED',
        message: /^route of topic "T" refused: 10001 queues/,
      });
    }
    const servers = [await nameServer(() => json(unusable)), await gone()];
    await assert.rejects(clientOf(servers).mq.topicRoute('T'), { code: 'ROCKETMQ_ROUTE_REFUSED' });
  });

  it('leaves the route that was read before in use until it is old', async () => {
    let reply = routeVia('good');
    const { mq } = clientOf([await nameServer(() => reply)]);
    await mq.topicRoute('a');
    reply = json(unusable);
    await assert.rejects(mq.topicRoute('a', { fresh: true }), { code: 'ROCKETMQ_ROUTE_REFUSED' });
    assert.equal(await nameOf(mq.topicRoute('a')), 'good');
  });

  it('is none with 10,000 queues and names as brokers have them', async () => {
    const queueDatas = [entry('broker-a.mq_1', 5_000), entry('代理|b:1', 5_000)];
    const brokerDatas = [brokerAt('fe80::1%eth0:10911'), brokerAt('', 'b', '')];
    const { mq } = clientOf([await nameServer(() => json({ brokerDatas, queueDatas }))]);
    assert.equal((await mq.topicRoute('T')).queues.length, 2);
  });

  it('that is no JSON is a ProtocolError', async () => {
    await assert.rejects(
      clientOf([await nameServer(() => ({ body: Buffer.from('<html>') }))]).mq.topicRoute('T'),
      ProtocolError,
    );
  });
});

describe('a cluster info', () => {
  const info = (table: object): Reply => ({
    body: Buffer.from(JSON.stringify({ brokerAddrTable: table })),
  });
  const broker = (brokerName: string, address = '10.0.0.1:10911', more: object = {}) => ({
    [brokerName]: { cluster: 'C', brokerName, brokerAddrs: { 0: address }, ...more },
  });

  for (const [what, odd] of [
    ['a name with a space', broker('broker b')],
    ['a name that is a key', broker('a/b')],
    ['a name with an escape', broker('b\u001b[2J')],
    ['a name without end', broker('b'.repeat(256))],
    ['an address with a line', broker('b', 'h:1\nx')],
    ['a broker id that is none', broker('b', '', { brokerAddrs: { x: 'h:1' } })],
    ['no object', { b: 5 }],
    ['no name', { b: { cluster: 'C' } }],
  ] as const)
    it(`is used without the broker that has ${what}, which is named in one warning`, async () => {
      const lines: object[] = [];
      const logger: Logger = {
        ...{ debug: () => {}, info: () => {}, error: () => assert.fail('an error') },
        warn: (fields, message) => void lines.push({ ...fields, message }),
        child: () => logger,
      };
      const table = { ...broker('broker-a'), ...odd, ...broker('broker-c') };
      const server = await nameServer(() => info(table));
      const mq = createRocketMQClient({ nameServers: [server.address] }, { logger });
      cleanups.push(() => mq.close());
      for (let call = 0; call < 2; call++)
        assert.deepEqual(await mq.brokerNames(), ['broker-a', 'broker-c']);
      assert.equal(lines.length, 1);
      assert.match(
        JSON.stringify(lines),
        /"code":"ROCKETMQ_ROUTE_REFUSED","broker":"[\x20-\x7e…]{1,100}","reason":"[\x20-\x7e…]{1,200}"/,
      );
    });

  it('that cannot be read, or is too large, makes the client ask the next name server', async () => {
    const names = Array.from({ length: 1_001 }, (_, n) => broker(`b-${n}`));
    for (const reply of [info(Object.assign({}, ...names)), { body: Buffer.from('<html>') }]) {
      const first = await nameServer(() => reply);
      const { mq } = clientOf([first, await nameServer(() => info(broker('second')))]);
      assert.deepEqual(await mq.brokerNames(), ['second']);
      await assert.rejects(clientOf([first]).mq.brokerNames(), ProtocolError);
    }
  });
});
