import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { type Message, PullConsumer } from '../../src/consumer/index.ts';
import {
  type DeadLetter,
  listDeadLetters,
  peekDeadLetters,
  REDRIVE_GROUP,
} from '../../src/dlq/dead-letters.ts';
import { type RedriveProgress, redriveDeadLetters } from '../../src/dlq/redrive.ts';
import {
  DeadLettersUnreadableError,
  RedriveStoppedError,
  TopicNotFoundError,
} from '../../src/errors.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../../src/model/message-queue.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack, since } from '../support/stack.ts';
import { sendUndecodable } from '../support/undecodable.ts';
import { until } from '../support/until.ts';

interface Target {
  readonly nameServer: string;
  readonly addresses: readonly string[];
  stop(): Promise<void>;
}

const BROKERS = ['broker-a', 'broker-b'];

async function embedded(): Promise<Target> {
  const mq = await startEmbeddedRocketMQ({
    brokers: BROKERS,
    longPollTickMs: 100,
    autoCreateSubscriptionGroup: false,
  });
  return {
    nameServer: mq.nameServers[0] ?? '',
    addresses: mq.brokers.map(({ address }) => address),
    stop: () => mq.stop(),
  };
}

async function real(): Promise<Target> {
  const mq = await startRealRocketMQ({
    brokers: BROKERS,
    brokerConf: { autoCreateSubscriptionGroup: 'false' },
  });
  return {
    nameServer: mq.nameServer,
    addresses: mq.brokers.map(({ address }) => address),
    stop: () => mq.stop(),
  };
}

for (const [name, start, skip] of [
  ['embedded brokers', embedded, false],
  ['two real masters that make no groups by themselves', real, missingStack('rocketmq')],
] as const)
  describe(`dead letters on ${name}`, { skip }, () => {
    let target: Target;
    let client: RocketMQClient;
    before(async () => {
      target = await start();
      client = createRocketMQClient({ nameServers: [target.nameServer] });
    });
    after(async () => {
      await client?.close();
      await target?.stop();
    });

    /** A topic whose messages `0`, `1`, … a group has given up, alternately of one broker and the other. */
    async function dead(
      count: number,
      brokers: readonly string[] = BROKERS,
    ): Promise<{ topic: string; group: string }> {
      const [topic, group] = [`t-${randomUUID()}`, `g-${randomUUID()}`];
      await client.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1 });
      await client.createGroup(group);
      for (let n = 0; n < count; n++) {
        const queue = { topic, brokerName: brokers[n % brokers.length] as string, queueId: 0 };
        const properties = { own: 'ä', UNIQ_KEY: `${topic}-${n}` };
        await client.send(
          {
            topic,
            body: Buffer.from(String(n)),
            tags: 'tag',
            keys: [`key-${n}`],
            flag: 7,
            properties,
          },
          { queue },
        );
      }
      await using consumer = new PullConsumer({
        consumerGroup: group,
        nameServers: [target.nameServer],
      });
      let sentBack = 0;
      for await (const message of consumer.messages(topic)) {
        await consumer.sendBack(message, { delayLevel: -1 });
        if (++sentBack === count) break;
      }
      await until(
        async () => (await collect(peekDeadLetters(client, group))).length === count,
        'all can be read',
        10_000,
      );
      return { topic, group };
    }

    async function collect(letters: AsyncIterable<DeadLetter>): Promise<DeadLetter[]> {
      const all: DeadLetter[] = [];
      for await (const letter of letters) all.push(letter);
      return all;
    }
    const bodies = (letters: readonly DeadLetter[]): string[] =>
      letters.map(({ message }) => String(message?.body)).sort((a, b) => Number(a) - Number(b));

    /** So many messages of a topic, from its beginning. */
    async function arrived(topic: string, count: number): Promise<Message[]> {
      const group = `reader-${randomUUID()}`;
      await client.createGroup(group);
      await using consumer = new PullConsumer({
        consumerGroup: group,
        nameServers: [target.nameServer],
      });
      const messages: Message[] = [];
      for await (const message of consumer.messages(topic))
        if (messages.push(message) === count) break;
      return messages;
    }
    const figures = async (consumerGroup: string): Promise<[bigint, bigint] | undefined> => {
      const [found] = await listDeadLetters(client, { consumerGroup });
      return found && [found.count, found.waiting];
    };

    test('are listed by group, with their counts', async () => {
      const { group } = await dead(5);
      const all = await listDeadLetters(client);
      const found = all.find(({ consumerGroup }) => consumerGroup === group);
      assert.ok(found);
      assert.deepEqual([found.topic, found.count, found.waiting], [dlqTopic(group), 5n, 5n]);
      assert.deepEqual(
        found.queues.map(({ queue, minOffset, maxOffset, readable }) => [
          queue.brokerName,
          minOffset,
          maxOffset,
          readable,
        ]),
        [
          ['broker-a', 0n, 3n, true],
          ['broker-b', 0n, 2n, true],
        ],
      );
      assert.deepEqual(await listDeadLetters(client, { consumerGroup: 'nobody' }), []);
      assert.deepEqual(await collect(peekDeadLetters(client, 'nobody')), []);
      assert.deepEqual(await redriveDeadLetters(client, 'nobody'), {
        redriven: 0,
        skipped: [],
        stopped: false,
      });
    });

    test('are looked at by offset, time and id, without a trace', async () => {
      const { topic, group } = await dead(6);
      const all = await collect(peekDeadLetters(client, group));
      assert.deepEqual(bodies(all), ['0', '1', '2', '3', '4', '5']);
      const [first] = all;
      assert.deepEqual(
        [first?.originTopic, first?.message?.msgId, first?.message?.reconsumeTimes],
        [topic, `${topic}-0`, 1],
      );
      assert.match(first?.originMessageId ?? '', /^[0-9A-F]{32}$/);
      assert.deepEqual(bodies(await collect(peekDeadLetters(client, group, { limit: 2 }))), [
        '0',
        '2',
      ]);
      assert.deepEqual(bodies(await collect(peekDeadLetters(client, group, { offset: 2n }))), [
        '4',
        '5',
      ]);
      assert.deepEqual(
        bodies(
          await collect(peekDeadLetters(client, group, { brokerName: 'broker-b', offset: 1n })),
        ),
        ['3', '5'],
      );
      assert.deepEqual(
        bodies(await collect(peekDeadLetters(client, group, { offsets: [0n, 2n] }))),
        ['0', '1', '4', '5'],
      );
      const byOffsetId =
        all.find(({ message }) => String(message?.body) === '4')?.message?.offsetMsgId ?? '';
      assert.deepEqual(
        bodies(await collect(peekDeadLetters(client, group, { ids: [`${topic}-1`, byOffsetId] }))),
        ['1', '4'],
      );
      const latest = Math.max(...all.map(({ message }) => message?.storeTimestamp ?? 0));
      const since = await collect(peekDeadLetters(client, group, { since: latest }));
      assert.ok(
        since.length >= 1 && since.every(({ message }) => (message?.storeTimestamp ?? 0) >= latest),
      );
      assert.deepEqual(
        await collect(peekDeadLetters(client, group, { since: Date.now() + 60_000 })),
        [],
      );
      assert.deepEqual(await figures(group), [6n, 6n]);
      for (const reader of [group, REDRIVE_GROUP])
        for (const brokerName of BROKERS)
          assert.ok(
            !(await client.queryOffset(reader, { topic: dlqTopic(group), brokerName, queueId: 0 })),
            'nothing was committed',
          );
    });

    test('go back to their topic as they were, once', async () => {
      const { topic, group } = await dead(5);
      const progress: RedriveProgress[] = [];
      const report = await redriveDeadLetters(client, group, {
        onProgress: (one) => void progress.push(one),
      });
      assert.deepEqual(report, { redriven: 5, skipped: [], stopped: false });
      assert.deepEqual(
        progress.map(({ redriven, topic }) => [redriven, topic]),
        [1, 2, 3, 4, 5].map((n) => [n, topic]),
      );
      const all = await arrived(topic, 10);
      const ids = Map.groupBy(all, ({ msgId }) => msgId);
      assert.equal(ids.size, 5);
      for (const [id, copies] of ids) {
        const [a, b] = [...copies].sort((x, y) => Number(x.storeTimestamp - y.storeTimestamp)) as [
          Message,
          Message,
        ];
        assert.deepEqual(
          [String(b.body), b.flag, b.reconsumeTimes, b.msgId],
          [String(a.body), 7, 0, id],
        );
        const { ORIGIN_MESSAGE_ID, ...properties } = Object.fromEntries(b.properties);
        assert.equal(ORIGIN_MESSAGE_ID, a.offsetMsgId, 'where it was stored first');
        assert.deepEqual(
          properties,
          Object.fromEntries(a.properties),
          'and else the properties that it was sent with',
        );
      }
      assert.deepEqual(await figures(group), [5n, 0n]);
      assert.deepEqual(
        await redriveDeadLetters(client, group),
        { redriven: 0, skipped: [], stopped: false },
        'what was redriven is remembered',
      );
    });

    test('a message that was redriven and fails again comes back with its first id', async () => {
      const { topic, group } = await dead(1, ['broker-a']);
      await redriveDeadLetters(client, group);
      const again = (await arrived(topic, 2)).find(({ properties }) =>
        properties.has('ORIGIN_MESSAGE_ID'),
      ) as Message;
      await using consumer = new PullConsumer({
        consumerGroup: group,
        nameServers: [target.nameServer],
      });
      await consumer.sendBack(again, { delayLevel: -1 });
      await until(async () => (await figures(group))?.[0] === 2n, 'it is dead-lettered again');
      await until(
        async () => (await collect(peekDeadLetters(client, group))).length === 2,
        'it can be read',
      );
      const letters = await collect(peekDeadLetters(client, group));
      assert.equal(new Set(letters.map(({ originMessageId }) => originMessageId)).size, 1);
      assert.equal(new Set(letters.map(({ message }) => message?.msgId)).size, 1);
      assert.deepEqual(new Set(letters.map(({ originTopic }) => originTopic)), new Set([topic]));
    });

    test('a dry run says what would be, and changes nothing', async () => {
      const { topic, group } = await dead(3);
      const topics: string[] = [];
      const report = await redriveDeadLetters(client, group, {
        dryRun: true,
        onProgress: (one) => void topics.push(one.topic),
      });
      assert.deepEqual([report.redriven, topics], [3, [topic, topic, topic]]);
      assert.deepEqual(await figures(group), [3n, 3n]);
      const offsets = await Promise.all(
        BROKERS.map((brokerName) => client.maxOffset({ topic, brokerName, queueId: 0 })),
      );
      assert.deepEqual(offsets, [2n, 1n]);
    });

    test('a limit ends it early, and the next one goes on there; a signal, too', async () => {
      const { group } = await dead(5, ['broker-a']);
      const seen: string[] = [];
      const onProgress = ({ msgId }: RedriveProgress): void => void seen.push(msgId);
      assert.deepEqual(await redriveDeadLetters(client, group, { limit: 2, onProgress }), {
        redriven: 2,
        skipped: [],
        stopped: true,
      });
      assert.deepEqual(await figures(group), [5n, 3n]);
      const stop = new AbortController();
      const report = await redriveDeadLetters(client, group, {
        signal: stop.signal,
        onProgress: (one) => {
          onProgress(one);
          stop.abort();
        },
      });
      assert.deepEqual([report.redriven, report.stopped], [1, true]);
      assert.deepEqual(await figures(group), [5n, 2n]);
      assert.equal((await redriveDeadLetters(client, group, { onProgress })).redriven, 2);
      assert.deepEqual(
        seen.map((id) => id.slice(-1)),
        ['0', '1', '2', '3', '4'],
      );
    });

    test('selected ones go without being noted', async () => {
      const { topic, group } = await dead(4, ['broker-a']);
      assert.equal((await redriveDeadLetters(client, group, { ids: [`${topic}-2`] })).redriven, 1);
      assert.equal((await redriveDeadLetters(client, group, { offsets: [1n, 3n] })).redriven, 2);
      const all = (await arrived(topic, 7)).map(({ body }) => String(body));
      assert.deepEqual(all.sort(), ['0', '1', '1', '2', '2', '3', '3']);
      assert.deepEqual(await figures(group), [4n, 4n]);
    });

    test('to the group alone, by its retry topic, which it may not have yet; or to another topic', async () => {
      const { topic, group } = await dead(2, ['broker-a']);
      assert.equal((await redriveDeadLetters(client, group, { to: 'group' })).redriven, 2);
      const again = await arrived(retryTopic(group), 2);
      assert.deepEqual(
        again.map(({ body, properties, reconsumeTimes }) => [
          String(body),
          properties.get('RETRY_TOPIC'),
          reconsumeTimes,
        ]),
        [
          ['0', topic, 0],
          ['1', topic, 0],
        ],
      );
      const other = `t-${randomUUID()}`;
      await client.createTopic(other, {
        readQueueNums: 1,
        writeQueueNums: 1,
        brokerNames: ['broker-b'],
      });
      assert.equal(
        (await redriveDeadLetters(client, group, { to: { topic: other }, offset: 1n })).redriven,
        1,
      );
      assert.deepEqual(
        (await arrived(other, 1)).map(({ body }) => String(body)),
        ['1'],
      );
    });

    test('whatever a broker had stored goes on as it is: U+0001 in values, many properties, an empty body where brokers take one', async () => {
      const { topic, group } = await dead(1, ['broker-a']);
      await client.createTopic(`${topic}-2`, { readQueueNums: 1, writeQueueNums: 1 });
      const many = Array.from({ length: 500 }, (_, n) => `p${n}\u0001${n}\u0002`).join('');
      const origin = `RETRY_TOPIC\u0001${topic}-2\u0002`;
      const properties = [
        `${origin}header\u0001a\u0001b\u0001\u0002own\u0001first\u0002own\u0001last\u0002__proto__\u0001x\u0002${many}`,
        origin,
      ];
      const raw = await connectRaw(target.addresses[0] as string);
      const fields = { a: 'p', b: dlqTopic(group), c: 'TBW102', d: 4, e: 0, f: 0, g: Date.now() };
      const items = properties.map((text, n) => batchItem(Buffer.from(n === 0 ? 'x' : ''), text));
      const response = await raw.call(
        320,
        { ...fields, h: 0, i: '', j: 0, k: false, m: true },
        { body: Buffer.concat(items) },
      );
      raw.close();
      assert.equal(response.code, 0, response.remark);
      await until(
        async () => (await collect(peekDeadLetters(client, group))).length === 3,
        'all can be read',
        10_000,
      );
      const refusesEmpty = name === 'embedded brokers' || since('5.0');
      const redrive = redriveDeadLetters(client, group);
      if (refusesEmpty)
        await assert.rejects(redrive, { code: 'ROCKETMQ_REDRIVE_STOPPED', offset: 2n });
      else await redrive;
      assert.deepEqual(await figures(group), [3n, refusesEmpty ? 1n : 0n]);
      const all = await arrived(`${topic}-2`, refusesEmpty ? 1 : 2);
      const first = all.find(({ body }) => body.length > 0);
      assert.deepEqual(
        ['header', 'own', '__proto__', 'p499'].map((one) => first?.properties.get(one)),
        ['a\u0001b\u0001', 'last', 'x', '499'],
      );
    });

    test('one that cannot be sent ends it before it, noted; or is passed over by its reason', async () => {
      const { group } = await dead(1, ['broker-a']);
      // Sent to the dead-letter topic by hand: first one of a topic that is gone, then one that says nothing, then one that cannot be decoded.
      const queue: MessageQueue = { topic: dlqTopic(group), brokerName: 'broker-a', queueId: 0 };
      await client.send(
        { topic: queue.topic, body: Buffer.from('gone'), properties: { RETRY_TOPIC: 'gone' } },
        { queue },
      );
      await client.send({ topic: queue.topic, body: Buffer.from('mute') }, { queue });
      const raw = await connectRaw(target.addresses[0] as string);
      await sendUndecodable(raw, queue.topic);
      raw.close();
      await until(
        async () => (await collect(peekDeadLetters(client, group))).length === 4,
        'all can be read',
      );
      await assert.rejects(redriveDeadLetters(client, group), (error) => {
        assert.ok(
          error instanceof RedriveStoppedError && error.cause instanceof TopicNotFoundError,
        );
        assert.deepEqual([error.queue, error.offset], [`${queue.topic}/broker-a/0`, 1n]);
        assert.match(
          error.message,
          new RegExp(
            `${queue.topic}/broker-a/0=1 not sent: .*onFailure: 'skip' .*dlq drop --group ${group} --queue broker-a/0 --limit 1`,
          ),
        );
        return true;
      });
      assert.deepEqual(await figures(group), [4n, 3n]);
      const report = await redriveDeadLetters(client, group, { onFailure: 'skip' });
      assert.deepEqual(
        [report.redriven, report.skipped.map(({ offset }) => offset)],
        [0, [1n, 2n, 3n]],
      );
      assert.match(report.skipped[0]?.reason ?? '', /topic "gone" has no route/);
      assert.match(report.skipped[1]?.reason ?? '', /nothing tells the topic/);
      assert.match(report.skipped[2]?.reason ?? '', /compressed/);
      assert.deepEqual(await figures(group), [4n, 0n]);
    });

    test('a send whose answer got lost is repeated, never forgotten', async () => {
      const { topic, group } = await dead(3, ['broker-a']);
      let sends = 0;
      const breaking: RocketMQClient = Object.create(client, {
        // The client's methods have private state: called on it, not on the copy.
        ...Object.fromEntries(
          (
            [
              'topicRoute',
              'minOffset',
              'maxOffset',
              'queryOffset',
              'commitOffset',
              'pull',
              'createGroup',
            ] as const
          ).map((method) => [
            method,
            {
              value: (...args: never[]) =>
                (client[method] as (...args: never[]) => unknown)(...args),
            },
          ]),
        ),
        send: {
          value: async (message: Parameters<RocketMQClient['send']>[0]) => {
            const sent = await client.send(message);
            if (++sends === 2) throw new Error('the answer got lost');
            return sent;
          },
        },
      });
      await assert.rejects(redriveDeadLetters(breaking, group), /got lost/);
      assert.deepEqual(await figures(group), [3n, 2n]);
      await redriveDeadLetters(client, group);
      const all = (await arrived(topic, 7)).map(({ body }) => String(body));
      assert.deepEqual(all.sort(), ['0', '0', '1', '1', '1', '2', '2']);
    });

    test('where brokers let nobody read them, it says so and what to do', async () => {
      const { group } = await dead(2);
      const topic = dlqTopic(group);
      await client.createTopic(topic, {
        readQueueNums: 1,
        writeQueueNums: 1,
        perm: 2,
        brokerNames: ['broker-b'],
      });
      await until(
        async () =>
          (await listDeadLetters(client, { consumerGroup: group }))[0]?.queues.some(
            ({ readable }) => !readable,
          ) === true,
        'the route tells',
      );
      for (const work of [
        () => collect(peekDeadLetters(client, group)),
        () => redriveDeadLetters(client, group),
      ])
        await assert.rejects(work, (error) => {
          assert.ok(error instanceof DeadLettersUnreadableError);
          assert.deepEqual(error.brokerNames, ['broker-b']);
          assert.match(error.message, /mqadmin updateTopicPerm -t %DLQ%.* -p 6/);
          return true;
        });
      assert.deepEqual(await figures(group), [2n, 2n], 'counting goes all the same');
      assert.equal(
        (await redriveDeadLetters(client, group, { brokerName: 'broker-a' })).redriven,
        1,
      );
      await client.createTopic(topic, {
        readQueueNums: 1,
        writeQueueNums: 1,
        perm: 6,
        brokerNames: ['broker-b'],
      });
      await until(
        async () =>
          (await listDeadLetters(client, { consumerGroup: group }))[0]?.queues.every(
            ({ readable }) => readable,
          ) === true,
        'the route tells',
      );
      assert.equal((await redriveDeadLetters(client, group)).redriven, 1);
    });
  });

/** An item of a batch send (320) with properties as they are written. */
function batchItem(body: Buffer, properties: string): Buffer {
  const text = Buffer.from(properties);
  const item = Buffer.alloc(22 + body.length + text.length);
  item.writeInt32BE(item.length, 0);
  item.writeInt32BE(body.length, 16);
  body.copy(item, 20);
  item.writeInt16BE(text.length, 20 + body.length);
  text.copy(item, 22 + body.length);
  return item;
}
