import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Context } from 'aws-lambda';
import { createPullerHandler } from '../../../handlers/puller.ts';
import { RocketMQError } from '../../../src/errors.ts';
import { parsePullerRequest } from '../../../src/puller/puller-request.ts';
import { startSecretStore } from '../../support/secret-store.ts';

const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const REQUEST = { cluster: 'default', consumerGroup: 'workers', slot: 0, queues: [QUEUE] };
const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';

/** What others than the coordinator may send. */
const JUNK: readonly unknown[] = [
  undefined,
  null,
  'text',
  [],
  {},
  { ...REQUEST, cluster: { toString: 'default' } },
  { ...REQUEST, cluster: ['default'] },
  { ...REQUEST, consumerGroup: 'g'.repeat(1_001) },
  { ...REQUEST, slot: -1 },
  { ...REQUEST, slot: 0.5 },
  { ...REQUEST, slot: 1e9 },
  { ...REQUEST, slot: '0' },
  { ...REQUEST, asMember: 'yes' },
  { ...REQUEST, notAfter: 'tomorrow' },
  { ...REQUEST, queues: undefined },
  { ...REQUEST, queues: { length: 1 } },
  { ...REQUEST, queues: Array.from({ length: 10_001 }, () => QUEUE) },
  { ...REQUEST, queues: [null] },
  { ...REQUEST, queues: [{ ...QUEUE, queueId: -1 }] },
  { ...REQUEST, queues: [{ ...QUEUE, topic: '' }] },
  { ...REQUEST, queues: [{ ...QUEUE, brokerName: 7 }] },
];

describe('the request of a puller', () => {
  test('keeps the known fields, and each queue once', () => {
    const pops = { ...QUEUE, pops: true };
    const other = { ...QUEUE, queueId: 1 };
    const queues = [QUEUE, { ...QUEUE, secret: 'swordfish' }, other, pops, { ...pops }];
    const parsed = parsePullerRequest({
      ...REQUEST,
      queues,
      asMember: true,
      notAfter: 17,
      deps: { store: 'mine' },
    });
    const expected = [QUEUE, other, pops];
    assert.deepEqual(parsed, { ...REQUEST, queues: expected, asMember: true, notAfter: 17 });
    assert.deepEqual(parsePullerRequest(REQUEST), REQUEST);
  });

  test('of another form is refused by name, without what stood there', () => {
    for (const junk of JUNK)
      assert.throws(
        () => parsePullerRequest(junk),
        (error) =>
          error instanceof RocketMQError &&
          error.code === 'ROCKETMQ_PULLER_REQUEST' &&
          error.message.length < 300,
      );
  });

  test('reads no secret before it was checked, and none of another cluster', async () => {
    const store = await startSecretStore();
    try {
      const secrets = { credentials: { secretArn: SECRET } };
      const handler = createPullerHandler(
        {
          service: 'shop',
          stage: 'dev',
          clusters: { default: { nameServers: ['127.0.0.1:9'], secrets } },
          sources: [],
        },
        {},
      );
      const context = { awsRequestId: 'r', getRemainingTimeInMillis: () => 60_000 } as Context;
      process.env.ROCKETMQ_TABLE = 'table';
      process.env.ROCKETMQ_LOG_LEVEL = 'silent';
      for (const junk of [...JUNK, { ...REQUEST, cluster: 'other' }])
        await assert.rejects(handler(junk, context));
      assert.deepEqual(store.asked, []);
    } finally {
      await store.stop();
    }
  });
});
