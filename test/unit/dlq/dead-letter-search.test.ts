import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { DeadLetterSearch, LETTERS_PER_LOOK } from '../../../src/dlq/dead-letter-search.ts';
import {
  BrokerError,
  ConnectionError,
  PermissionError,
  RequestTimeoutError,
  TopicNotFoundError,
} from '../../../src/errors.ts';
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

  async function isStored(
    message: Message,
    originMessageId = message.offsetMsgId,
  ): Promise<boolean> {
    const since = clock.now() - 60_000;
    const sought = { message, originMessageId, brokerName: BROKER, since };
    const { kind } = await new DeadLetterSearch(broker.client, GROUP, sought).look({});
    assert.notEqual(kind, 'unknown');
    return kind === 'found';
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

  test('of a record that cannot be decoded when it names the place: brokers keep another body', async () => {
    const message = failed('the whole record', { DLQ_UNDECODABLE: 'bad CRC' });
    bury('its body', { ORIGIN_MESSAGE_ID: 'ELSEWHERE' });
    assert.equal(await isStored(message), false);
    bury('its body', { ORIGIN_MESSAGE_ID: message.offsetMsgId });
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

describe('a search for a dead letter', () => {
  let clock: VirtualClock;
  let broker: MemoryBroker;
  let letters: MessageQueue;
  let message: Message;
  const AWAY = new ConnectionError('broker', 'refused', { maybeSent: false });
  const OTHER = 'broker-b';

  beforeEach(() => {
    clock = virtualClock();
    broker = new MemoryBroker(clock);
    [letters] = broker.createTopic(dlqTopic(GROUP), 1) as [MessageQueue];
    message = messageAt(7, {
      ...{ topic: 'orders', body: Buffer.from('x') },
      storeTimestamp: clock.now(),
    });
  });

  function search(): DeadLetterSearch {
    const originMessageId = message.offsetMsgId;
    const sought = { message, originMessageId, brokerName: BROKER, since: clock.now() - 1_000 };
    return new DeadLetterSearch(broker.client, GROUP, sought);
  }

  async function answerOf(of: DeadLetterSearch): Promise<string> {
    const result = await of.look({});
    return result.kind === 'unknown' ? result.reason : result.kind;
  }

  const bury = (count: number, origin: string): void =>
    broker.produce(letters, Array<string>(count).fill(String(message.body)), {
      topic: letters.topic,
      properties: { UNIQ_KEY: origin, ORIGIN_MESSAGE_ID: origin },
    });

  /** The route of the dead letters lists these brokers. */
  const route = (...names: string[]) => ({
    ...{ topic: letters.topic, brokers: [] },
    queues: names.map((brokerName) => ({
      ...{ brokerName, readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
    })),
  });

  test('has no answer while the broker of the message is away, listed or not', async () => {
    for (const names of [[BROKER], []]) {
      broker.before = (call) => {
        if (call === 'topicRoute') return route(...names);
        throw AWAY;
      };
      assert.equal(await answerOf(search()), 'own-broker-away');
    }
    broker.before = (call) => {
      if (call === 'topicRoute') throw new TopicNotFoundError(letters.topic, []);
      throw new RequestTimeoutError('broker', 'getMaxOffset', 3_000);
    };
    assert.equal(await answerOf(search()), 'own-broker-away');
  });

  test('finds nothing where a living broker has no dead letters yet', async () => {
    broker.before = (call) => {
      if (call === 'topicRoute' || call === 'maxOffset')
        throw new TopicNotFoundError(letters.topic, []);
      return undefined;
    };
    assert.equal(await answerOf(search()), 'absent');
  });

  test('has no answer while another broker with dead letters is away, also when it left the route', async () => {
    let names = [BROKER, OTHER];
    broker.before = (call, queue) => {
      if (call === 'topicRoute') return route(...names);
      if (queue?.brokerName === OTHER) throw AWAY;
      return undefined;
    };
    const one = search();
    assert.equal(await answerOf(one), 'other-broker-away');
    names = [BROKER];
    assert.equal(await answerOf(one), 'other-broker-away');
    assert.equal(await answerOf(search()), 'absent');
    bury(1, message.offsetMsgId);
    assert.equal(await answerOf(one), 'found');
  });

  test('asks the own broker without a name server', async () => {
    broker.before = (call) => {
      if (call === 'topicRoute') throw AWAY;
      return undefined;
    };
    assert.equal(await answerOf(search()), 'other-broker-away');
    bury(1, message.offsetMsgId);
    assert.equal(await answerOf(search()), 'found');
  });

  test('tells what may pass from what does not', async () => {
    for (const [error, answer] of [
      [
        new PermissionError('getMinOffset', 'broker', 16, 'NO_PERMISSION', 'no right'),
        'unreadable',
      ],
      [new BrokerError('getMinOffset', 'broker', 1, 'SYSTEM_ERROR', 'an error'), 'refused'],
    ] as const) {
      broker.before = (call) => {
        if (call === 'minOffset') throw error;
        return undefined;
      };
      assert.equal(await answerOf(search()), answer);
    }
    broker.before = (call) =>
      call === 'topicRoute'
        ? { ...route(), queues: route(BROKER).queues.map((data) => ({ ...data, perm: 2 })) }
        : undefined;
    assert.equal(await answerOf(search()), 'unreadable');
  });

  test('goes on where it stopped, and reads the route once per look', async () => {
    bury(LETTERS_PER_LOOK + 50, 'ANOTHER');
    let routes = 0;
    broker.before = (call) => {
      if (call === 'topicRoute') routes++;
      return undefined;
    };
    const one = search();
    assert.equal(await answerOf(one), 'letters-left');
    const read = broker.pulls.length;
    assert.equal(await answerOf(one), 'absent');
    assert.equal(broker.pulls[read]?.offset, BigInt(LETTERS_PER_LOOK) + 16n);
    bury(1, message.offsetMsgId);
    assert.equal(await answerOf(one), 'found');
    assert.deepEqual([routes, broker.pulls.at(-1)?.offset], [3, BigInt(LETTERS_PER_LOOK) + 50n]);
  });

  test('begins again when the dead letters were deleted meanwhile', async () => {
    bury(50, 'ANOTHER');
    const one = search();
    assert.equal(await answerOf(one), 'absent');
    broker.deleteTopic(letters.topic);
    broker.createTopic(letters.topic, 1);
    bury(1, message.offsetMsgId);
    assert.equal(await answerOf(one), 'found');
  });
});
