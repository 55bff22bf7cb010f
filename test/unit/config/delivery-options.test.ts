import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toServiceConfig } from '../../../src/config/service-config.ts';
import type { SubscriptionConfig } from '../../../src/model/source.ts';
import { withoutCodes } from '../../support/without-codes.ts';

const AT = 'functions.orders.events.0.rocketmq';

function read(event: object, group: object = {}, timeout = 30): SubscriptionConfig {
  const { config } = toServiceConfig({
    service: 'shop',
    stage: 'dev',
    custom: { clusters: { default: { nameServers: ['ns:9876'] } }, groups: { workers: group } },
    functions: {
      orders: {
        name: 'shop-dev-orders',
        timeout,
        events: [{ rocketmq: { consumerGroup: 'workers', topic: 'orders', ...event } }],
      },
    },
  });
  return config.sources[0]!.subscriptions[0]!;
}

function problemOf(event: object, group?: object): string {
  try {
    read(event, group);
  } catch (error) {
    return withoutCodes((error as Error).message);
  }
  return assert.fail('nothing was wrong');
}

describe('options of delivery', () => {
  test('without them nothing is in the way of Java’s defaults', () => {
    const { maximumRetryAttempts, ...others } = read({});
    assert.equal(maximumRetryAttempts, 16);
    for (const name of [
      'retryDelay',
      'maximumRecordAgeInSeconds',
      'bisectBatchOnFunctionError',
      'maximumBatchingWindow',
      'consumeTimeout',
    ])
      assert.ok(!(name in others), name);
  });

  test('each is taken as it is given', () => {
    const given = {
      retryDelay: { seconds: 45 },
      maximumRecordAgeInSeconds: 3600,
      bisectBatchOnFunctionError: false,
      maximumBatchingWindow: 300,
      consumeTimeout: 29,
      maximumConcurrency: 1000,
      s3PointerThreshold: {
        bytes: 6_000_000,
        bucket: 'arn:aws:s3:::large-orders',
        prefix: 'bodies/v1',
      },
    };
    const taken = read({
      ...given,
      maximumRetryAttempts: { default: 3, tags: { paid: -1, refunded: 0 } },
    });
    assert.deepEqual({ ...taken, ...given }, taken);
    assert.deepEqual(
      [taken.maximumRetryAttempts, taken.maximumRetryAttemptsByTag],
      [3, { paid: -1, refunded: 0 }],
    );
    assert.equal(read({ maximumRetryAttempts: { tags: { paid: 1 } } }).maximumRetryAttempts, 16);
    assert.deepEqual(read({ retryDelay: 18 }).retryDelay, { level: 18 });
    assert.deepEqual(read({ retryDelay: '5' }).retryDelay, { level: 5 });
    assert.ok(!('retryDelay' in read({ retryDelay: 'auto' })));
    assert.deepEqual(read({ retryDelay: { base: 5 } }).retryDelay, {
      base: 5,
      max: 7_200,
      jitter: 0.5,
    });
    assert.deepEqual(read({ retryDelay: { base: '1', max: 60, jitter: 0 } }).retryDelay, {
      base: 1,
      max: 60,
      jitter: 0,
    });
    const shapes = { eventFormat: 'kafka', tracing: 'parent', pullBatchSize: 1024 };
    assert.deepEqual({ ...read(shapes), ...shapes }, read(shapes));
    for (const name of ['eventFormat', 'tracing', 'pullBatchSize'])
      assert.ok(!(name in read({ eventFormat: 'sqs', tracing: 'link', pullBatchSize: 32 })), name);
    assert.ok(!('maximumRecordAgeInSeconds' in read({ maximumRecordAgeInSeconds: '-1' })));
    assert.equal(read({ maximumRecordAgeInSeconds: '60' }).maximumRecordAgeInSeconds, 60);
  });

  test('s3PointerThreshold has a prefix of its own, and takes what CloudFormation fills in', () => {
    const bucket = 'arn:aws:s3:::large-orders';
    assert.deepEqual(read({ s3PointerThreshold: { bytes: '256000', bucket } }).s3PointerThreshold, {
      bytes: 256_000,
      bucket,
      prefix: 'rocketmq-bodies',
    });
    assert.equal(
      read({ s3PointerThreshold: { bytes: 1, bucket, prefix: 'a/b//' } }).s3PointerThreshold
        ?.prefix,
      'a/b',
    );
    assert.equal(
      read({ s3PointerThreshold: { bytes: 1, bucket: 'env:ROCKETMQ_VALUE_0' } }).s3PointerThreshold
        ?.bucket,
      'env:ROCKETMQ_VALUE_0',
    );
  });

  const wrong: [event: object, message: string, group?: object][] = [
    [
      { s3PointerThreshold: 256_000 },
      '.s3PointerThreshold is 256000: give the options bytes, bucket, prefix',
    ],
    [
      { s3PointerThreshold: { bucket: 'arn:aws:s3:::b-1' } },
      '.s3PointerThreshold.bytes is missing: give a whole number from 1 to 6,000,000',
    ],
    [
      { s3PointerThreshold: { bytes: 6_000_001, bucket: 'arn:aws:s3:::b-1' } },
      '.s3PointerThreshold.bytes is 6000001: give a whole number from 1 to 6,000,000',
    ],
    [
      { s3PointerThreshold: { bytes: 1, bucket: 'large-orders' } },
      '.s3PointerThreshold.bucket is "large-orders": give the ARN of an S3 bucket (arn:aws:s3:::large-orders), or a reference that gives one ({ Fn::GetAtt: [LargeOrders, Arn] })',
    ],
    [
      { s3PointerThreshold: { bytes: 1, bucket: 'arn:aws:s3:::b-1', prefix: '/a' } },
      '.s3PointerThreshold.prefix is "/a": give up to 400 letters, digits and . _ - / without a dot or slash in front and without ..',
    ],
    [
      { s3PointerThreshold: { bytes: 1, bucket: 'arn:aws:s3:::b-1', prefx: 'a' } },
      '.s3PointerThreshold.prefx is not an option; did you mean prefix?',
    ],
    [{ retryDelay: 0 }, '.retryDelay is 0: give a whole number from 1 to 18'],
    [{ retryDelay: 19 }, '.retryDelay is 19: give a whole number from 1 to 18'],
    [{ retryDelay: 'later' }, '.retryDelay is "later": give auto, a delay level'],
    [
      { retryDelay: { seconds: 259_201 } },
      '.retryDelay.seconds is 259201: give a whole number from 0 to 259,200',
    ],
    [
      { retryDelay: { minutes: 1 } },
      'a delay level from 1 to 18, { seconds: 0 to 259,200 }, or { base, max: 1 to 259,200 seconds, jitter: 0 to 1 }',
    ],
    [
      { retryDelay: { base: 60, max: 5 } },
      '.retryDelay is {"base":60,"max":5}: give a base that is not above max',
    ],
    [{ retryDelay: { base: 5, jitter: 2 } }, '.retryDelay.jitter is 2: give a number from 0 to 1'],
    [{ eventFormat: 'json' }, '.eventFormat is "json": give one of sqs, kafka, cloudevents, raw'],
    [{ tracing: true }, '.tracing is true: give one of off, link, parent'],
    [
      { tracing: 'parent', invocation: 'inline' },
      '.tracing is parent, but an inline handler has no invocation of its own',
    ],
    [{ pullBatchSize: 0 }, '.pullBatchSize is 0: give a whole number from 1 to 1,024'],
    [{ pullBatchSize: 1025 }, '.pullBatchSize is 1025'],
    [
      { maximumRetryAttempts: { tags: { paid: -2 } } },
      '.maximumRetryAttempts.tags.paid is -2: give a whole number from -1 to 10,000 (-1: without end)',
    ],
    [{ maximumRetryAttempts: { tag: {} } }, 'or { default, tags: { <tag>: such a number } }'],
    [
      { maximumRecordAgeInSeconds: 59 },
      '.maximumRecordAgeInSeconds is 59: give a whole number from 60 to 604,800',
    ],
    [{ maximumRecordAgeInSeconds: 604_801 }, '.maximumRecordAgeInSeconds is 604801'],
    [
      { bisectBatchOnFunctionError: 'yes' },
      '.bisectBatchOnFunctionError is "yes": give true or false',
    ],
    [
      { maximumBatchingWindow: 301 },
      '.maximumBatchingWindow is 301: give a whole number from 0 to 300',
    ],
    [{ maximumBatchingWindow: -1 }, '.maximumBatchingWindow is -1'],
    [{ consumeTimeout: 0 }, '.consumeTimeout is 0: give a whole number from 1 to 900'],
    [{ consumeTimeout: 30 }, '.consumeTimeout is 30, but the handler ends after 30 s'],
    [{ maximumConcurrency: 0 }, '.maximumConcurrency is 0: give a whole number from 1 to 1,000'],
    [{ maximumConcurrency: 1001 }, '.maximumConcurrency is 1001'],
    [{ order: 'queue', retryDelay: 3 }, '.retryDelay cannot be with order queue'],
    [{ order: 'key', consumeTimeout: 3 }, '.consumeTimeout cannot be with order key'],
    [{ maximumConcurrency: 3 }, '.maximumConcurrency is not known in mode pop', { mode: 'pop' }],
    [{ maximumConcurrency: 3 }, '.maximumConcurrency cannot be with coexist', { coexist: true }],
    [
      { maximumConcurrency: 3 },
      '.maximumConcurrency is 3, less than the 4 pullers',
      { pullers: 4 },
    ],
  ];
  for (const [event, message, group] of wrong)
    test(`${JSON.stringify({ ...event, ...group })}: ${message}`, () => {
      const problem = problemOf(event, group);
      assert.ok(problem.includes(message) && problem.includes(AT), problem);
    });
});

describe('inlineConcurrency', () => {
  test('is 1 by default, and goes to the puller', () => {
    assert.equal(read({ invocation: 'inline' }).inlineConcurrency, undefined);
    assert.equal(read({ invocation: 'inline', inlineConcurrency: 4 }).inlineConcurrency, 4);
    read({ invocation: 'inline', inlineConcurrency: 4, parallelizationFactor: 8 });
  });

  for (const [name, event, message] of [
    ['of a function', { inlineConcurrency: 2 }, /inlineConcurrency is for invocation: inline/],
    [
      'parallelizationFactor without it',
      { invocation: 'inline', parallelizationFactor: 8 },
      /parallelizationFactor is 8, but an inline handler is called once at a time/,
    ],
    [
      'maximumConcurrency that is never reached',
      { invocation: 'inline', maximumConcurrency: 50, inlineConcurrency: 2 },
      /maximumConcurrency is 50, but its inline handler is called 2 times at once at most/,
    ],
    ['none', { invocation: 'inline', inlineConcurrency: 0 }, /inlineConcurrency is 0/],
  ] as const)
    test(`refused: ${name}`, () => assert.match(problemOf(event), message));
});

describe('filterPatterns', () => {
  test('go to the puller as they are', () => {
    const filterPatterns = [
      { body: { state: ['paid'], amount: [{ numeric: ['>', 100] }] } },
      { tags: [{ prefix: 'vip' }], $or: [{ keys: ['a'] }, { properties: { tenant: ['acme'] } }] },
    ];
    assert.deepEqual(read({ filterPatterns }).filterPatterns, filterPatterns);
  });

  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    [
      'no list',
      { body: { state: ['paid'] } },
      /filterPatterns is .*: give a list of 1 to 10 patterns over body, tags, keys, properties/,
    ],
    ['an empty list', [], /filterPatterns is \[\]: give a list of 1 to 10 patterns/],
    [
      'eleven',
      Array.from({ length: 11 }, () => ({ tags: ['a'] })),
      /give a list of 1 to 10 patterns/,
    ],
    [
      'a part that messages do not have',
      [{ data: { state: ['paid'] } }],
      /filterPatterns\.0\.data is .*: give one of body, tags, keys, properties, \$or$/,
    ],
    [
      'a value instead of a list',
      [{ body: { state: 'paid' } }],
      /filterPatterns\.0\.body\.state is "paid": give a list of rules: /,
    ],
    [
      'an operator that is none',
      [{ body: { state: [{ perfix: 'a' }] } }],
      /filterPatterns\.0\.body\.state\.0 is \{"perfix":"a"\}: give null, true, false, a text/,
    ],
    ['half a range', [{ body: { amount: [{ numeric: ['>'] }] } }], /body\.amount\.0 is .*numeric/],
    [
      'a range of texts',
      [{ body: { amount: [{ numeric: ['>', '5'] }] } }],
      /body\.amount\.0 is .*numeric/,
    ],
    [
      'an empty or',
      [{ $or: [] }],
      /filterPatterns\.0\.\$or is \[\]: give a list of two or more patterns of which one must match/,
    ],
    ['an or of one', [{ body: { $or: [{ a: [1] }] } }], /body\.\$or is .*two or more patterns/],
    [
      'a name of a rule in an or',
      [{ body: { $or: [{ prefix: ['x'] }, { suffix: ['y'] }] } }],
      /\$or\.0\.prefix is .*it is one of the rules/,
    ],
    [
      'an empty range',
      [{ body: { a: [{ numeric: ['>', 20, '<', 10] }] } }],
      /body\.a\.0 is .*numeric/,
    ],
    ['a range of one value', [{ body: { a: [{ numeric: ['>=', 5, '<=', 5] }] } }], /numeric/],
    [
      'the upper limit first',
      [{ body: { a: [{ numeric: ['<', 20, '>', 10] }] } }],
      /lower limit first/,
    ],
    [
      'two lower limits',
      [{ body: { a: [{ numeric: ['>', 1, '>', 2] }] } }],
      /body\.a\.0 is .*numeric/,
    ],
    [
      'anything but texts and numbers',
      [{ body: { a: [{ 'anything-but': ['x', 1] }] } }],
      /a\.0 is /,
    ],
    [
      'anything but an empty prefix',
      [{ body: { a: [{ 'anything-but': { prefix: '' } }] } }],
      /a\.0 is /,
    ],
    ['a number that is not told from others', [{ body: { a: [2 ** 53] } }], /body\.a\.0 is /],
    [
      'infinity',
      [{ body: { a: [{ numeric: ['<', Number.POSITIVE_INFINITY] }] } }],
      /body\.a\.0 is /,
    ],
    ['a number for a tag', [{ tags: [5] }], /tags\.0 is 5: give a rule for texts/],
    ['null for a key', [{ keys: [null] }], /keys\.0 is .*a rule for texts/],
    [
      'a range for a property',
      [{ properties: { a: [{ numeric: ['>', 5] }] } }],
      /properties\.a\.0 is /,
    ],
    ['a body that is not there', [{ body: [{ exists: false }] }], /body\.0 is /],
    [
      'one field twice',
      [{ body: { a: ['x'], $or: [{ a: ['y'] }, { b: [1] }] } }],
      /"a" stands twice/,
    ],
    [
      'tags twice',
      [{ tags: ['x'], $or: [{ tags: ['y'] }, { keys: ['k'] }] }],
      /"tags" stands twice/,
    ],
    [
      'a body that is text and JSON',
      [{ body: ['x'], $or: [{ body: { a: [1] } }, { body: { b: [1] } }] }],
      /a body is text or JSON/,
    ],
    [
      'too many combinations',
      [
        {
          body: Object.fromEntries(
            ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].map((name) => [
              name,
              { $or: [{ x: [1] }, { y: [1] }] },
            ]),
          ),
        },
      ],
      /make 1024 combinations, at most 1000 are allowed/,
    ],
    [
      'more characters than Lambda takes',
      [{ tags: ['x'.repeat(4_090)] }],
      /at most 4096 characters/,
    ],
    [
      'two operators in one',
      [{ tags: [{ prefix: 'a', suffix: 'b' }] }],
      /filterPatterns\.0\.tags\.0 is /,
    ],
  ];
  for (const [name, filterPatterns, message] of wrong)
    test(`refused: ${name}`, () => assert.match(problemOf({ filterPatterns }), message));
});

describe('onFailure', () => {
  test('dlq is the default, and no option of the puller', () => {
    assert.equal(read({}).onFailure, undefined);
    assert.equal('onFailure' in read({ onFailure: 'dlq' }), false);
  });

  const arn = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';
  test('an ARN, or a topic', () => {
    assert.deepEqual(read({ onFailure: arn }).onFailure, { type: 'sqs', arn });
    assert.deepEqual(
      read({ onFailure: 'arn:aws:sns:eu-west-1:123456789012:dead' }).onFailure?.type,
      'sns',
    );
    assert.deepEqual(read({ onFailure: 'arn:aws-cn:s3:::dead.letters' }).onFailure, {
      type: 's3',
      arn: 'arn:aws-cn:s3:::dead.letters',
    });
    assert.deepEqual(read({ onFailure: 'rocketmq://dead-orders' }).onFailure, {
      type: 'topic',
      topic: 'dead-orders',
    });
  });

  test('a reference of CloudFormation, by the name that the plugin puts in its place', () => {
    const onFailure = { type: 'sqs', arn: 'env:ROCKETMQ_VALUE_0' };
    assert.deepEqual(read({ onFailure }).onFailure, onFailure);
    assert.match(
      problemOf({ onFailure: { type: 'sqs', arn: 'dead' } }),
      /onFailure is .*: give dlq/,
    );
    assert.match(
      problemOf({ onFailure: { arn: 'env:ROCKETMQ_VALUE_0' } }),
      /onFailure is .*: give dlq/,
    );
  });

  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [
      'dead-orders',
      /onFailure is "dead-orders": give dlq, the ARN of an SQS queue, an SNS topic or an S3 bucket, \{ type: sqs \| sns \| s3, arn: .* \}, or rocketmq:\/\/<topic>/,
    ],
    ['arn:aws:lambda:eu-west-1:123456789012:function:dead', /onFailure is .*: give dlq, the ARN/],
    ['rocketmq://dead orders', /onFailure is .*: give dlq, the ARN/],
    ['rocketmq://orders', /onFailure is the topic itself/],
    ['arn:aws:sns:eu-west-1:123456789012:dead.fifo', /onFailure is .*: give a standard SNS topic/],
    [7, /onFailure is 7: give dlq/],
  ];
  for (const [onFailure, message] of wrong)
    test(`refused: ${String(onFailure)}`, () => assert.match(problemOf({ onFailure }), message));
  test('refused in a broadcast', () =>
    assert.match(
      problemOf({ onFailure: arn }, { messageModel: 'BROADCASTING' }),
      /onFailure has no use with messageModel BROADCASTING/,
    ));
});

test('functionResponseType and longPolling: what differs from the default goes to the puller', () => {
  const { functionResponseType, longPolling } = read({
    functionResponseType: 'None',
    longPolling: 5,
  });
  assert.deepEqual([functionResponseType, longPolling], ['None', 5]);
  const usual = read({ functionResponseType: 'ReportBatchItemFailures', longPolling: 15 });
  assert.equal('functionResponseType' in usual || 'longPolling' in usual, false);
  assert.match(
    problemOf({ longPolling: 31 }),
    /longPolling is 31: give a whole number from 1 to 30/,
  );
  assert.match(
    problemOf({ functionResponseType: 'none' }),
    /functionResponseType is "none": give one of ReportBatchItemFailures, None/,
  );
});

describe('what failed for good does not come back to its group', () => {
  const problems = (events: readonly object[], custom: object = {}): string => {
    try {
      toServiceConfig({
        ...{ service: 'shop', stage: 'dev' },
        custom: { clusters: { default: { nameServers: ['ns:9876'] } }, ...custom },
        functions: {
          orders: {
            ...{ name: 'shop-dev-orders', timeout: 30 },
            events: events.map((event) => ({ rocketmq: { consumerGroup: 'workers', ...event } })),
          },
        },
      });
      return '';
    } catch (error) {
      return withoutCodes((error as Error).message);
    }
  };
  const namespace = { clusters: { default: { nameServers: ['ns:9876'], namespace: 'MQ' } } };
  const OWN = /topics? is "%DLQ%(MQ%)?workers", the dead-letter topic of its own group/;
  const refused: readonly (readonly [string, readonly object[], RegExp, object?])[] = [
    ['its own dead-letter topic', [{ topic: '%DLQ%workers' }], OWN],
    ['with dlq', [{ topic: '%DLQ%workers', onFailure: 'dlq' }], OWN],
    ['among several', [{ topics: ['orders', '%DLQ%workers'] }], OWN],
    ['beside another event', [{ topic: 'orders' }, { topic: '%DLQ%workers' }], OWN],
    ['in a namespace', [{ topic: '%DLQ%workers' }], OWN, namespace],
    ['with its namespace', [{ topic: '%DLQ%MQ%workers' }], OWN, namespace],
    ['in mode pop', [{ topic: '%DLQ%workers' }], OWN, { groups: { workers: { mode: 'pop' } } }],
    [
      'the topic itself as destination',
      [{ topic: '%DLQ%workers', onFailure: 'rocketmq://%DLQ%workers' }],
      /onFailure is the topic itself.*: another topic$/,
    ],
    [
      'the topic itself, with its namespace',
      [{ topic: 'orders', onFailure: 'rocketmq://MQ%orders' }],
      /onFailure is the topic itself/,
      namespace,
    ],
    [
      'one of several topics',
      [{ topics: ['orders', 'refunds'], onFailure: 'rocketmq://refunds' }],
      /onFailure is the topic itself/,
    ],
    [
      'its own retry topic',
      [{ topic: 'orders', onFailure: 'rocketmq://%RETRY%workers' }],
      /onFailure is the retry topic of its own group/,
    ],
    [
      'a round of two topics',
      [
        { topic: 'orders', onFailure: 'rocketmq://refunds' },
        { topic: 'refunds', onFailure: 'rocketmq://orders' },
      ],
      /what fails goes from topic "orders" to "refunds", which the group takes too/,
    ],
    [
      'a round by way of the dead letters',
      [{ topic: 'orders' }, { topic: '%DLQ%workers', onFailure: 'rocketmq://orders' }],
      /onFailure: what fails goes from topic "%DLQ%workers" to "orders"/,
    ],
  ];
  for (const [name, events, message, custom] of refused)
    test(`refused: ${name}`, () => assert.match(problems(events, custom), message));
  const accepted: readonly (readonly [string, readonly object[], object?])[] = [
    ['a destination elsewhere', [{ topic: '%DLQ%workers', onFailure: 'rocketmq://parked' }]],
    [
      'a queue of SQS',
      [{ topic: '%DLQ%workers', onFailure: 'arn:aws:sqs:eu-west-1:123456789012:dead' }],
    ],
    ["another group's dead letters", [{ topic: '%DLQ%others' }]],
    [
      'a chain that ends',
      [{ topic: 'orders', onFailure: 'rocketmq://refunds' }, { topic: 'refunds' }],
    ],
    [
      'the dead letters of an earlier clustering group',
      [{ topic: '%DLQ%workers' }],
      { groups: { workers: { messageModel: 'BROADCASTING' } } },
    ],
  ];
  for (const [name, events, custom] of accepted)
    test(`accepted: ${name}`, () => assert.equal(problems(events, custom), ''));
});

describe('options that have no effect are named', () => {
  for (const [option, value, group] of [
    ['maximumRetryAttempts', 5, { messageModel: 'BROADCASTING' }],
    ['maximumRetryAttempts', { tags: { urgent: 1 } }, { messageModel: 'BROADCASTING' }],
    ['retryDelay', { seconds: 5 }, { messageModel: 'BROADCASTING' }],
    ['pullBatchSize', 5, { mode: 'pop' }],
    ['longPolling', 30, { mode: 'pop' }],
  ] as const)
    test(`${option} with ${JSON.stringify(group)}`, () => {
      const problem = new RegExp(
        `${AT}\\.${option} has no use with (messageModel BROADCASTING|mode pop):`,
      );
      assert.match(problemOf({ [option]: value }, group), problem);
      assert.doesNotThrow(() => read({ [option]: value }));
    });
});
