import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROBLEM_CODES, type ProblemCode } from '../../../src/config/problem-codes.ts';
import { toServiceConfig } from '../../../src/config/service-config.ts';
import { ConfigError } from '../../../src/errors.ts';

const EVENT = { consumerGroup: 'workers', topic: 'orders' };
const CLUSTERS = { clusters: { default: { nameServers: ['ns:9876'] } } };

/** One thing that is wrong, per code. */
const WRONG: Readonly<
  Record<
    ProblemCode,
    { readonly events: readonly object[]; readonly custom?: object; readonly timeout?: number }
  >
> = {
  ROCKETMQ_EVENT_UNKNOWN_OPTION: { events: [{ ...EVENT, batchsize: 5 }] },
  ROCKETMQ_EVENT_MISSING_OPTION: { events: [{ topic: 'orders' }] },
  ROCKETMQ_EVENT_INVALID_VALUE: { events: [{ ...EVENT, batchSize: 0 }] },
  ROCKETMQ_EVENT_GROUP_CONFLICT: { events: [EVENT, { ...EVENT, filter: 'paid' }] },
  ROCKETMQ_EVENT_SQL_INVALID: { events: [{ ...EVENT, filter: { sql: 'amount >' } }] },
  ROCKETMQ_EVENT_STARTING_POSITION: { events: [{ ...EVENT, startingPosition: 'AT_TIMESTAMP' }] },
  ROCKETMQ_EVENT_CLUSTER_UNKNOWN: { events: [{ ...EVENT, cluster: 'prod' }] },
  ROCKETMQ_EVENT_NAME_TOO_LONG: {
    events: [{ ...EVENT, topic: 't'.repeat(127) }],
    custom: { clusters: { default: { nameServers: ['ns:9876'], namespace: 'MQ' } } },
  },
  ROCKETMQ_EVENT_TIMEOUT_ORDER: { events: [EVENT], timeout: 900 },
  ROCKETMQ_EVENT_ORDER_CONFLICT: { events: [{ ...EVENT, orderKey: 'KEYS' }] },
  ROCKETMQ_EVENT_ORDER_CONCURRENCY: {
    events: [{ ...EVENT, order: 'queue', parallelizationFactor: 2 }],
  },
  ROCKETMQ_EVENT_ORDER_MODE: {
    events: [{ ...EVENT, order: 'queue' }],
    custom: { ...CLUSTERS, groups: { workers: { mode: 'pop' } } },
  },
  ROCKETMQ_EVENT_ORDER_MIX: {
    events: [
      { ...EVENT, order: 'queue' },
      { ...EVENT, topic: 'refunds' },
    ],
  },
  ROCKETMQ_EVENT_OPTION_CONFLICT: { events: [{ ...EVENT, onFailure: 'rocketmq://orders' }] },
  ROCKETMQ_CONFIG_UNKNOWN_OPTION: { events: [EVENT], custom: { ...CLUSTERS, pullers: 3 } },
  ROCKETMQ_CONFIG_MISSING_OPTION: { events: [EVENT], custom: {} },
  ROCKETMQ_CONFIG_INVALID_VALUE: {
    events: [EVENT],
    custom: { ...CLUSTERS, puller: { memorySize: 1 } },
  },
  ROCKETMQ_CONFIG_GROUP_UNKNOWN: {
    events: [EVENT],
    custom: { ...CLUSTERS, groups: { worker: {} } },
  },
  ROCKETMQ_CONFIG_OPTION_CONFLICT: {
    events: [EVENT],
    custom: { ...CLUSTERS, groups: { workers: { coexist: true, messageModel: 'BROADCASTING' } } },
  },
};

describe('problems have stable codes', () => {
  for (const [code, { events, custom = CLUSTERS, timeout = 30 }] of Object.entries(WRONG))
    test(code, () => {
      const functions = {
        settle: {
          name: 'shop-dev-settle',
          timeout,
          events: events.map((rocketmq) => ({ rocketmq })),
        },
      };
      assert.throws(
        () => toServiceConfig({ service: 'shop', stage: 'dev', custom, functions }),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.deepEqual(error.message.match(/ROCKETMQ_[A-Z_]+(?=\])/g), [code], error.message);
          assert.equal(error.code, code);
          return true;
        },
      );
    });

  test('every code says what it means', () => {
    for (const meaning of Object.values(PROBLEM_CODES)) assert.ok(meaning.length > 20);
  });
});
