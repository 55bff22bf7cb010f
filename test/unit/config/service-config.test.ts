import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { type FunctionInput, toServiceConfig } from '../../../src/config/service-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import { withoutCodes } from '../../support/without-codes.ts';

const CLUSTERS = { clusters: { default: { nameServers: ['ns1:9876'] } } };
const EVENT = { consumerGroup: 'order-worker', topic: 'orders' };
const AT = 'functions.orders.events.0.rocketmq';

function orders(event: unknown, timeout = 30): Record<string, FunctionInput> {
  return { orders: { name: 'shop-dev-orders', timeout, events: [{ rocketmq: event }] } };
}

function read(functions: Record<string, FunctionInput>, custom: unknown = CLUSTERS) {
  return toServiceConfig({ service: 'shop', stage: 'dev', custom, functions });
}

function problemsOf(functions: Record<string, FunctionInput>, custom: unknown = CLUSTERS): string {
  try {
    read(functions, custom);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return withoutCodes(error.message);
  }
  return assert.fail('the configuration was accepted');
}

describe('defaults', () => {
  test('when pullers come and go is the group’s, how it is watched the service’s', () => {
    const groups = { 'order-worker': { idleTimeout: 'never' } };
    const { config } = read(orders(EVENT), {
      ...CLUSTERS,
      groups,
      coordinator: { mode: 'schedule' },
    });
    assert.deepEqual(
      [config.sources[0]?.idleTimeout, config.coordinatorMode],
      ['never', 'schedule'],
    );
    const scaled = read(orders(EVENT), {
      ...CLUSTERS,
      groups: { 'order-worker': { idleTimeout: '60', scaling: { activationLagThreshold: '9' } } },
    });
    assert.deepEqual(
      [scaled.config.sources[0]?.idleTimeout, scaled.config.sources[0]?.scaling],
      [60, { activationLagThreshold: 9, maxMessageAgeSeconds: 30 }],
    );
    const none = read(orders(EVENT), {
      ...CLUSTERS,
      groups: { 'order-worker': { scaling: {} } },
      coordinator: { mode: 'watch' },
    });
    assert.ok(!('scaling' in none.config.sources[0]!) && !('coordinatorMode' in none.config));
  });

  test('topics are a subscription each, with a filter of their own or the event’s', () => {
    const filters = (event: object) =>
      read(
        orders({ consumerGroup: 'order-worker', ...event }),
      ).config.sources[0]!.subscriptions.map(({ topic, filter, batchSize }) => [
        topic,
        filter,
        batchSize,
      ]);
    const tag = (expression: string) => ({ type: 'TAG', expression });
    assert.deepEqual(filters({ topics: ['orders', 'refunds'], filter: 'paid', batchSize: 7 }), [
      ['orders', tag('paid'), 7],
      ['refunds', tag('paid'), 7],
    ]);
    assert.deepEqual(
      filters({
        topics: { orders: 'paid || late', refunds: { sql: 'amount > 10' }, returns: '*' },
      }),
      [
        ['orders', tag('paid || late'), 100],
        ['refunds', { type: 'SQL92', expression: 'amount > 10' }, 100],
        ['returns', tag('*'), 100],
      ],
    );
  });

  test('consumerGroup, topic and name servers are enough', () => {
    const { config, options } = read(orders(EVENT));
    assert.deepEqual(config, {
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: ['ns1:9876'] } },
      sources: [
        {
          cluster: 'default',
          consumerGroup: 'order-worker',
          strategy: { name: 'AVG' },
          pullers: 'queue',
          subscriptions: [
            {
              topic: 'orders',
              filter: { type: 'TAG', expression: '*' },
              handler: {
                invocation: 'function',
                functionKey: 'orders',
                functionName: 'shop-dev-orders',
                timeout: 30,
              },
              batchSize: 100,
              parallelizationFactor: 1,
              startingPosition: 'TRIM_HORIZON',
              maximumRetryAttempts: 16,
              enabled: true,
            },
          ],
        },
      ],
    });
    assert.deepEqual(options.puller, { timeout: 840, memorySize: 512 });
    assert.deepEqual(options.table, {
      pointInTimeRecovery: false,
      retain: true,
      deletionProtection: false,
    });
  });

  for (const [table, expected] of [
    [{}, undefined],
    [{ takeOver: true }, undefined],
    [{ takeOver: false }, 'ignore'],
    [{ name: 'assignments' }, 'refuse'],
    [{ name: 'assignments', takeOver: true }, undefined],
    [{ name: 'assignments', takeOver: false }, 'ignore'],
  ] as const)
    test(`items of earlier builds with table ${JSON.stringify(table)}: ${expected ?? 'taken over'}`, () => {
      const { config } = read(orders(EVENT), { ...CLUSTERS, table });
      assert.equal(config.earlierItems, expected);
    });

  const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab';
  const clusters = { default: { nameServers: ['ns1:9876'] } };
  for (const [name, custom, message] of [
    [
      'a KMS alias',
      { table: { kmsKeyArn: 'arn:aws:kms:eu-west-1:123456789012:alias/shop' } },
      /table\.kmsKeyArn is "arn:aws:kms:eu-west-1:123456789012:alias\/shop": give the ARN of a KMS key: arn:aws:kms:/,
    ],
    [
      'the id of a KMS key for log groups',
      { logging: { kmsKeyArn: '1234abcd-12ab-34cd-56ef-1234567890ab' } },
      /logging\.kmsKeyArn is "1234abcd-.*": give the ARN of a KMS key/,
    ],
    [
      'protection of a table that is deleted with its stack',
      { table: { retain: false, deletionProtection: true } },
      /table\.retain is false: give true beside deletionProtection/,
    ],
    [
      'protection of a table that another stack owns',
      { table: { name: 'assignments', deletionProtection: true } },
      /table\.deletionProtection is true: give false beside name, and protect the existing table/,
    ],
    [
      'recovery of a table that another stack owns',
      { table: { name: 'assignments', pointInTimeRecovery: true } },
      /table\.pointInTimeRecovery is true: give false beside name/,
    ],
    [
      'a word for deletionProtection',
      { table: { deletionProtection: 'on' } },
      /table\.deletionProtection is "on": give true or false/,
    ],
    [
      'a word for takeOver',
      { table: { name: 'assignments', takeOver: 'yes' } },
      /table\.takeOver is "yes": give true or false/,
    ],
  ] as const)
    test(`${name} is refused`, () => {
      assert.throws(() => read(orders(EVENT), { clusters, ...custom }), message);
    });

  test('KMS keys by ARN, also multi-Region ones, and for log groups by reference', () => {
    const { options } = read(orders(EVENT), {
      clusters,
      table: { name: 'assignments', kmsKeyArn: KEY },
      logging: { kmsKeyArn: { 'Fn::ImportValue': 'log-key' } },
    });
    assert.equal(options.table.kmsKeyArn, KEY);
    assert.deepEqual(options.logging.kmsKeyArn, { 'Fn::ImportValue': 'log-key' });
  });

  test('the configuration survives JSON, in which it travels', () => {
    const { config } = read(
      orders({
        ...EVENT,
        startingPosition: 'AT_TIMESTAMP',
        startingPositionTimestamp: '2025-11-23T04:00:00Z',
      }),
      {
        clusters: {
          default: {
            nameServers: ['ns1:9876'],
            tls: {},
            credentials: { accessKey: 'a', secretKey: 's' },
            addressMap: { '10.0.0.1:10911': 'nlb:31911' },
          },
        },
      },
    );
    assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
  });

  test('events of other kinds and functions without events do not matter', () => {
    const { config } = read({
      ...orders(EVENT),
      api: { name: 'shop-dev-api', timeout: 900, events: ['schedule', null, { http: 'GET /' }] },
    });
    assert.equal(config.sources.length, 1);
  });
});

describe('values that people write', () => {
  test('texts from variables count as numbers and booleans', () => {
    const [subscription] = read(
      orders({
        ...EVENT,
        batchSize: '32',
        parallelizationFactor: '4',
        maximumRetryAttempts: '-1',
        enabled: 'false',
      }),
    ).config.sources[0]!.subscriptions;
    assert.deepEqual(
      [
        subscription!.batchSize,
        subscription!.parallelizationFactor,
        subscription!.maximumRetryAttempts,
        subscription!.enabled,
      ],
      [32, 4, -1, false],
    );
  });

  test('name servers as RocketMQ writes them', () => {
    assert.deepEqual(
      read(orders(EVENT), { clusters: { default: { nameServers: 'a:9876; [2001:db8::1]:9876;' } } })
        .config.clusters.default!.nameServers,
      ['a:9876', '[2001:db8::1]:9876'],
    );
  });

  test('the message trace of a group', () => {
    const traceOf = (trace: unknown) =>
      read(orders(EVENT), { ...CLUSTERS, groups: { 'order-worker': { trace } } }).config.sources[0]!
        .trace;
    assert.deepEqual(
      [traceOf(true), traceOf('true')],
      [{ topic: 'RMQ_SYS_TRACE_TOPIC' }, { topic: 'RMQ_SYS_TRACE_TOPIC' }],
    );
    assert.deepEqual(traceOf({ topic: 'traces' }), { topic: 'traces' });
    assert.equal(traceOf(false), undefined);
    for (const wrong of ['traces', { topics: 'traces' }, 7])
      assert.match(
        problemsOf(orders(EVENT), { ...CLUSTERS, groups: { 'order-worker': { trace: wrong } } }),
        /trace is .*: give true \(topic RMQ_SYS_TRACE_TOPIC, of brokers with traceTopicEnable\), false, or \{ topic \}/,
      );
  });

  test('a namespace of a cluster', () => {
    const withNamespace = (namespace: unknown) => ({
      clusters: { default: { nameServers: ['ns1:9876'], namespace } },
    });
    assert.equal(
      read(orders(EVENT), withNamespace('MQ_INST_1')).config.clusters.default!.namespace,
      'MQ_INST_1',
    );
    for (const wrong of ['a%b', '', 'ä', 7])
      assert.match(
        problemsOf(orders(EVENT), withNamespace(wrong)),
        /namespace is .*: give a namespace of 1 to 100 characters out of/,
      );
    const [group, topic] = ['g'.repeat(111), 't'.repeat(118)];
    assert.equal(
      problemsOf(orders({ consumerGroup: group, topic }), withNamespace('MQ_INST_1')),
      [
        'the rocketmq configuration has 2 problems:',
        `  - ${AT}.consumerGroup has 111 characters, 121 with namespace "MQ_INST_1" of cluster default, and brokers take 120: a shorter name`,
        `  - ${AT}.topic has 118 characters, 128 with namespace "MQ_INST_1" of cluster default, and brokers take 127: a shorter name`,
      ].join('\n'),
    );
  });

  test('a SQL filter and a tag filter', () => {
    assert.deepEqual(
      read(orders({ ...EVENT, filter: { sql: 'amount > 10' } })).config.sources[0]!
        .subscriptions[0]!.filter,
      {
        type: 'SQL92',
        expression: 'amount > 10',
      },
    );
    assert.deepEqual(
      read(orders({ ...EVENT, filter: 'paid || refunded' })).config.sources[0]!.subscriptions[0]!
        .filter,
      {
        type: 'TAG',
        expression: 'paid || refunded',
      },
    );
  });

  for (const [given, millis] of [
    [1763870400, 1763870400000],
    ['1763870400', 1763870400000],
    ['2025-11-23T04:00:00Z', 1763870400000],
    [new Date('2025-11-23T04:00:00Z'), 1763870400000],
    [0, 0],
  ] as const)
    test(`startingPositionTimestamp ${String(given)} (${typeof given})`, () => {
      const { config } = read(
        orders({ ...EVENT, startingPosition: 'AT_TIMESTAMP', startingPositionTimestamp: given }),
      );
      assert.equal(config.sources[0]!.subscriptions[0]!.startingPositionTimestamp, millis);
    });

  test('settings of a group: a strategy by name or with settings, and a number of slots', () => {
    const group = (settings: object) =>
      read(orders(EVENT), { ...CLUSTERS, groups: { 'order-worker': settings } }).config.sources[0]!;
    // A member of a shared group does not come and go with queues: one, unless a number is given.
    assert.deepEqual(group({ coexist: true }), { ...group({}), coexist: true, pullers: 1 });
    assert.deepEqual(group({ coexist: 'true', pullers: 3 }), {
      ...group({}),
      coexist: true,
      pullers: 3,
    });
    assert.deepEqual(group({ messageModel: 'BROADCASTING' }), {
      ...group({}),
      messageModel: 'BROADCASTING',
    });
    assert.deepEqual(group({ strategy: 'AVG_BY_CIRCLE', pullers: '4' }), {
      ...group({}),
      strategy: { name: 'AVG_BY_CIRCLE' },
      pullers: 4,
    });
    assert.deepEqual(
      group({ strategy: { name: 'MACHINE_ROOM_NEARBY', slotRooms: ['a', 'b'] } }).strategy,
      {
        name: 'MACHINE_ROOM_NEARBY',
        inner: 'AVG',
        slotRooms: ['a', 'b'],
      },
    );
  });
});

describe('groups', () => {
  test('topics of a group are one source, whatever functions take them; another cluster or group is another source', () => {
    const clusters = {
      clusters: {
        default: { nameServers: ['a:1'] },
        eu: { nameServers: ['b:1'] },
        unused: { nameServers: ['c:1'] },
      },
    };
    const functions = {
      one: {
        name: 's-one',
        timeout: 5,
        events: [
          { rocketmq: { ...EVENT, topic: 'a' } },
          { rocketmq: { ...EVENT, topic: 'b', consumerGroup: 'other' } },
        ],
      },
      two: {
        name: 's-two',
        timeout: 6,
        events: [
          { rocketmq: { ...EVENT, topic: 'b' } },
          { rocketmq: { ...EVENT, topic: 'a', cluster: 'eu' } },
        ],
      },
    };
    const { config } = read(functions, clusters);
    assert.deepEqual(
      config.sources.map(({ cluster, consumerGroup, subscriptions }) => [
        cluster,
        consumerGroup,
        subscriptions.map(({ topic, handler }) => `${topic}>${handler.functionName}`),
      ]),
      [
        ['default', 'order-worker', ['a>s-one', 'b>s-two']],
        ['default', 'other', ['b>s-one']],
        ['eu', 'order-worker', ['a>s-two']],
      ],
    );
    assert.deepEqual(Object.keys(config.clusters), ['default', 'eu']);
  });
});

describe('what is wrong is named with its path, its value and what is allowed', () => {
  const wrong: [name: string, event: unknown, message: string][] = [
    [
      'a misspelt option',
      { ...EVENT, batchsize: 5 },
      `${AT}.batchsize is not an option; did you mean batchSize?`,
    ],
    [
      'a number out of range',
      { ...EVENT, batchSize: 10_001 },
      `${AT}.batchSize is 10001: give a whole number from 1 to 10,000`,
    ],
    [
      'a fraction',
      { ...EVENT, batchSize: 1.5 },
      `${AT}.batchSize is 1.5: give a whole number from 1 to 10,000`,
    ],
    [
      'a wrong type',
      { ...EVENT, parallelizationFactor: 'many' },
      `${AT}.parallelizationFactor is "many": give a whole number from 1 to 32`,
    ],
    [
      'retries below -1',
      { ...EVENT, maximumRetryAttempts: -2 },
      `${AT}.maximumRetryAttempts is -2: give a whole number from -1 to 10,000 (-1: without end)`,
    ],
    [
      'a value out of a list',
      { ...EVENT, startingPosition: 'EARLIEST' },
      `${AT}.startingPosition is "EARLIEST": give one of TRIM_HORIZON, LATEST, AT_TIMESTAMP`,
    ],
    [
      'invocation',
      { ...EVENT, invocation: 'async' },
      `${AT}.invocation is "async": give one of function, inline`,
    ],
    [
      'no group',
      { topic: 'orders' },
      `${AT}.consumerGroup is missing: give a consumer group of 1 to 120 characters out of a-z, A-Z, 0-9, _, -, % and |`,
    ],
    [
      'a topic with a blank',
      { ...EVENT, topic: 'my orders' },
      `${AT}.topic is "my orders": give a topic of 1 to 127 characters out of a-z, A-Z, 0-9, _, -, % and |`,
    ],
    [
      'a reserved group',
      { ...EVENT, consumerGroup: 'DEFAULT_CONSUMER' },
      `${AT}.consumerGroup is "DEFAULT_CONSUMER": give another name: DEFAULT_CONSUMER is reserved by RocketMQ`,
    ],
    [
      'a retry topic',
      { ...EVENT, topic: '%RETRY%order-worker' },
      `${AT}.topic is "%RETRY%order-worker": give the topic itself: the group's %RETRY% topic is consumed with it`,
    ],
    [
      'a filter of bars',
      { ...EVENT, filter: '||' },
      `${AT}.filter is "||": give a tag expression such as "paid || refunded", or { sql: "amount > 10" }`,
    ],
    [
      'a filter object',
      { ...EVENT, filter: { sq: 'a' } },
      `${AT}.filter is {"sq":"a"}: give a tag expression such as "paid || refunded", or { sql: "amount > 10" }`,
    ],
    ['enabled', { ...EVENT, enabled: 'yes' }, `${AT}.enabled is "yes": give true or false`],
    [
      'milliseconds for seconds',
      { ...EVENT, startingPosition: 'AT_TIMESTAMP', startingPositionTimestamp: 1763870400000 },
      `${AT}.startingPositionTimestamp is 1763870400000: give epoch seconds (1763870400) or an ISO time (2025-11-23T04:00:00Z)`,
    ],
    [
      'no time',
      { ...EVENT, startingPosition: 'AT_TIMESTAMP' },
      `${AT}.startingPositionTimestamp is missing: startingPosition AT_TIMESTAMP needs it, as epoch seconds or ISO time`,
    ],
    [
      'a time without use',
      { ...EVENT, startingPositionTimestamp: 5 },
      `${AT}.startingPositionTimestamp has no effect with startingPosition TRIM_HORIZON: set startingPosition: AT_TIMESTAMP, or leave the timestamp out`,
    ],
    [
      'a misspelt cluster',
      { ...EVENT, cluster: 'defualt' },
      `${AT}.cluster is "defualt", which custom.rocketmq.clusters does not have: did you mean default?`,
    ],
  ];
  for (const [name, event, message] of wrong)
    test(name, () => assert.equal(problemsOf(orders(event)), message));

  const wrongTopics: [string, Record<string, FunctionInput>, RegExp][] = [
    [
      'no topic',
      orders({ consumerGroup: 'order-worker' }),
      /rocketmq\.topic is missing: give a topic to consume, or topics$/,
    ],
    [
      'two ways to name topics',
      orders({ ...EVENT, topics: ['refunds'] }),
      /rocketmq\.topic cannot be beside topics: give one of them$/,
    ],
    [
      'an empty list',
      orders({ consumerGroup: 'order-worker', topics: [] }),
      /topics is \[\]: give a list of 1 to 32 topics, or a map/,
    ],
    [
      'an empty map',
      orders({ consumerGroup: 'order-worker', topics: {} }),
      /topics is \{\}: give a list of 1 to 32 topics, or a map/,
    ],
    [
      'a topic of the list that is none',
      orders({ consumerGroup: 'order-worker', topics: ['orders', 'a topic'] }),
      /rocketmq\.topics is \["orders","a topic"\]: give a list of 1 to 32 topics, or a map/,
    ],
    [
      'a filter of the map that is none',
      orders({ consumerGroup: 'order-worker', topics: { orders: '' } }),
      /rocketmq\.topics is \{"orders":""\}: give a list of 1 to 32 topics, or a map/,
    ],
    [
      'a topic of the list that another handler takes',
      {
        ...orders(EVENT),
        refunds: {
          name: 'r',
          timeout: 3,
          events: [{ rocketmq: { consumerGroup: 'order-worker', topics: ['refunds', 'orders'] } }],
        },
      },
      /functions\.refunds\.events\.0\.rocketmq: group "order-worker" takes topic "orders" in functions\.orders/,
    ],
  ];
  for (const [name, functions, message] of wrongTopics)
    test(`topics: ${name}`, () => assert.match(problemsOf(functions), message));

  test('an option that resembles none lists all', () => {
    assert.match(
      problemsOf(orders({ ...EVENT, pollInterval: 1 })),
      /rocketmq\.pollInterval is not an option; the options here are cluster, consumerGroup, topic, topics, filter, filterPatterns, batchSize,/,
    );
  });

  test('no options at all', () => {
    assert.match(
      problemsOf(orders('orders')),
      /rocketmq is "orders": give the options cluster, consumerGroup,/,
    );
    assert.match(
      problemsOf(orders(null)),
      /rocketmq is missing: give the options cluster, consumerGroup,/,
    );
  });

  test('two handlers for a topic of a group', () => {
    const functions = {
      ...orders(EVENT),
      copy: { name: 's-copy', timeout: 5, events: [{ rocketmq: EVENT }] },
    };
    assert.equal(
      problemsOf(functions),
      `functions.copy.events.0.rocketmq: group "order-worker" takes topic "orders" in ${AT} already; one handler takes a topic of a group, so use another consumerGroup here`,
    );
  });

  test('a handler that outlives its puller', () => {
    const message = (most: number, puller: number) =>
      `functions.orders.timeout is 811: the puller waits for the handler and ends after ${puller} s (custom.rocketmq.puller.timeout), so a handler may take at most ${most} s`;
    assert.equal(problemsOf(orders(EVENT, 811)), message(810, 840));
    assert.doesNotThrow(() => read(orders(EVENT, 811), { ...CLUSTERS, puller: { timeout: 900 } }));
  });

  test('all problems are told at once', () => {
    const message = problemsOf(orders({ ...EVENT, batchsize: 1, batchSize: 0, cluster: 'eu' }), {
      ...CLUSTERS,
      pullers: 3,
    });
    assert.match(message, /^the rocketmq configuration has 3 problems:\n {2}- /);
    for (const part of [
      'custom.rocketmq.pullers is not an option; did you mean puller?',
      `${AT}.batchSize is 0`,
      `${AT}.batchsize is not an option`,
    ])
      assert.ok(message.includes(part), part);
  });

  const service: [name: string, custom: unknown, message: string | RegExp][] = [
    [
      'no clusters',
      {},
      'custom.rocketmq.clusters is missing: give a cluster: { default: { nameServers: ["ns1.internal:9876"] } }',
    ],
    [
      'no name servers',
      { clusters: { default: {} } },
      'custom.rocketmq.clusters.default.nameServers is missing: give a list of name servers: ["ns1.internal:9876", "ns2.internal:9876"]',
    ],
    [
      'an address without port',
      { clusters: { default: { nameServers: ['ns1'] } } },
      /clusters\.default\.nameServers\.0 is "ns1": give host:port/,
    ],
    [
      'a port that is none',
      { clusters: { default: { nameServers: ['ns1:99999'] } } },
      /nameServers\.0 is "ns1:99999": give host:port/,
    ],
    [
      'a URL',
      { clusters: { default: { nameServers: ['http://ns1:9876'] } } },
      /nameServers\.0 is "http:\/\/ns1:9876": give host:port/,
    ],
    [
      'settings of an unknown group',
      { ...CLUSTERS, groups: { 'order-workers': {} } },
      'custom.rocketmq.groups.order-workers is a group that no event names; did you mean order-worker?',
    ],
    [
      'a shared group in broadcasting',
      { ...CLUSTERS, groups: { 'order-worker': { coexist: true, messageModel: 'BROADCASTING' } } },
      /groups\.order-worker\.coexist has no use with messageModel BROADCASTING/,
    ],
    [
      'a shared group by machine rooms that others do not tell',
      {
        ...CLUSTERS,
        groups: {
          'order-worker': {
            coexist: true,
            strategy: { name: 'MACHINE_ROOM_NEARBY', slotRooms: ['a'] },
          },
        },
      },
      /groups\.order-worker\.coexist cannot be with strategy MACHINE_ROOM_NEARBY/,
    ],
    [
      'a shared group that is looked after once a minute',
      {
        ...CLUSTERS,
        coordinator: { mode: 'schedule' },
        groups: { 'order-worker': { coexist: true } },
      },
      /groups\.order-worker\.coexist needs a coordinator that looks after its members all the time/,
    ],
    [
      'an idle time of members',
      { ...CLUSTERS, groups: { 'order-worker': { coexist: true, idleTimeout: 60 } } },
      /groups\.order-worker\.idleTimeout has no use with coexist/,
    ],
    [
      'an idle time that is none',
      { ...CLUSTERS, groups: { 'order-worker': { idleTimeout: 'always' } } },
      /groups\.order-worker\.idleTimeout is "always": give seconds from 1 to 900, or never/,
    ],
    [
      'scaling by a lag that brokers do not tell',
      {
        ...CLUSTERS,
        groups: { 'order-worker': { mode: 'pop', scaling: { activationLagThreshold: 5 } } },
      },
      /groups\.order-worker\.scaling is not known in mode pop/,
    ],
    [
      'scaling of members',
      {
        ...CLUSTERS,
        groups: { 'order-worker': { coexist: true, scaling: { activationLagThreshold: 5 } } },
      },
      /groups\.order-worker\.scaling has no use with coexist/,
    ],
    [
      'scaling of pullers that are always there',
      {
        ...CLUSTERS,
        groups: {
          'order-worker': { idleTimeout: 'never', scaling: { activationLagThreshold: 5 } },
        },
      },
      /groups\.order-worker\.scaling has no use with idleTimeout never/,
    ],
    [
      'half a network',
      { ...CLUSTERS, vpc: { subnetIds: ['subnet-1'] } },
      /custom\.rocketmq\.vpc\.securityGroupIds is missing: give a list of security group ids/,
    ],
    [
      'an empty network',
      { ...CLUSTERS, vpc: { subnetIds: [], securityGroupIds: ['sg-1'] } },
      /custom\.rocketmq\.vpc\.subnetIds is \[\]: give a list of subnet ids/,
    ],
    [
      'broadcasting in mode pop',
      { ...CLUSTERS, groups: { 'order-worker': { mode: 'pop', messageModel: 'BROADCASTING' } } },
      /groups\.order-worker\.mode pop hands every message to one taker/,
    ],
    [
      'an unknown strategy',
      { ...CLUSTERS, groups: { 'order-worker': { strategy: 'AVERAGE' } } },
      /groups\.order-worker\.strategy is "AVERAGE": give AVG, AVG_BY_CIRCLE, CONSISTENT_HASH,/,
    ],
    [
      'a puller that ends too soon',
      { ...CLUSTERS, puller: { timeout: 30 } },
      'custom.rocketmq.puller.timeout is 30: give a whole number from 60 to 900',
    ],
    [
      'a certificate by path',
      { clusters: { default: { nameServers: ['a:1'], tls: { caCertificate: './ca.pem' } } } },
      /tls\.caCertificate is not valid: give ca certificate as PEM text, not a path/,
    ],
  ];
  for (const [name, custom, message] of service)
    test(name, () => {
      const text = problemsOf(orders(EVENT), custom);
      if (typeof message === 'string') assert.equal(text, message);
      else assert.match(text, message);
    });

  test('secrets are never repeated', () => {
    const key = '-----BEGIN PRIVATE KEY-----';
    const message = problemsOf(orders(EVENT), {
      clusters: {
        default: {
          nameServers: ['a:1'],
          credentials: { accessKey: 'known', secretKey: 123_456 },
          tls: { clientKey: key },
        },
      },
    });
    assert.match(message, /credentials\.secretKey is not valid: give a secret key/);
    assert.match(message, /tls is not valid: give clientCertificate and clientKey together/);
    assert.ok(!message.includes('123456') && !message.includes(key));
  });
});
