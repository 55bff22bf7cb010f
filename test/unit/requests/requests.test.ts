import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtocolError } from '../../../src/errors.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { decodeFrame } from '../../../src/remoting/frame.ts';
import { checkClientConfig } from '../../../src/requests/check-client-config.ts';
import { createGroup } from '../../../src/requests/create-group.ts';
import { createTopic } from '../../../src/requests/create-topic.ts';
import type { RequestDefinition, Wire } from '../../../src/requests/define-request.ts';
import { getAllOffsets } from '../../../src/requests/get-all-offsets.ts';
import { getCluster } from '../../../src/requests/get-cluster.ts';
import { getConsumerConnections } from '../../../src/requests/get-consumer-connections.ts';
import { getConsumerList } from '../../../src/requests/get-consumer-list.ts';
import { getEarliestStoreTime } from '../../../src/requests/get-earliest-store-time.ts';
import { getMaxOffset } from '../../../src/requests/get-max-offset.ts';
import { getMinOffset } from '../../../src/requests/get-min-offset.ts';
import { getRoute } from '../../../src/requests/get-route.ts';
import { getTopicList } from '../../../src/requests/get-topic-list.ts';
import { heartbeat } from '../../../src/requests/heartbeat.ts';
import { lockQueues, unlockQueues } from '../../../src/requests/lock-queues.ts';
import { pullMessage } from '../../../src/requests/pull-message.ts';
import { queryConsumerOffset } from '../../../src/requests/query-offset.ts';
import { searchOffset } from '../../../src/requests/search-offset.ts';
import { sendMessageBack } from '../../../src/requests/send-back.ts';
import {
  sendBatchMessage,
  sendMessage,
  sendMessageV1,
} from '../../../src/requests/send-message.ts';
import { unregisterClient } from '../../../src/requests/unregister-client.ts';
import { updateConsumerOffset } from '../../../src/requests/update-offset.ts';
import { frameVectors } from '../../support/vectors.ts';

function command({ extFields, body = Buffer.alloc(0) }: Wire, remark?: string): RemotingCommand {
  return { code: 0, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark, extFields, body };
}

/** What stands on the wire: ext fields, and the body as plain JSON when there is one. */
function onTheWire({ extFields, body }: Wire): { ext: object; body?: unknown } {
  return {
    ext: { ...extFields },
    ...(body === undefined ? {} : { body: JSON.parse(String(body)) }),
  };
}

/** A request is as Java writes it, and a broker reads back what was meant. */
function speaks<Request>(
  definition: Pick<RequestDefinition<Request, unknown>, 'code' | 'name' | 'encode' | 'decode'>,
  code: number,
  request: Request,
  wire: object,
): void {
  it(`${definition.name} is code ${code}, in Java’s words`, () => {
    assert.equal(definition.code, code);
    assert.deepEqual(onTheWire(definition.encode(request)), wire);
    assert.deepEqual(definition.decode(command(definition.encode(request))), request);
  });
}

/** An answer is understood as it was meant. */
function answers<Answer>(
  definition: Pick<RequestDefinition<unknown, Answer>, 'name' | 'encodeAnswer' | 'decodeAnswer'>,
  answer: Answer,
  wire?: object,
): void {
  it(`the answer of ${definition.name} comes back`, () => {
    const encoded = definition.encodeAnswer(answer);
    if (wire !== undefined) assert.deepEqual(onTheWire(encoded), wire);
    assert.deepEqual(definition.decodeAnswer(command(encoded)), answer);
  });
}

const BIG = 9_007_199_254_740_995n;
const LONGEST = 9_223_372_036_854_775_807n;
const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 2 };
const place = { topic: 'orders', queueId: 2 };
const broker = {
  cluster: 'C',
  brokerName: 'broker-a',
  brokerAddrs: new Map([
    [0, '10.0.0.1:10911'],
    [1, '[::1]:10911'],
  ]),
};

describe('requests about offsets', () => {
  const group = { consumerGroup: 'group', ...place };
  const ext = { consumerGroup: 'group', topic: 'orders', queueId: '2' };
  speaks(
    queryConsumerOffset,
    14,
    { ...group, setZeroIfNotFound: false },
    { ext: { ...ext, setZeroIfNotFound: 'false' } },
  );
  speaks(
    updateConsumerOffset,
    15,
    { ...group, commitOffset: BIG },
    { ext: { ...ext, commitOffset: String(BIG) } },
  );
  speaks(
    searchOffset,
    29,
    { ...place, timestamp: 1_700_000_000_123n, boundaryType: 'upper' },
    { ext: { topic: 'orders', queueId: '2', timestamp: '1700000000123', boundaryType: 'upper' } },
  );
  speaks(getMaxOffset, 30, place, { ext: { topic: 'orders', queueId: '2' } });
  speaks(getMinOffset, 31, place, { ext: { topic: 'orders', queueId: '2' } });
  speaks(getEarliestStoreTime, 32, place, { ext: { topic: 'orders', queueId: '2' } });
  answers(getEarliestStoreTime, 1_700_000_000_123, { ext: { timestamp: '1700000000123' } });
  answers(getEarliestStoreTime, undefined, { ext: { timestamp: '-1' } });
  speaks(getAllOffsets, 43, undefined, { ext: {} });
  answers(getAllOffsets, new Map([['orders@workers', new Set([0, 3])]]));
  for (const definition of [queryConsumerOffset, searchOffset, getMaxOffset, getMinOffset]) {
    answers(definition, LONGEST, { ext: { offset: String(LONGEST) } });
    answers(definition, -1n);
  }

  it('a commit’s answer tells of a pending reset by its remark only', () => {
    const answer = (remark?: string) =>
      updateConsumerOffset.decodeAnswer(command({ extFields: {} }, remark)).resetPending;
    assert.deepEqual(
      [answer(), answer('Offset has been previously reset'), answer('some words')],
      [false, true, false],
    );
  });
});

describe('PULL_MESSAGE', () => {
  const request = {
    consumerGroup: 'group',
    ...place,
    queueOffset: BIG,
    maxMsgNums: 32,
    sysFlag: 6,
    commitOffset: 0n,
    suspendTimeoutMillis: 15_000,
    subscription: 'a || b',
    subVersion: 0,
    expressionType: 'TAG',
  };
  const ext = Object.fromEntries(
    Object.entries(request).map(([name, value]) => [name, String(value)]),
  );
  speaks(pullMessage, 11, request, { ext });

  it('its answer carries offsets and records', () => {
    const answer = {
      suggestWhichBrokerId: 1,
      nextBeginOffset: BIG,
      minOffset: 0n,
      maxOffset: LONGEST,
      offsetDelta: 5n,
      records: Buffer.from('abc'),
    };
    assert.deepEqual(pullMessage.decodeAnswer(command(pullMessage.encodeAnswer(answer))), answer);
    const { offsetDelta: _, ...without } = answer;
    assert.deepEqual(pullMessage.decodeAnswer(command(pullMessage.encodeAnswer(without))), without);
  });
});

describe('requests of senders', () => {
  const body = Buffer.from('text');
  const request = {
    producerGroup: 'P',
    topic: 'orders',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 4,
    queueId: -1,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_123,
    flag: 7,
    properties: 'TAGS\u0001a\u0002',
    reconsumeTimes: 1,
    unitMode: false,
    maxReconsumeTimes: 16,
    batch: false,
    body,
  };
  const letters = {
    a: 'P',
    b: 'orders',
    c: 'TBW102',
    d: '4',
    e: '-1',
    f: '0',
    g: '1700000000123',
    h: '7',
    i: 'TAGS\u0001a\u0002',
    j: '1',
    k: 'false',
    l: '16',
    m: 'false',
  };

  for (const [definition, code] of [
    [sendMessage, 310],
    [sendBatchMessage, 320],
  ] as const)
    it(`${definition.name} is code ${code}, in letters`, () => {
      assert.equal(definition.code, code);
      assert.deepEqual(definition.encode(request), { extFields: letters, body });
      assert.deepEqual(definition.decode(command({ extFields: letters, body })), request);
    });

  it('SEND_MESSAGE spells its fields out', () => {
    const { body: _, ...fields } = request;
    const extFields = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, String(value)]),
    );
    assert.equal(sendMessageV1.code, 10);
    assert.deepEqual(sendMessageV1.decode(command({ extFields, body })), request);
  });

  answers(
    sendMessage,
    { msgId: 'ID', queueId: 3, queueOffset: BIG, transactionId: 'KEY' },
    { ext: { msgId: 'ID', queueId: '3', queueOffset: String(BIG), transactionId: 'KEY' } },
  );

  const full = {
    group: 'G',
    offset: BIG,
    delayLevel: -1,
    originMsgId: 'ID',
    originTopic: 'orders',
    unitMode: false,
    maxReconsumeTimes: 16,
  };
  speaks(sendMessageBack, 36, full, {
    ext: Object.fromEntries(Object.entries(full).map(([name, value]) => [name, String(value)])),
  });

  it('a broker takes the short form of CONSUMER_SEND_MSG_BACK', () => {
    const { originMsgId, maxReconsumeTimes, ...read } = sendMessageBack.decode(
      command({ extFields: { group: 'G', offset: '1', delayLevel: '0' } }),
    );
    assert.deepEqual(
      [read.group, read.offset, read.delayLevel, originMsgId, maxReconsumeTimes],
      ['G', 1n, 0, undefined, undefined],
    );
  });
});

describe('requests of members', () => {
  const subscription = buildSubscription('orders', 'TagA || 标签');
  const wire = {
    classFilterMode: false,
    topic: 'orders',
    subString: 'TagA || 标签',
    tagsSet: ['TagA', '标签'],
    codeSet: [2598919, 857175],
    subVersion: 0,
    expressionType: 'TAG',
  };
  const consumer = {
    groupName: 'G',
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
  };
  speaks(
    heartbeat,
    34,
    { clientId: 'me', consumers: [{ ...consumer, subscriptions: [subscription] }] },
    {
      ext: {},
      body: {
        clientID: 'me',
        consumerDataSet: [{ ...consumer, unitMode: false, subscriptionDataSet: [wire] }],
        producerDataSet: [],
        heartbeatFingerprint: 0,
        withoutSub: false,
      },
    },
  );
  speaks(
    unregisterClient,
    35,
    { clientID: 'me', producerGroup: undefined, consumerGroup: 'G' },
    { ext: { clientID: 'me', consumerGroup: 'G' } },
  );
  speaks(getConsumerList, 38, { consumerGroup: 'G' }, { ext: { consumerGroup: 'G' } });
  answers(getConsumerList, ['a', 'a', 'b'], { ext: {}, body: { consumerIdList: ['a', 'a', 'b'] } });
  speaks(getConsumerConnections, 203, { consumerGroup: 'G' }, { ext: { consumerGroup: 'G' } });
  const connection = { clientId: 'me', clientAddr: '127.0.0.1:5', language: 'JAVA', version: 513 };
  const { groupName: _, ...kind } = consumer;
  answers(
    getConsumerConnections,
    { connections: [connection], subscriptions: [subscription], ...kind },
    {
      ext: {},
      body: { connectionSet: [connection], subscriptionTable: { orders: wire }, ...kind },
    },
  );
  speaks(
    checkClientConfig,
    46,
    { clientId: 'me', group: 'G', subscription },
    { ext: {}, body: { clientId: 'me', group: 'G', subscriptionData: wire } },
  );
  const locking = { consumerGroup: 'G', clientId: 'me', queues: [queue] };
  const lockBody = {
    ext: {},
    body: { consumerGroup: 'G', clientId: 'me', mqSet: [queue], onlyThisBroker: false },
  };
  speaks(lockQueues, 41, locking, lockBody);
  speaks(unlockQueues, 42, locking, lockBody);
  answers(lockQueues, [queue], { ext: {}, body: { lockOKMQSet: [queue] } });

  it('an empty heartbeat is one without groups', () => {
    assert.deepEqual(heartbeat.decode(command({ extFields: {} })), { clientId: '', consumers: [] });
  });
});

describe('requests of administrators', () => {
  const topic = {
    topic: 'orders',
    defaultTopic: 'TBW102',
    readQueueNums: 8,
    writeQueueNums: 4,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  };
  speaks(createTopic, 17, topic, {
    ext: Object.fromEntries(Object.entries(topic).map(([name, value]) => [name, String(value)])),
  });
  const group = { groupName: 'G', retryMaxTimes: 3, retryQueueNums: 1, consumeEnable: true };
  speaks(createGroup, 200, group, { ext: {}, body: group });
});

describe('requests to name servers', () => {
  it('GET_ROUTEINFO_BY_TOPIC is code 105 and asks for standard JSON', () => {
    assert.equal(getRoute.code, 105);
    const wire = getRoute.encode({ topic: 'orders' });
    assert.deepEqual(onTheWire(wire), { ext: { topic: 'orders', acceptStandardJsonOnly: 'true' } });
    assert.deepEqual(getRoute.decode(command(wire)), { topic: 'orders' });
  });

  const route = {
    brokers: [broker],
    queues: [
      { brokerName: 'broker-a', readQueueNums: 8, writeQueueNums: 4, perm: 6, topicSysFlag: 0 },
    ],
    mappedBrokers: [],
  };
  answers(getRoute, route);
  answers(getRoute, { ...route, orderTopicConf: 'broker-a:8' });
  answers(getCluster, [broker, { ...broker, brokerName: 'broker-b' }]);

  it('routes of old name servers have ids without quotes', () => {
    const body =
      '{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"[::1]:10911"},"brokerName":"broker-a","cluster":"C"}],"filterServerTable":{},"queueDatas":[]}';
    assert.deepEqual(
      getRoute.decodeAnswer(command({ extFields: {}, body: Buffer.from(body) })).brokers,
      [broker],
    );
  });

  it('GET_ALL_TOPIC_LIST_FROM_NAMESERVER is code 206 and answers names', () => {
    assert.equal(getTopicList.code, 206);
    assert.deepEqual(getTopicList.encode(), { extFields: {} });
    const body = Buffer.from('{"topicList":["TBW102","%DLQ%workers"]}');
    assert.deepEqual(getTopicList.decodeAnswer(command({ extFields: {}, body })), [
      'TBW102',
      '%DLQ%workers',
    ]);
    assert.deepEqual(getTopicList.encodeAnswer(['TBW102', '%DLQ%workers']), {
      extFields: {},
      body,
    });
    assert.deepEqual(
      getTopicList.decodeAnswer(command({ extFields: {}, body: Buffer.from('{}') })),
      [],
    );
  });

  it('GET_BROKER_CLUSTER_INFO answers as the real name server does', () => {
    assert.equal(getCluster.code, 106);
    const body =
      '{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"[::1]:10911"},"brokerName":"broker-a","cluster":"C"}},"clusterAddrTable":{"C":["broker-a"]}}';
    assert.equal(String(getCluster.encodeAnswer([broker]).body), body);
    assert.deepEqual(getCluster.decodeAnswer(command({ extFields: {}, body: Buffer.from(body) })), [
      broker,
    ]);
  });
});

describe('Java’s own frames', () => {
  const rewriting = <Request, Answer>({
    code,
    name,
    encode,
    decode,
  }: RequestDefinition<Request, Answer>) => ({
    code,
    name,
    rewrite: (read: RemotingCommand): Wire => encode(decode(read)),
  });
  const definitions = [
    rewriting(pullMessage),
    rewriting(updateConsumerOffset),
    rewriting(sendMessageBack),
    rewriting(getRoute),
  ];
  /** Fields that Java sends and we have no use for. */
  const UNUSED = ['maxMsgBytes'];

  it('are read, and written again field by field', () => {
    const seen = new Set<number>();
    for (const { frame, decoded } of frameVectors()) {
      const definition = definitions.find(
        ({ code }) => code === decoded.code && (decoded.flag & 1) === 0,
      );
      if (definition === undefined) continue;
      seen.add(definition.code);
      const wire = definition.rewrite(decodeFrame(Buffer.from(frame, 'base64')));
      const expected = Object.entries(decoded.extFields ?? {}).filter(
        ([name]) => !UNUSED.includes(name),
      );
      // Requests that leave a field out are read with its default.
      for (const [name, value] of expected)
        assert.equal(wire.extFields[name], value, `${definition.name} ${name}`);
    }
    assert.equal(seen.size, definitions.length);
  });

  it('that answer a pull bring their 64-bit offsets', () => {
    const answered = frameVectors().filter(({ decoded }) => decoded.flag === 1);
    assert(answered.length > 0);
    for (const { frame, decoded } of answered) {
      const { nextBeginOffset, maxOffset, records } = pullMessage.decodeAnswer(
        decodeFrame(Buffer.from(frame, 'base64')),
      );
      assert.deepEqual(
        [String(nextBeginOffset), String(maxOffset)],
        [decoded.extFields?.nextBeginOffset, decoded.extFields?.maxOffset],
      );
      assert.equal(records.toString('base64'), decoded.body ?? '');
    }
  });
});

describe('what cannot be read', () => {
  for (const [what, read] of [
    ['a missing field', () => getMaxOffset.decode(command({ extFields: { topic: 'T' } }))],
    [
      'a number that is none',
      () => getMaxOffset.decode(command({ extFields: { topic: 'T', queueId: 'x' } })),
    ],
    [
      'an empty number',
      () => getMaxOffset.decode(command({ extFields: { topic: 'T', queueId: '' } })),
    ],
    [
      'a number in Java’s eyes only half',
      () => getMaxOffset.decode(command({ extFields: { topic: 'T', queueId: '1e3' } })),
    ],
    [
      'a number over 64 bits',
      () => getMaxOffset.decodeAnswer(command({ extFields: { offset: '9223372036854775808' } })),
    ],
    [
      'an offset that is none',
      () => getMaxOffset.decodeAnswer(command({ extFields: { offset: '0x10' } })),
    ],
    ['a pull answer without offsets', () => pullMessage.decodeAnswer(command({ extFields: {} }))],
    [
      'a route that is a list',
      () => getRoute.decodeAnswer(command({ extFields: {}, body: Buffer.from('[]') })),
    ],
    [
      'a route with a broker id that is none',
      () =>
        getRoute.decodeAnswer(
          command({
            extFields: {},
            body: Buffer.from('{"brokerDatas":[{"brokerName":"b","brokerAddrs":{"x":"y:1"}}]}'),
          }),
        ),
    ],
    [
      'a lock answer with a queue without id',
      () =>
        lockQueues.decodeAnswer(
          command({
            extFields: {},
            body: Buffer.from('{"lockOKMQSet":[{"topic":"T","brokerName":"b"}]}'),
          }),
        ),
    ],
    [
      'a group without name',
      () => createGroup.decode(command({ extFields: {}, body: Buffer.from('{}') })),
    ],
    [
      'a heartbeat that is no JSON',
      () => heartbeat.decode(command({ extFields: {}, body: Buffer.from('\0') })),
    ],
  ] as const)
    it(`${what} is a ProtocolError`, () => assert.throws(read, ProtocolError));
});
