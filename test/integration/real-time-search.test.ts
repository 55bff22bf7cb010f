import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { PullResult } from '../../src/ports/rocketmq.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const QUEUE = { topic: 'times', brokerName: 'broker-a', queueId: 0 };

describe('the search by time on a real broker', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  let client: RocketMQClient;
  before(async () => {
    rocketmq = await startRealRocketMQ();
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  });
  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  const stored = async (): Promise<readonly number[]> => {
    const subscription = buildSubscription(QUEUE.topic, '*');
    const request = { consumerGroup: 'reader', queue: QUEUE, subscription, suspendMs: 0 };
    const times: number[] = [];
    for (let offset = 0n; ; ) {
      const result: PullResult = await client.pull({ ...request, offset, maxMessages: 32 });
      if (result.status !== 'FOUND') return times;
      times.push(...result.messages.map(({ storeTimestamp }) => storeTimestamp));
      offset = result.nextBeginOffset;
    }
  };

  test('finds the first message at or after every time, in batches of one time, too', async () => {
    await client.createTopic(QUEUE.topic, { readQueueNums: 1, writeQueueNums: 1 });
    const message = { topic: QUEUE.topic, body: Buffer.from('x') };
    const batch = Array.from({ length: 20 }, () => message);
    for (let n = 0; n < 10; n++) await client.send(message);
    for (let n = 0; n < 3; n++) {
      await sleep(50);
      await client.sendBatch(batch);
    }
    await sleep(50);
    for (let n = 0; n < 5; n++) await client.send(message);
    await until(async () => (await stored()).length === 75, 'all is stored', 10_000);
    const times = await stored();
    const asked = new Set(times.flatMap((time) => [time - 1, time, time + 1]));
    for (const time of [1, ...asked, Date.now() + 60_000]) {
      const index = times.findIndex((one) => one >= time);
      assert.equal(
        await client.searchOffset(QUEUE, time),
        BigInt(index === -1 ? times.length : index),
        `${time} of ${times.join(' ')}`,
      );
    }
  });

  test('is 0 on an empty queue', async () => {
    await client.createTopic('empty', { readQueueNums: 1, writeQueueNums: 1 });
    assert.equal(await client.searchOffset({ ...QUEUE, topic: 'empty' }, Date.now()), 0n);
  });
});
