import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { statusText } from '../../infra/commands/status.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { CHECKS } from '../../src/operator/doctor.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { changesOf } from '../../src/operator/status-changes.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { getRoute } from '../../src/requests/get-route.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';
import { startSharedMember } from '../support/shared-member.ts';
import { until } from '../support/until.ts';

describe('doctor, connections, invoke, send, tail and cost', () => {
  let world: OperatorWorld;
  before(async () => {
    world = await createOperatorWorld();
    await world.produce(2, 0);
  });
  after(() => world?.stop());
  const results = async (more: Parameters<OperatorWorld['operate']>[2] = {}) => {
    const { findings } = await world.operate('doctor', {}, more);
    return new Map(findings.map((finding) => [finding.check, finding]));
  };

  test('a healthy service: every check is made, and none fails', async () => {
    await world.store.create(world.group, world.queue(0), 0, 0n);
    const found = await results();
    assert.deepEqual([...found.keys()].sort(), [...CHECKS].sort());
    for (const { check, result, detail } of found.values())
      assert.ok(result === 'ok' || result === 'not needed', `${check}: ${result} ${detail}`);
    assert.match(found.get('version')?.detail ?? '', /broker-a V5_5_0/);
  });

  test('each failure has its check and what to do', async () => {
    const { service } = world.deps;
    const [subscription] = world.config.subscriptions;
    assert.ok(subscription);
    const sources = [
      {
        ...world.config,
        subscriptions: [
          {
            ...subscription,
            topic: 'no-such',
            handler: { ...subscription.handler, invocation: 'function' as const },
          },
        ],
      },
    ];
    const clusters = {
      default: {
        ...service.clusters.default,
        nameServers: [
          ...service.clusters.default!.nameServers,
          'no-such-host.invalid:9876',
          '127.0.0.1:1',
        ],
      },
    };
    const found = await results({
      service: { ...service, sources, clusters },
      store: undefined,
      checkHandler: async () => ({ why: 'there is no such function' }),
    });
    for (const [check, text] of [
      ['dns', /no-such-host\.invalid/],
      ['tcp', /127\.0\.0\.1:1/],
      ['topics', /"no-such" has no route/],
      ['handlers', /no such function/],
    ] as const) {
      assert.equal(found.get(check)?.result, 'failed', check);
      assert.match(found.get(check)?.detail ?? '', text);
      assert.ok((found.get(check)?.fix ?? '') !== '', check);
    }
    assert.equal(found.get('table')?.result, 'unknown');
  });

  test('credentials without tls, and certificates that nobody verifies, are warnings with what to do', async () => {
    const { service } = world.deps;
    const tlsOf = async (settings: object, more: object = {}) => {
      const cluster = { ...service.clusters.default!, ...settings };
      const found = await results({
        service: { ...service, clusters: { default: cluster } },
        ...more,
      });
      return found.get('tls');
    };
    const credentials = { accessKey: 'a', secretKey: 'the-secret-key' };
    const plain = await tlsOf({ credentials });
    assert.equal(plain?.result, 'warning');
    assert.match(plain.detail, /^credentials without tls/);
    assert.match(plain.fix ?? '', /enable tls on name servers and brokers/);
    assert.doesNotMatch(JSON.stringify(plain), /the-secret-key/);
    // Connections over TLS succeed here: what is weak is that anything would.
    const probe = { ...world.deps.probe, connect: async () => 1 };
    const unverified = await tlsOf({ tls: { enabled: true, verify: false } }, { probe });
    assert.equal(unverified?.result, 'warning');
    assert.match(unverified.detail, /^tls\.verify: false/);
    assert.match(unverified.fix ?? '', /tls\.caCertificate/);
    assert.equal((await tlsOf({ credentials, tls: { enabled: true } }, { probe }))?.result, 'ok');
    // What does not connect is the failure, not the weakness.
    const broken = await tlsOf({ tls: { enabled: true, verify: false } });
    assert.equal(broken?.result, 'failed');
  });

  test('a broker and a topic that are refused have their reason, code and text in status', async () => {
    const route = await world.client.topicRoute('orders', { fresh: true });
    const answer = (brokers: typeof route.brokers, queues: typeof route.queues) => {
      const body = getRoute.encodeAnswer({ brokers, queues, mappedBrokers: [] }).body!;
      return world.broker.control(
        'GET_ROUTEINFO_BY_TOPIC',
        ({ command }) =>
          command.extFields.topic === 'orders' ? { code: ResponseCode.SUCCESS, body } : undefined,
        { times: Number.MAX_SAFE_INTEGER },
      );
    };
    const addresses = new Map([[0, '169.254.169.254:10911']]);
    const cases = [
      [
        'ADDRESS_REFUSED',
        route.brokers.map((broker) => ({ ...broker, brokerAddrs: addresses })),
        route.queues,
        /belongs to a metadata service/,
      ],
      [
        'ROUTE_REFUSED',
        route.brokers,
        route.queues.map((queue) => ({ ...queue, readQueueNums: 10_001 })),
        /route of topic "orders" refused: 10001 queues/,
      ],
    ] as const;
    await world.store.create(world.group, world.queue(0), 0, 0n);
    // It would tell the right address.
    using _cluster = world.broker.control(
      'GET_BROKER_CLUSTER_INFO',
      () => ({ code: ResponseCode.SYSTEM_ERROR, remark: 'busy' }),
      { times: Number.MAX_SAFE_INTEGER },
    );
    for (const [reason, brokers, queues, text] of cases) {
      const control = answer(brokers, queues);
      const client = createRocketMQClient({ nameServers: world.broker.nameServers });
      try {
        const status = await world.operate('status', {}, { clients: () => client });
        const [queue] = status.groups[0]?.queues ?? [];
        assert.deepEqual([queue?.reason, queue?.code], [reason, `ROCKETMQ_${reason}`]);
        assert.match(queue?.detail ?? '', text);
        const shown = statusText(status);
        assert.match(shown, text);
        assert.ok(shown.includes(`! ${reason} `) && shown.includes(`(ROCKETMQ_${reason})`), shown);
      } finally {
        control.remove();
        await client.close();
      }
    }
  });

  test('clocks that differ are a warning, a broker that is too old a failure', async () => {
    assert.equal(
      (await results({ clock: { ...world.deps.clock, now: () => Date.now() - 3_600_000 } })).get(
        'clock',
      )?.result,
      'warning',
    );
    const old = new Proxy(world.client, {
      get: (target, name) =>
        name === 'brokerInfo'
          ? async () => new Map([['brokerVersionDesc', 'V4_8_0']])
          : Reflect.get(target, name).bind(target),
    });
    assert.equal((await results({ clients: () => old })).get('version')?.result, 'failed');
  });

  test('members, what they subscribe to, and where that is something else', async () => {
    assert.deepEqual(
      (await world.operate('connections')).groups.map(({ members, conflicts }) => [
        members,
        conflicts,
      ]),
      [[[], []]],
    );
    const member = await startSharedMember(
      world.broker.nameServers,
      world.group.consumerGroup,
      'java@1',
      [['orders', 'paid']],
    );
    try {
      const { groups } = await world.operate('connections');
      assert.deepEqual(
        groups[0]?.members.map(({ clientId, own, brokers }) => [clientId, own, brokers]),
        [['java@1', false, ['broker-a']]],
      );
      assert.deepEqual(groups[0]?.conflicts, ['orders: here TAG *, there TAG paid']);
      assert.equal((await results()).get('members')?.result, 'failed');
      const { groups: status } = await world.operate('status');
      assert.deepEqual(
        [status[0]?.foreignMembers, status[0]?.problems[0]?.reason],
        [['java@1'], 'FOREIGN_MEMBERS'],
      );
      await assert.rejects(
        world.operate('reset', { to: 'first' }),
        (error) => error instanceof OperatorError && /java@1/.test(error.message),
      );
    } finally {
      await member.stop();
    }
  });

  test('one message goes to its handler function, and nothing moves', async () => {
    const [subscription] = world.config.subscriptions;
    assert.ok(subscription);
    const handler = {
      ...subscription.handler,
      invocation: 'function' as const,
      functionName: 'orders-fn',
    };
    const service = {
      ...world.deps.service,
      sources: [{ ...world.config, subscriptions: [{ ...subscription, handler }] }],
    };
    const events: RocketMQEvent[] = [];
    const answering = (answer: unknown) => () => ({
      invoke: async (payload: { json(): string }) => {
        events.push(JSON.parse(payload.json()) as RocketMQEvent);
        return { kind: 'answered' as const, answer };
      },
    });
    const queue = 'orders/broker-a/0';
    const done = await world.operate(
      'invoke',
      { queue, offset: '1' },
      { service, handlers: answering(undefined) },
    );
    assert.deepEqual(
      [done.result, done.functionName, events[0]?.Records[0]?.body],
      ['CR_SUCCESS', 'orders-fn', '{"n":1}'],
    );
    const failing = { batchItemFailures: [{ itemIdentifier: events[0]?.Records[0]?.messageId }] };
    assert.equal(
      (
        await world.operate(
          'invoke',
          { queue, offset: '1' },
          { service, handlers: answering(failing) },
        )
      ).result,
      'CR_LATER',
    );
    assert.equal(
      world.broker.offset(world.group.consumerGroup, { topic: 'orders', queueId: 0 }),
      undefined,
    );
    await assert.rejects(
      world.operate('invoke', { queue, offset: '1' }),
      (error) => error instanceof OperatorError && /invocation: inline/.test(error.message),
    );
    await assert.rejects(
      world.operate('invoke', { queue, offset: '9' }, { service }),
      (error) => error instanceof OperatorError && /no message at offset 9/.test(error.message),
    );
  });

  test('messages are sent with tag, keys and properties; two looks tell what has changed', async () => {
    const before = await world.operate('status');
    const { sent } = await world.operate('send', {
      topic: 'orders',
      body: 'hello',
      count: 2,
      tag: 'paid',
      key: ['a', 'b'],
      property: ['tenant=acme'],
      'sharding-key': 'order-17',
    });
    assert.equal(sent.length, 2);
    assert.equal(new Set(sent.map(({ queue }) => queue)).size, 1, 'equal keys go to one queue');
    const { messages } = await world.operate('get', { id: sent[0]?.messageId });
    const [message] = messages;
    assert.ok(message !== undefined && 'body' in message);
    assert.deepEqual(
      [message.body, message.tags, message.keys, message.properties.tenant],
      ['hello', 'paid', 'a b', 'acme'],
    );
    assert.equal(message.properties.__SHARDINGKEY, 'order-17');
    await until(
      async () => (await world.operate('status')).groups[0]?.lag === '4',
      'the broker tells both',
    );
    await world.operate('pause', { for: 60 });
    const texts = changesOf(before, await world.operate('status')).map(({ text }) => text);
    assert.equal(texts.filter((text) => text === '2 arrived').length, 1);
    assert.ok(texts.includes('is paused (PAUSED_BY_OPERATOR)'));
    assert.deepEqual(changesOf(undefined, before), []);
  });

  test('a bill is arithmetic with the prices that it names', async () => {
    const idle = await world.operate('cost', { 'coordinator-memory': 256 });
    assert.deepEqual([idle.basis.heldQueues, idle.basis.pullers], [0, 0]);
    assert.ok(
      Math.abs(
        idle.dollars - idle.lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0),
      ) < 1e-9,
    );
    // 43,800 runs of 55 s with a quarter of a GB, and their requests, reads and schedule.
    const coordinator = idle.lines.find(({ what }) => what.startsWith('coordinator'));
    assert.equal(coordinator?.quantity, 730 * 60 * 55 * 0.25);
    const now = Date.now();
    for (const [index, holder] of ['A', 'B'].entries()) {
      await world.operate('resume');
      await world.store.create(world.group, world.queue(index), 0, 0n);
      await world.store.acquire({
        ...world.group,
        queue: world.queue(index),
        slot: 0,
        holder,
        now,
        leaseUntil: now + 30_000,
        endsAt: now + 900_000,
      });
    }
    const busy = await world.operate('cost');
    assert.deepEqual([busy.basis.heldQueues, busy.basis.pullers], [2, 2]);
    assert.equal(
      busy.lines.find(({ what }) => what.startsWith('pullers'))?.quantity,
      2 * 730 * 3600 * 0.5,
    );
    assert.ok(busy.dollars > idle.dollars);
  });
});
