import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { compileSql } from '../../src/decide/filter/sql92.ts';
import { ConnectionError, InvalidFilterError } from '../../src/errors.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { runJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import {
  BAD_SQL,
  BAD_SQL_OF_5,
  COMPARED_SQL,
  COMPARED_SQL_OF_5,
  CUT_SQL,
  GOOD_SQL,
  GOOD_SQL_OF_5,
  SQL_VALUES,
} from '../support/sql-filters.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const pull = {
  consumerGroup: 'workers',
  queue,
  offset: 0n,
  subscription: buildSubscription('orders', '*'),
  maxMessages: 32,
  suspendMs: 0,
};

describe('filters on a real broker that compiles SQL92', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  let client: RocketMQClient;

  before(async () => {
    rocketmq = await startRealRocketMQ({ brokerConf: { enablePropertyFilter: 'true' } });
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    await client.createTopic('orders', { readQueueNums: 1, writeQueueNums: 1 });
    await runJava('Produce', [rocketmq.nameServer, 'orders', '40', '32', '1']);
    await sleep(300);
  });
  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  test('one that compiles passes the check and filters', async () => {
    const subscription = buildSubscription(
      'orders',
      "TAGS = 'tag-1' AND seq > 20",
      'SQL92',
      Date.now(),
    );
    await client.checkSubscription('workers', subscription, 'broker-a');
    const seen: string[] = [];
    for (let offset = 0n; offset < 40n; ) {
      const result = await client.pull({ ...pull, offset, subscription });
      if (result.status === 'FOUND')
        seen.push(...result.messages.map(({ properties }) => properties.get('seq') as string));
      assert.ok(result.nextBeginOffset > offset);
      offset = result.nextBeginOffset;
    }
    assert.deepEqual(seen, ['21', '25', '29', '33', '37']);
  });

  test('one that does not compile is refused with the compiler’s words: pulled inline it would let everything through', async () => {
    const subscription = buildSubscription('orders', 'seq >', 'SQL92', Date.now());
    await assert.rejects(
      () => client.checkSubscription('workers', subscription, 'broker-a'),
      (error: unknown) =>
        error instanceof InvalidFilterError && error.code === 'ROCKETMQ_INVALID_FILTER',
    );
  });

  test('what we say of a filter when it is packaged is what the broker says', async () => {
    const compiles = (sql: string): Promise<boolean> =>
      client
        .checkSubscription(
          'workers',
          { ...buildSubscription('orders', 'x', 'SQL92', Date.now()), subString: sql },
          'broker-a',
        )
        .then(
          () => true,
          (error: unknown) => {
            if (error instanceof InvalidFilterError) return false;
            throw error;
          },
        );
    for (const sql of [...GOOD_SQL, ...(since('5.0') ? GOOD_SQL_OF_5 : [])])
      assert.ok(await compiles(sql), `${sql} compiles`);
    for (const [sql] of [...BAD_SQL, ...(since('5.0') ? BAD_SQL_OF_5 : [])])
      if (sql !== '') assert.ok(!(await compiles(sql)), `${sql} does not compile`);
    for (const [sql] of CUT_SQL)
      assert.ok(await compiles(sql), `${sql} compiles, with something left out`);
  });

  test('what we make of a filter for a redelivery is what the broker makes of it', async () => {
    const valued = { topic: 'valued', brokerName: 'broker-a', queueId: 0 };
    await client.createTopic('valued', { readQueueNums: 1, writeQueueNums: 1 });
    const messages = SQL_VALUES.map(([a, b], index) => ({
      ...(a === undefined ? {} : { a }),
      ...(b === undefined ? {} : { b }),
      seq: String(index),
    }));
    for (const properties of messages)
      await client.send({ topic: 'valued', body: 'x', properties }, { queue: valued });
    await until(
      async () => (await client.maxOffset(valued)) === BigInt(messages.length),
      'all are in the queue',
    );
    const filters = [...GOOD_SQL, ...COMPARED_SQL];
    if (since('5.0')) filters.push(...GOOD_SQL_OF_5, ...COMPARED_SQL_OF_5);
    const wrong: object[] = [];
    for (const sql of filters) {
      const seen: string[] = [];
      const subscription = buildSubscription('valued', sql, 'SQL92', Date.now());
      for (let offset = 0n; offset < BigInt(messages.length); ) {
        const result = await client.pull({ ...pull, queue: valued, offset, subscription });
        if (result.status === 'FOUND')
          seen.push(...result.messages.map(({ properties }) => properties.get('seq') as string));
        assert.ok(result.nextBeginOffset > offset);
        offset = result.nextBeginOffset;
      }
      const matches = compileSql(sql);
      const ours = messages
        .filter((properties) => matches?.(new Map(Object.entries(properties))))
        .map(({ seq }) => seq);
      const differing = messages.filter(({ seq }) => seen.includes(seq) !== ours.includes(seq));
      for (const message of differing)
        wrong.push({ sql, ...message, broker: seen.includes(message.seq) });
    }
    assert.deepEqual(wrong, []);
  });

  test('a broker that went away is a ConnectionError that names it', async () => {
    await rocketmq.stopBroker('broker-a', 'SIGKILL');
    await assert.rejects(
      () => client.maxOffset(queue),
      (error: unknown) =>
        error instanceof ConnectionError && /broker-a|127\.0\.0\.1/.test(error.message),
    );
  });
});
