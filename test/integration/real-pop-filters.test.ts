import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack, since } from '../support/stack.ts';

const GROUP = 'pop-filter-workers';
const TOPIC = 'pop-filter';
/** A broker brings an expired message back within its own scans. */
const REVIVAL_MS = 60_000;
const INVISIBLE_MS = 3_000;

describe('an SQL92 filter of a popping group on a real broker', {
  skip: missingStack('rocketmq') || (since('5.0') ? false : 'RocketMQ 5'),
}, () => {
  let rocketmq: RealRocketMQ;
  let client: RocketMQClient;
  before(async () => {
    rocketmq = await startRealRocketMQ({ brokerConf: { enablePropertyFilter: 'true' } });
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  });
  after(async () => {
    await client?.close();
    await rocketmq?.stop();
  });

  /** Pops with the filter and acknowledges, until a message with the body came. @returns all bodies, each with its failures */
  async function popUntil(sql: string, last: string): Promise<[string, number][]> {
    const seen: [string, number][] = [];
    for (const giveUpAt = Date.now() + REVIVAL_MS; Date.now() < giveUpAt; ) {
      const { messages } = await client.pop({
        consumerGroup: GROUP,
        topic: TOPIC,
        brokerName: 'broker-a',
        subscription: buildSubscription(TOPIC, sql, 'SQL92', Date.now()),
        maxMessages: 32,
        invisibleMs: INVISIBLE_MS,
        pollMs: 1_000,
        start: 'min',
      });
      for (const { message, handle } of messages) {
        seen.push([String(message.body), message.reconsumeTimes]);
        // Nobody acknowledges the first delivery of `again`, so that the broker brings it back.
        if (seen.at(-1)?.join() !== 'again,0') await client.ack(GROUP, TOPIC, handle);
      }
      if (seen.some(([body]) => body === last)) return seen;
    }
    return assert.fail(`${last} did not come within ${REVIVAL_MS} ms: ${JSON.stringify(seen)}`);
  }
  const send = (topic: string, body: string, a: string) =>
    client.send({ topic, body: Buffer.from(body), properties: { a } });
  const bodies = (seen: readonly [string, number][]): string[] => seen.map(([body]) => body);

  test('holds for redeliveries: what it does not take is passed over, and does not come later', async () => {
    const retry = `%RETRY%${GROUP}_${TOPIC}`;
    // The broker makes the retry topic by itself, and reports it to the name server later.
    for (const topic of [TOPIC, retry])
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
    await send(TOPIC, 'other', '2');
    await send(TOPIC, 'again', '1');
    assert.deepEqual(await popUntil("a = '1'", 'again'), [['again', 0]]);
    assert.deepEqual(await popUntil("a = '1'", 'again'), [['again', 1]]);
    // Whoever may write to the retry topic gets nothing past the filter.
    await send(retry, 'forged', '9');
    await send(retry, 'honest', '1');
    assert.deepEqual(bodies(await popUntil("a = '1'", 'honest')), ['honest']);
    // A filter that is narrowed passes over the redeliveries that wait.
    await send(retry, 'waiting', '1');
    await send(retry, 'narrow', '3');
    assert.deepEqual(bodies(await popUntil("a = '3'", 'narrow')), ['narrow']);
    await send(retry, 'later', '1');
    assert.deepEqual(bodies(await popUntil("a = '1'", 'later')), ['later']);
  });
});
