import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  ConfigError,
  createRocketMQClient,
  Producer,
  PullConsumer,
  peekDeadLetters,
  type RocketMQClient,
  redriveDeadLetters,
} from '../../../src/consumer/index.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../../src/testing/index.ts';

const nameServers = ['127.0.0.1:1'];
const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
/** What programs in JavaScript pass: anything. */
// biome-ignore lint/suspicious/noExplicitAny: the types would refuse what is tested here
type Anything = any;

const refuses = (message: RegExp) => (error: unknown) => {
  assert(error instanceof ConfigError, String(error));
  assert.match(error.message, message);
  return true;
};

describe('a cluster that programs give', () => {
  const makers: readonly (readonly [string, (options: Anything) => unknown])[] = [
    ['createRocketMQClient', (options) => createRocketMQClient(options)],
    ['Producer', (options) => new Producer(options)],
    [
      'PullConsumer',
      (options) => new PullConsumer(options && { consumerGroup: 'auditors', ...options }),
    ],
  ];
  for (const [name, make] of makers)
    for (const [what, options, message] of [
      ['nothing', undefined, /options is missing/],
      ['an empty cluster', {}, /options\.nameServers is missing: give at least one host:port/],
      ['no name server', { nameServers: [] }, /options\.nameServers is missing/],
      ['an empty text', { nameServers: ' ; ' }, /options\.nameServers is missing/],
      ['a number', { nameServers: 9876 }, /options\.nameServers is 9876, which is not valid/],
      ['a list of numbers', { nameServers: [9876] }, /options\.nameServers\[0\] is 9876/],
      ['commas', { nameServers: 'a:1,b:2' }, /"a:1,b:2" is no address/],
      [
        'a misspelt field',
        { nameServer: 'a:1' },
        /nameServer does not exist: did you mean nameServers\?/,
      ],
      [
        'a misspelt field inside',
        { nameServers, credentials: { accessKey: 'a', secretkey: 'b' } },
        /options\.credentials\.secretkey does not exist: did you mean secretKey\?/,
      ],
      [
        'half of the credentials',
        { nameServers, credentials: { accessKey: 'a' } },
        /secretKey is missing/,
      ],
      ['a name server that is empty', { nameServers: ['a:1', ''] }, /nameServers\[1\]: "" is no/],
      ['a hole in the list', { nameServers: new Array(1) }, /options\.nameServers\[0\] is missing/],
      ['a Map for TLS', { nameServers, tls: new Map([['enabled', true]]) }, /options\.tls is an/],
      ['a namespace that is none', { nameServers, namespace: 'shöp' }, /options\.namespace is /],
      [
        'a Map of addresses',
        { nameServers, addressMap: new Map([['a:1', 'b:1']]) },
        /options\.addressMap is an object, which/,
      ],
      [
        'an announced address without a port',
        { nameServers, addressMap: { 'fd00::': 'b:1' } },
        /a name in options\.addressMap: "fd00::" is no address/,
      ],
      ['text for TLS', { nameServers, tls: 'yes' }, /options\.tls is "yes"/],
      ['a bad addressMap', { nameServers, addressMap: { 'a:1': 5 } }, /addressMap\.a:1 is 5/],
    ] as const)
      it(`${name} refuses ${what}`, () => assert.throws(() => make(options), refuses(message)));

  for (const [name, make] of makers.filter((_, index) => index < 2))
    it(`${name} refuses what is no object with plain values`, () => {
      assert.throws(() => make(new Date()), refuses(/options is an object, which is not valid/));
      const closed = {
        nameServers,
        get tls() {
          throw new Error('closed');
        },
      };
      assert.throws(() => make(closed), refuses(/options cannot be read \(closed\)/));
    });

  for (const [what, consumerGroup] of [
    ['none', undefined],
    ['an empty one', ''],
    ['a number', 7],
    ['a blank in it', 'my group'],
  ] as const)
    it(`PullConsumer refuses a group: ${what}`, () => {
      const options: Anything = { nameServers, consumerGroup };
      assert.throws(() => new PullConsumer(options), refuses(/options\.consumerGroup is /));
    });
});

for (const [what, logger] of [
  ['text', 'console'],
  ['null', null],
  ['half of one', { warn: () => {} }],
] as const)
  it(`PullConsumer refuses a logger: ${what}`, () => {
    const options: Anything = { nameServers, consumerGroup: 'auditors', logger };
    assert.throws(() => new PullConsumer(options), refuses(/options\.logger is /));
  });

describe('calls with fields that are missing, misspelt or not valid', () => {
  const producer = new Producer({ nameServers });
  const consumer = new PullConsumer({ nameServers, consumerGroup: 'auditors' });
  const direct = createRocketMQClient({ nameServers, namespace: 'shop' });
  after(async () => {
    await producer.close();
    await consumer.close();
    await direct.close();
  });
  const message = { topic: 'orders', body: 'x' };

  for (const [what, wrong, expected] of [
    ['nothing', undefined, /message is missing/],
    ['no topic', { body: 'x' }, /message\.topic is missing/],
    ['no body', { topic: 'orders' }, /message\.body is missing: give a string \(sent as UTF-8\)/],
    ['a number as body', { ...message, body: 42 }, /message\.body is 42, which is not valid/],
    ['an object as body', { ...message, body: {} }, /message\.body is an object/],
    ['other bytes', { ...message, body: new Uint16Array(2) }, /message\.body is an object/],
    [
      'bytes by name only',
      { ...message, body: { [Symbol.toStringTag]: 'Uint8Array' } },
      /message\.body is an object/,
    ],
    ['a Promise as body', { ...message, body: Promise.resolve('x') }, /message\.body is an object/],
    ['bytes without a view', { ...message, body: new ArrayBuffer(2) }, /message\.body is an obj/],
    ['a topic no broker has', { ...message, topic: 'my orders' }, /message\.topic is "my orders"/],
    ['a hole among the keys', { ...message, keys: new Array(1) }, /message\.keys\[0\] is missing/],
    [
      'properties in a Set',
      { ...message, properties: new Set(['a']) },
      /message\.properties is an object/,
    ],
    [
      'a Map of other values',
      { ...message, properties: new Map([['a', 1]]) },
      /message\.properties\.a is 1/,
    ],
    [
      'a Map of other names',
      { ...message, properties: new Map([[1, 'a']]) },
      /a name in message\.properties is 1/,
    ],
    [
      'a property that throws',
      {
        ...message,
        properties: {
          get a() {
            throw new Error('closed');
          },
        },
      },
      /message\.properties cannot be read/,
    ],
    [
      'a misspelt field',
      { ...message, tag: 'a' },
      /message\.tag does not exist: did you mean tags\?/,
    ],
    ['a number as key', { ...message, keys: ['a', 1] }, /message\.keys\[1\] is 1/],
    ['keys that are no list', { ...message, keys: 5 }, /message\.keys is 5/],
    ['a number as property', { ...message, properties: { a: 1 } }, /message\.properties\.a is 1/],
    ['properties in a list', { ...message, properties: [] }, /message\.properties is a list/],
    ['tags that are no text', { ...message, tags: ['a'] }, /message\.tags is a list/],
    ['a flag that is none', { ...message, flag: 1.5 }, /message\.flag is 1\.5/],
  ] as const)
    it(`a message: ${what}`, async () => {
      const given = wrong as Anything;
      await assert.rejects(producer.send(given), refuses(expected));
      await assert.rejects(direct.send(given), refuses(expected));
      const inBatch = new RegExp(expected.source.replace('message', 'messages\\[1\\]'));
      await assert.rejects(producer.sendBatch([message, given]), refuses(inBatch));
    });

  const bad = {} as Anything;
  for (const [what, call, expected] of [
    [
      'send',
      () => producer.send(message, { timeout: 5 } as Anything),
      /options\.timeout does not exist: did you mean timeoutMs/,
    ],
    [
      'send',
      () => producer.send(message, { timeoutMs: '5' } as Anything),
      /options\.timeoutMs is "5"/,
    ],
    ['send', () => producer.send(message, { queue: bad }), /options\.queue\.topic is missing/],
    [
      'send',
      () => producer.send(message, { queue: { ...queue, topic: 'payments' } }),
      /options\.queue\.topic is "payments".*a queue of the message's topic "orders"/,
    ],
    ['send', () => producer.send(message, new Map() as Anything), /options is an object, which/],
    ['sendBatch', () => producer.sendBatch([]), /messages is missing: give at least one message/],
    ['sendBatch', () => producer.sendBatch(new Array(1)), /messages\[0\] is missing/],
    [
      'sendBatch',
      () => producer.sendBatch([message], { queue: { ...queue, topic: 'payments' } }),
      /options\.queue\.topic is "payments"/,
    ],
    [
      'topicOf',
      () => Promise.resolve().then(() => consumer.topicOf(bad)),
      /message\.topic is miss/,
    ],
    [
      'sendBack',
      () => consumer.sendBack({ ...queue, queueOffset: 0n, commitLogOffset: 0n } as Anything),
      /message\.offsetMsgId is missing/,
    ],
    ['sendBatch', () => producer.sendBatch(message as Anything), /messages is an object/],
    ['fetchQueues', () => consumer.fetchQueues(bad), /topic is an object/],
    ['pull', () => consumer.pull(bad), /queue\.topic is missing/],
    [
      'pull',
      () => consumer.pull(queue, { offset: 5 } as Anything),
      /options\.offset is 5.*give a bigint/,
    ],
    ['pull', () => consumer.pull(queue, { maxMessages: 33 }), /options\.maxMessages is 33/],
    [
      'pullBlockIfNotFound',
      () => consumer.pullBlockIfNotFound(queue, { ofset: 5n } as Anything),
      /did you mean offset/,
    ],
    ['committed', () => consumer.committed('orders' as Anything), /queue is "orders"/],
    ['commit', () => consumer.commit(queue, 5 as Anything), /offset is 5/],
    ['commit', () => consumer.commit(queue, -1n), /offset is -1, which is not valid.*from 0n/],
    ['commit', () => consumer.commit(queue, 2n ** 63n), /offset is 9223372036854775808/],
    ['pull', () => consumer.pull(queue, { offset: -1n }), /options\.offset is -1/],
    ['commit', () => consumer.commit(queue, undefined as Anything), /offset is missing/],
    ['seek', () => consumer.seek(queue, 'start' as Anything), /to is "start".*begin, end/],
    ['offsetByTimestamp', () => consumer.offsetByTimestamp(queue, new Date('x')), /timestamp is /],
    ['offsetByTimestamp', () => consumer.offsetByTimestamp(queue, 1e300), /timestamp is 1e\+300/],
    [
      'offsetByTimestamp',
      () => consumer.offsetByTimestamp(queue, '5' as Anything),
      /timestamp is "5"/,
    ],
    ['minOffset', () => consumer.minOffset(bad), /queue\.topic is missing/],
    [
      'maxOffset',
      () => consumer.maxOffset(queue, { signal: 5 } as Anything),
      /options\.signal is 5/,
    ],
    ['sendBack', () => consumer.sendBack(bad), /message\.topic is missing/],
    [
      'sendBack',
      () => consumer.sendBack(bad, { delaylevel: 3 } as Anything),
      /did you mean delayLevel/,
    ],
  ] as const)
    it(`${what}: ${expected.source}`, () => assert.rejects(call, refuses(expected)));

  for (const [from, options, expected] of [
    [undefined, {}, /queue is missing/],
    [[], {}, /from is missing/],
    ['', {}, /topic is ""/],
    [
      'orders',
      { commitInterval: 5 },
      /options\.commitInterval does not exist: did you mean commitIntervalMs/,
    ],
    ['orders', { startingPosition: 'AT_TIMESTAMP' }, /options\.startingPosition is "AT_TIMESTAMP"/],
    ['orders', { flowLimits: { maxMessage: 5 } }, /options\.flowLimits\.maxMessage does not exist/],
    ['orders', { onUndecodable: 'skip' }, /options\.onUndecodable is "skip"/],
    [
      'orders',
      { filter: { SQL: 'a = 1' } },
      /options\.filter\.SQL does not exist: did you mean sql/,
    ],
  ] as const)
    it(`messages: ${expected.source}`, () => {
      assert.throws(
        () => consumer.messages(from as Anything, options as Anything),
        refuses(expected),
      );
    });
});

describe('calls about dead letters with fields that are misspelt or not valid', () => {
  const client = createRocketMQClient({ nameServers });
  after(() => client.close());
  for (const [what, wrong, expected] of [
    ['dry run', { dryrun: true }, /options\.dryrun does not exist: did you mean dryRun/],
    ['text for it', { dryRun: 'yes' }, /options\.dryRun is "yes"/],
    ['a limit below 0', { limit: -1 }, /options\.limit is -1/],
    ['a number as offset', { offset: 5 }, /options\.offset is 5.*give a bigint/],
    ['one id as text', { ids: 'a' }, /options\.ids is "a".*a list of message ids/],
    ['a target', { to: 'orders' }, /options\.to is "orders".*a topic as \{ topic \}/],
    ['a target inside', { to: { topics: 'orders' } }, /options\.to\.topics does not exist/],
    ['another end', { onFailure: 'go on' }, /options\.onFailure is "go on"/],
    ['null', null, /options is null/],
  ] as const)
    it(`redriveDeadLetters: ${what}`, () =>
      assert.rejects(redriveDeadLetters(client, 'workers', wrong as Anything), refuses(expected)));

  it('redriveDeadLetters and peekDeadLetters: no client, no group', async () => {
    for (const call of [
      (...args: readonly Anything[]) => redriveDeadLetters(args[0], args[1]),
      (...args: readonly Anything[]) => peekDeadLetters(args[0], args[1]).next(),
    ]) {
      await assert.rejects(async () => call(undefined, 'workers'), refuses(/client is missing/));
      await assert.rejects(async () => call(client, ''), refuses(/consumerGroup is ""/));
    }
  });

  it('peekDeadLetters: a misspelt field', () =>
    assert.rejects(
      peekDeadLetters(client, 'workers', { limits: 5 } as Anything).next(),
      refuses(/options\.limits does not exist: did you mean limit/),
    ));
});

describe('a message that programs give', () => {
  let mq: EmbeddedRocketMQ;
  let producer: Producer;
  let client: RocketMQClient;
  before(async () => {
    mq = await startEmbeddedRocketMQ();
    mq.createTopic('orders', { queues: 1 });
    // As RocketMQ's own tools take them.
    producer = new Producer({ nameServers: `${mq.nameServers.join(';')};` });
    client = createRocketMQClient({ nameServers: mq.nameServers });
  });
  after(async () => {
    await producer.close();
    await client.close();
    await mq.stop();
  });

  it('may have its body as text or bytes, and one key as text', async () => {
    const bytes = new Uint8Array([0, 195, 188, 0]).subarray(1, 3);
    for (const body of ['ü', Buffer.from('ü'), bytes])
      await producer.send({ topic: 'orders', body, keys: 'k1', flag: undefined } as Anything);
    await producer.sendBatch([{ topic: 'orders', body: 'ü', keys: ['k1'] }]);
    await client.send({ topic: 'orders', body: 'ü', keys: 'k1' });
    assert.deepEqual(
      mq.messages('orders').map(({ body, properties }) => [String(body), properties.get('KEYS')]),
      Array.from({ length: 5 }, () => ['ü', 'k1']),
    );
  });
});
