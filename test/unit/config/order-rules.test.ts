import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toServiceConfig } from '../../../src/config/service-config.ts';

const AT = (index: number) => `functions.orders.events.${index}.rocketmq`;

function read(events: readonly object[], groups: object = {}) {
  const custom = { clusters: { default: { nameServers: ['ns1:9876'] } }, groups };
  const functions = {
    orders: {
      name: 'shop-dev-orders',
      timeout: 30,
      events: events.map((event, index) => ({
        rocketmq: { consumerGroup: 'workers', topic: `orders-${index}`, ...event },
      })),
    },
  };
  return toServiceConfig({
    service: 'shop',
    stage: 'dev',
    custom,
    functions,
  }).config.sources.flatMap(({ subscriptions }) => subscriptions);
}

describe('order', () => {
  test('its defaults: a suspension of 1 s, the sharding key, and no end of retries, as an ordered Java consumer has', () => {
    const [queue] = read([{ order: 'queue' }]);
    assert.deepEqual(
      [queue?.order, queue?.maximumRetryAttempts],
      [{ by: 'queue', suspendCurrentQueueTimeMillis: 1_000 }, -1],
    );
    const [key] = read([
      {
        order: 'key',
        parallelizationFactor: 8,
        maximumRetryAttempts: 3,
        suspendCurrentQueueTimeMillis: '50',
      },
    ]);
    assert.deepEqual(
      [key?.order, key?.maximumRetryAttempts],
      [{ by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 50 }, 3],
    );
    assert.deepEqual(read([{ order: 'key', orderKey: 'customer' }])[0]?.order?.key, 'customer');
    const [none] = read([{}]);
    assert.deepEqual([none?.order, none?.maximumRetryAttempts], [undefined, 16]);
  });

  for (const [what, events, groups, message] of [
    [
      'more than one batch of an ordered queue',
      [{ order: 'queue', parallelizationFactor: 4 }],
      {},
      /parallelizationFactor is 4, but with order: queue a queue has one batch in flight.*ROCKETMQ_EVENT_ORDER_CONCURRENCY/,
    ],
    [
      'a key without order: key',
      [{ order: 'queue', orderKey: 'KEYS' }],
      {},
      /orderKey has no effect with order queue/,
    ],
    [
      'a suspension without order',
      [{ suspendCurrentQueueTimeMillis: 50 }],
      {},
      /suspendCurrentQueueTimeMillis has no effect with order none/,
    ],
    [
      'a suspension out of its range',
      [{ order: 'key', suspendCurrentQueueTimeMillis: 9 }],
      {},
      /is 9: give a whole number from 10 to 30,000/,
    ],
    [
      'two orders in one group',
      [{ order: 'queue' }, { order: 'key' }],
      {},
      /events\.1\.rocketmq\.order is key, but .*events\.0\.rocketmq of the same group has queue.*ROCKETMQ_EVENT_ORDER_MIX/,
    ],
    [
      'order and no order in one group',
      [{}, { order: 'key' }],
      {},
      /has none.*ROCKETMQ_EVENT_ORDER_MIX/,
    ],
    [
      'order in mode pop',
      [{ order: 'key' }],
      { workers: { mode: 'pop' } },
      /order is key, but group "workers" has mode pop, which keeps no order.*ROCKETMQ_EVENT_ORDER_MODE/,
    ],
    [
      'order in a broadcast',
      [{ order: 'queue' }],
      { workers: { messageModel: 'BROADCASTING' } },
      /has messageModel BROADCASTING/,
    ],
    ['an unknown order', [{ order: 'fifo' }], {}, /order is "fifo": give one of none, queue, key/],
  ] as const)
    test(`refused: ${what}`, () => {
      assert.throws(() => read(events, groups), message);
    });

  test('groups do not mind each other', () => {
    assert.equal(read([{ order: 'queue' }, { consumerGroup: 'others' }]).length, 2);
    assert.throws(
      () => read([{ order: 'key' }, { order: 'queue' }]),
      (error: Error) => error.message.includes(AT(1)),
    );
  });
});
