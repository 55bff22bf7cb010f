import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { isDeadLettered } from '../../../src/dlq/is-dead-lettered.ts';
import type { Message } from '../../../src/model/message.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../../../src/model/message-queue.ts';
import { encodeBatchItem } from '../../../src/records/batch-items.ts';
import { decodeRecords } from '../../../src/records/decode-records.ts';
import { SystemFlag } from '../../../src/records/system-flag.ts';
import { BROKER, MemoryBroker } from '../../support/memory-broker.ts';
import { messageAt, record } from '../../support/records.ts';
import { type VirtualClock, virtualClock } from '../../support/virtual-clock.ts';

const GROUP = 'workers';

describe('a dead letter is taken for the one of a message', () => {
  let clock: VirtualClock;
  let broker: MemoryBroker;
  let letters: MessageQueue;

  beforeEach(() => {
    clock = virtualClock();
    broker = new MemoryBroker(clock);
    [letters] = broker.createTopic(dlqTopic(GROUP), 1) as [MessageQueue];
  });

  function isStored(message: Message, originMessageId = message.offsetMsgId): Promise<boolean> {
    const since = clock.now() - 60_000;
    const sought = { message, originMessageId, brokerName: BROKER, since };
    return isDeadLettered(broker.client, GROUP, sought, {});
  }

  function bury(body: string, properties: Readonly<Record<string, string>>): void {
    broker.produce(letters, [body], { topic: letters.topic, properties });
  }

  const failed = (body: string, properties: Readonly<Record<string, string>>, topic = 'orders') =>
    messageAt(7, { topic, body: Buffer.from(body), properties, storeTimestamp: clock.now() });

  test('when it names the place where the message was stored', async () => {
    const message = failed('a', { UNIQ_KEY: 'K' });
    bury('a', { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: message.offsetMsgId });
    assert.equal(await isStored(message), true);
  });

  test('when it names the place where its first delivery was stored', async () => {
    const message = failed('a', { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: 'FIRST' }, retryTopic(GROUP));
    bury('a', { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: 'FIRST' });
    assert.equal(await isStored(message, 'FIRST'), true);
  });

  test('not when it names the place of the message and has another body: producers can write the place', async () => {
    const message = failed('a', { UNIQ_KEY: 'K' });
    bury('hostile', { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: message.offsetMsgId });
    assert.equal(await isStored(message), false);
  });

  test('when the body of the message is empty, and it has the placeholder', async () => {
    const message = failed('', { UNIQ_KEY: 'K' });
    const origin = { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: message.offsetMsgId };
    bury('(empty body)', { ...origin, DLQ_BODY_PLACEHOLDER: 'true' });
    assert.equal(await isStored(message), true);
  });

  test('not when its message has the same id of the producer, and another body', async () => {
    const properties = { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: 'K' };
    bury('a', properties);
    const message = failed('b', properties, retryTopic(GROUP));
    assert.equal(await isStored(message, 'K'), false);
    bury('b', properties);
    assert.equal(await isStored(message, 'K'), true);
  });

  test('not when it is another message of the same inner batch', async () => {
    const item = (name: string): Buffer =>
      encodeBatchItem({ flag: 0, body: Buffer.from(name), properties: { UNIQ_KEY: name } });
    const batch = record({
      sysFlag: SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH,
      properties: { INNER_NUM: '2' },
      body: Buffer.concat([item('a'), item('b')]),
      storeTimestamp: clock.now(),
    });
    const { messages } = decodeRecords(batch, { brokerName: BROKER });
    const [a, b] = messages;
    assert.ok(a !== undefined && b !== undefined);
    bury('a', { UNIQ_KEY: 'a', ORIGIN_MESSAGE_ID: a.offsetMsgId });
    assert.deepEqual([await isStored(a), await isStored(b)], [true, false]);
  });

  test('not when it was stored before the message: it was redriven', async () => {
    const properties = { UNIQ_KEY: 'K', ORIGIN_MESSAGE_ID: 'FIRST' };
    bury('a', properties);
    await clock.pass(1_000);
    const redriven = failed('a', properties, retryTopic(GROUP));
    assert.equal(await isStored(redriven, 'FIRST'), false);
    bury('a', properties);
    assert.equal(await isStored(redriven, 'FIRST'), true);
  });
});
