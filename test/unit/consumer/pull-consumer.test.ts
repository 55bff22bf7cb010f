import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { PullConsumer, type PullConsumerOptions } from '../../../src/consumer/pull-consumer.ts';
import { type ReadOptions, UndecodableRecordError } from '../../../src/consumer/read-messages.ts';
import {
  BrokerError,
  ConnectionError,
  PermissionError,
  TopicNotFoundError,
} from '../../../src/errors.ts';
import type { Message, UndecodableRecord } from '../../../src/model/message.ts';
import { type MessageQueue, queueKey } from '../../../src/model/message-queue.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { encodeBatchItem } from '../../../src/records/batch-items.ts';
import { decodeRecords } from '../../../src/records/decode-records.ts';
import { SystemFlag } from '../../../src/records/system-flag.ts';
import { BROKER, MemoryBroker } from '../../support/memory-broker.ts';
import { record } from '../../support/records.ts';
import { type VirtualClock, virtualClock } from '../../support/virtual-clock.ts';

const TOPIC = 'orders';
const GROUP = 'auditors';
/** Longer than a pull may be without an answer before the queue's life is checked. */
const QUIET_MS = 5_000;

describe('a loop of a PullConsumer, in virtual time', () => {
  let clock: VirtualClock;
  let broker: MemoryBroker;
  let consumer: PullConsumer;
  let codes: string[];

  beforeEach(() => {
    clock = virtualClock();
    broker = new MemoryBroker(clock);
    codes = [];
    consumer = open();
  });

  function open(options: Partial<PullConsumerOptions> = {}): PullConsumer {
    const note = (fields: object): void => void codes.push((fields as { code: string }).code);
    const logger: Logger = {
      ...{ debug: () => {}, info: () => {}, warn: note, error: note },
      child: () => logger,
    };
    return new PullConsumer(
      { consumerGroup: GROUP, nameServers: 'ns:9876', logger, ...options },
      { client: broker.client, clock, random: () => 0 },
    );
  }
  const names = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const at = (queueId: number): MessageQueue => ({ topic: TOPIC, brokerName: BROKER, queueId });

  /** A loop that runs until it has seen so many messages. */
  function read(
    count: number,
    options: ReadOptions = {},
    each: (message: Message, seen: readonly string[]) => unknown = () => {},
  ): { readonly seen: readonly string[]; readonly done: Promise<readonly string[]> } {
    const seen: string[] = [];
    const done = (async () => {
      for await (const message of consumer.messages(TOPIC, options)) {
        seen.push(String(message.body));
        await each(message, seen);
        if (seen.length === count) break;
      }
      return seen;
    })();
    done.catch(() => {});
    return { seen, done };
  }

  describe('a topic that is deleted and created again', () => {
    for (const [size, count] of [
      ['shorter than before', 5],
      ['as long as before', 20],
      ['longer than before', 30],
    ] as const) {
      const recreate = (): void => {
        broker.deleteTopic(TOPIC);
        broker.createTopic(TOPIC, 1);
        broker.produce(at(0), names('new', count));
      };
      test(`while the loop waits, ${size}: every new message, in order`, async () => {
        broker.createTopic(TOPIC, 1);
        broker.produce(at(0), names('old', 20));
        const { seen, done } = read(20 + count);
        await clock.pass(QUIET_MS);
        assert.equal(seen.length, 20);
        recreate();
        assert.deepEqual(await clock.finish(done), [...names('old', 20), ...names('new', count)]);
        assert.ok(codes.includes('ROCKETMQ_OFFSET_INVALID'));
      });
      test(`between two loops, ${size}: every new message, in order`, async () => {
        broker.createTopic(TOPIC, 1);
        broker.produce(at(0), names('old', 21));
        // What was in hand at the break is not passed.
        await clock.finish(read(21).done);
        await clock.pass(10);
        recreate();
        assert.deepEqual(await clock.finish(read(count).done), names('new', count));
      });
    }

    test('an offset that the broker kept and that is above the end: the first message, and it is stored', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('new', 5));
      broker.committed.set(queueKey(at(0)), 20n);
      assert.deepEqual(
        await clock.finish(read(5, { commitIntervalMs: 1_000 }).done),
        names('new', 5),
      );
      assert.equal(broker.committed.get(queueKey(at(0))), 4n);
    });

    test('while the broker cannot be asked: nothing is concluded, and the check is repeated', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('old', 20));
      const { seen, done } = read(60);
      await clock.pass(QUIET_MS);
      broker.deleteTopic(TOPIC);
      broker.createTopic(TOPIC, 1);
      let refusals = 0;
      broker.before = (call) => {
        if (call === 'minOffset' && ++refusals < 3) throw new ConnectionError(BROKER, 'away');
      };
      broker.produce(at(0), names('new', 30));
      await clock.pass(2_000);
      broker.produce(at(0), ['new30']);
      await clock.pass(QUIET_MS);
      for (const body of names('new', 31)) assert.ok(seen.includes(body), body);
      await consumer.close();
      await clock.finish(done);
    });
  });

  describe('a pull of the program’s own', () => {
    for (const [what, options] of [
      ['at an offset', { offset: 1n }],
      ['at the position', {}],
    ] as const)
      test(`${what} does not change where a loop begins`, async () => {
        broker.createTopic(TOPIC, 1);
        broker.produce(at(0), names('old', 3));
        const pulled = await clock.finish(consumer.pull(at(0), options));
        assert.equal(pulled.status, 'FOUND');
        const { seen, done } = read(2, { startingPosition: 'LATEST' });
        await clock.pass(QUIET_MS);
        broker.produce(at(0), names('new', 2));
        await clock.finish(done);
        assert.deepEqual(seen, names('new', 2));
      });

    test('begins where seek and commit have set the position', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('old', 3));
      const bodies = async () => {
        const pulled = await clock.finish(consumer.pull(at(0)));
        return pulled.status === 'FOUND' ? pulled.messages.map(({ body }) => String(body)) : [];
      };
      assert.equal((await bodies()).length, 3);
      await clock.finish(consumer.seek(at(0), 2n));
      assert.deepEqual(await bodies(), ['old2']);
      await clock.finish(consumer.commit(at(0), 1n));
      assert.deepEqual(await bodies(), ['old1', 'old2']);
    });
  });

  describe('a pull that is answered with another offset', () => {
    const moved = (to: bigint, suggestWhichBrokerId = 0) => ({
      ...{ status: 'OFFSET_MOVED', reset: false, suggestWhichBrokerId },
      ...{ nextBeginOffset: to, minOffset: 0n, maxOffset: to },
    });

    test('by a slave with a shorter history: the master is asked, nothing is skipped or repeated', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('', 64));
      broker.suggestedBrokerId = 1;
      broker.before = (call, _queue, request) =>
        call === 'pull' && request?.brokerId === 1 ? moved(7n, 1) : undefined;
      assert.deepEqual(await clock.finish(read(64).done), names('', 64));
      assert.ok(broker.pulls.some(({ brokerId }) => brokerId === 1));
    });

    test('against the master’s own figures: only the third answer in a row counts', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('', 10));
      broker.committed.set(queueKey(at(0)), 5n);
      let answers = 0;
      broker.before = (call) => (call === 'pull' && ++answers <= 2 ? moved(8n) : undefined);
      assert.deepEqual(await clock.finish(read(5).done), names('', 10).slice(5));
    });
  });

  describe('a queue that cannot be opened', () => {
    const busy = () =>
      new BrokerError('QUERY_CONSUMER_OFFSET', BROKER, 2, 'SYSTEM_BUSY', 'not now');

    test('at the start: it is asked again after growing waits, the other queues are read meanwhile', async () => {
      broker.createTopic(TOPIC, 2);
      broker.produce(at(0), ['a']);
      broker.produce(at(1), ['b']);
      const asked: number[] = [];
      const beganAt = clock.now();
      broker.before = (call, queue) => {
        if (call !== 'queryOffset' || queue?.queueId !== 1) return undefined;
        asked.push(clock.now() - beganAt);
        if (asked.length < 4) throw busy();
        return undefined;
      };
      const { seen, done } = read(2);
      await clock.pass(100);
      assert.deepEqual(seen, ['a']);
      assert.deepEqual(await clock.finish(done), ['a', 'b']);
      assert.deepEqual(asked, [0, 500, 1_500, 3_500]);
      assert.equal(codes.filter((code) => code === 'ROCKETMQ_QUEUE_NOT_OPENED').length, 3);
    });

    test('that appears later: the loop goes on', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['a']);
      let refusals = 2;
      broker.before = (call, queue) => {
        if (call === 'queryOffset' && queue?.queueId === 1 && refusals-- > 0) throw busy();
      };
      const { done } = read(2, { routeIntervalMs: 1_000 });
      await clock.pass(100);
      broker.createTopic(TOPIC, 2);
      broker.produce(at(1), ['b']);
      assert.deepEqual(await clock.finish(done), ['a', 'b']);
    });

    test('because its broker is away: it is waited for, as later', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['a']);
      const backAt = clock.now() + 60_000;
      broker.before = (call) => {
        if (call !== 'topicRoute' && clock.now() < backAt)
          throw new ConnectionError(BROKER, 'refused');
      };
      const { done } = read(1);
      assert.deepEqual(await clock.finish(done), ['a']);
      assert.ok(clock.now() - backAt <= 10_000);
    });

    test('because no broker is there, so that its topic has no route', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['a']);
      const backAt = clock.now() + 60_000;
      broker.before = (call) => {
        if (clock.now() >= backAt) return undefined;
        if (call === 'brokerNames') return [];
        throw new TopicNotFoundError(TOPIC, ['ns:9876']);
      };
      assert.deepEqual(await clock.finish(read(1).done), ['a']);
    });

    for (const [where, call] of [
      ['the route of its topic', 'topicRoute'],
      ['the offset of its queue', 'queryOffset'],
    ] as const)
      test(`because its broker came back after ${where} was asked for`, async () => {
        broker.createTopic(TOPIC, 1);
        broker.produce(at(0), ['a']);
        let isBack = false;
        broker.before = (one) => {
          // When the brokers are listed it is there again.
          if (one === 'brokerNames') isBack = true;
          if (one === call && !isBack) throw new TopicNotFoundError(TOPIC, ['ns:9876']);
        };
        assert.deepEqual(await clock.finish(read(1).done), ['a']);
      });

    test('for want of a right: the loop ends', async () => {
      broker.createTopic(TOPIC, 1);
      broker.before = (call) => {
        if (call === 'queryOffset')
          throw new PermissionError('QUERY_CONSUMER_OFFSET', BROKER, 16, 'NO_PERMISSION', 'no');
      };
      await assert.rejects(clock.finish(read(1).done), PermissionError);
    });

    test('a topic that does not exist: the loop ends', async () => {
      broker.before = (call) => {
        if (call === 'topicRoute') throw new TopicNotFoundError(TOPIC, ['ns:9876']);
      };
      await assert.rejects(clock.finish(read(1).done), TopicNotFoundError);
    });

    test('closing ends the loop while a queue is not open', async () => {
      broker.createTopic(TOPIC, 1);
      broker.before = (call) => (call === 'queryOffset' ? new Promise(() => {}) : undefined);
      const { done } = read(1);
      await clock.pass(100);
      await consumer.close();
      assert.deepEqual(await done, []);
    });
  });

  describe('a broker that forgot commits', () => {
    async function forgetWhileQuiet(): Promise<void> {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), names('m', 3));
      read(4, { commitIntervalMs: 1_000 });
      await clock.pass(3_000);
      assert.equal(broker.committed.get(queueKey(at(0))), 3n);
      broker.before = (call) => {
        if (call === 'pull' || call === 'queryOffset') throw new ConnectionError(BROKER, 'refused');
      };
      await clock.pass(25_000);
      broker.committed.set(queueKey(at(0)), 1n);
      broker.before = () => undefined;
    }

    test('has them again though no message comes', async () => {
      await forgetWhileQuiet();
      await clock.pass(15_000);
      assert.equal(broker.committed.get(queueKey(at(0))), 3n);
      assert.ok(codes.includes('ROCKETMQ_OFFSET_CHANGED'));
    });

    test('has them again when the consumer is closed', async () => {
      await forgetWhileQuiet();
      await clock.finish(consumer.close());
      assert.equal(broker.committed.get(queueKey(at(0))), 3n);
    });
  });

  describe('LATEST', () => {
    const LATEST = { startingPosition: 'LATEST', routeIntervalMs: 1_000 } as const;

    test('is about the queues of the start: later ones begin at their first message', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['before']);
      const { done } = read(2, LATEST);
      await clock.pass(100);
      broker.createTopic(TOPIC, 2);
      broker.produce(at(1), ['first of a new queue']);
      await clock.pass(5_000);
      broker.produce(at(0), ['after']);
      assert.deepEqual(await clock.finish(done), ['first of a new queue', 'after']);
    });

    test('does not skip what was stored while the broker could not be reached', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['before']);
      await clock.pass(10);
      const backAt = clock.now() + 30_000;
      broker.before = (call) => {
        if (call !== 'topicRoute' && clock.now() < backAt)
          throw new ConnectionError(BROKER, 'refused');
      };
      const { done } = read(1, LATEST);
      await clock.pass(1_000);
      broker.produce(at(0), ['meanwhile']);
      assert.deepEqual(await clock.finish(done), ['meanwhile']);
    });
  });

  describe('closing while a route is read', () => {
    test('ends the loop: a queue that appears with the answer is not read', async () => {
      broker.createTopic(TOPIC, 1);
      broker.produce(at(0), ['a']);
      const { seen, done } = read(2, { commitIntervalMs: 60_000, routeIntervalMs: 5_000 });
      await clock.pass(4_000);
      assert.deepEqual(seen, ['a']);
      broker.createTopic(TOPIC, 2);
      broker.before = async (call) => {
        if (call === 'topicRoute') await clock.sleep(2_000);
        if (call === 'commitOffset') await clock.sleep(5_000);
      };
      await clock.pass(2_000);
      await clock.finish(consumer.close());
      assert.equal(broker.committed.get(queueKey(at(0))), 1n);
      const pulls = broker.pulls.length;
      await clock.pass(60_000);
      await done;
      assert.deepEqual(broker.pulls.slice(pulls), []);
    });

    test('ends the loop without the error of the answer', async () => {
      broker.before = async () => {
        await clock.sleep(1_000);
        throw new ConnectionError(BROKER, 'closed here');
      };
      const { seen, done } = read(1);
      await clock.pass(500);
      await consumer.close();
      await clock.pass(1_000);
      assert.deepEqual([await done, seen], [[], []]);
    });
  });

  test('a commit of all queues does not wait for one whose broker is away', async () => {
    broker.createTopic(TOPIC, 2);
    broker.produce(at(0), ['a']);
    broker.before = async (call, queue) => {
      if (call !== 'queryOffset' || queue?.queueId !== 1) return;
      await clock.sleep(3_000);
      throw new ConnectionError(BROKER, 'away');
    };
    const { seen, done } = read(2);
    await clock.pass(1_000);
    assert.deepEqual(seen, ['a']);
    broker.produce(at(0), ['b']);
    await clock.finish(done);
    await clock.finish(consumer.commit());
    assert.equal(broker.committed.get(queueKey(at(0))), 1n);
  });

  test('a commit that is not answered holds up no message', async () => {
    broker.createTopic(TOPIC, 1);
    broker.produce(at(0), names('', 3));
    let commits = 0;
    broker.before = (call) => {
      if (call !== 'commitOffset') return undefined;
      commits++;
      return clock.sleep(5_000).then(() => undefined);
    };
    const beganAt = clock.now();
    const seenAt: number[] = [];
    const { done } = read(3, { commitIntervalMs: 100 }, async () => {
      seenAt.push(clock.now() - beganAt);
      await clock.sleep(150);
    });
    await clock.finish(done);
    assert.deepEqual(seenAt, [0, 150, 300]);
    assert.ok(commits > 0);
    assert.equal(broker.committed.get(queueKey(at(0))), 2n);
  });

  test('all queues together hold no more than maxCachedBytes, and every message comes', async () => {
    const queues = broker.createTopic(TOPIC, 8);
    const body = 'x'.repeat(10_000);
    for (const queue of queues) broker.produce(queue, names(body, 100));
    consumer = open({ maxCachedBytes: 2_000_000 });
    let held = 0;
    await clock.finish(
      read(800, {}, async (_, seen) => {
        await clock.sleep(1);
        const next = new Map(broker.pulls.map(({ queue, offset }) => [queueKey(queue), offset]));
        const pulled = [...next.values()].reduce((sum, offset) => sum + Number(offset), 0);
        held = Math.max(held, pulled - seen.length);
      }).done,
    );
    assert.ok(held * body.length <= 2_000_000, `${held} messages were held`);
    assert.ok(held > 20, `it does pull ahead: ${held}`);
  });

  test('an inner batch for which there is no memory waits for it', async () => {
    broker.createTopic(TOPIC, 1);
    broker.produce(at(0), ['x'.repeat(400_000)]);
    const item = encodeBatchItem({ flag: 0, body: Buffer.alloc(19_000), properties: {} });
    const batch = record({
      ...{ sysFlag: SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH, queueOffset: 1n },
      ...{ properties: { INNER_NUM: '80' }, body: Buffer.concat(Array(80).fill(item)) },
    });
    const { messages } = decodeRecords(batch, { brokerName: BROKER });
    const ends = { nextBeginOffset: 81n, minOffset: 0n, maxOffset: 81n, suggestWhichBrokerId: 0 };
    const answer = { status: 'FOUND', messages, size: 1_000, undecodable: [], overlapping: [] };
    broker.before = async (call, _queue, request) => {
      await clock.sleep(1);
      return call === 'pull' && request?.offset === 1n ? { ...answer, ...ends } : undefined;
    };
    consumer = open({ maxCachedBytes: 2_000_000 });
    const reading = read(81, {}, async (_, { length }) => length === 1 && clock.sleep(10_000));
    await clock.pass(10_000);
    assert.ok(broker.pulls.length < 20, `${broker.pulls.length} pulls`);
    await clock.finish(reading.done);
  });

  test('a body stays compressed until its message is delivered', async () => {
    const zlib = (text: string): Buffer => deflateSync(Buffer.from(text));
    broker.createTopic(TOPIC, 1);
    broker.produce(
      at(0),
      [zlib('a'.repeat(1_000)), zlib('b'), Buffer.from('not zlib'), zlib('c')],
      {
        sysFlag: SystemFlag.COMPRESSED,
      },
    );
    const damaged: bigint[] = [];
    const onUndecodable = ({ queueOffset }: UndecodableRecord): void =>
      void damaged.push(queueOffset);
    const loop = read(3, { onUndecodable });
    assert.deepEqual(await clock.finish(loop.done), ['a'.repeat(1_000), 'b', 'c']);
    assert.deepEqual(damaged, [2n]);
    assert.ok(broker.pulls.every(({ keepCompressed }) => keepCompressed));
    consumer = open();
    await assert.rejects(clock.finish(read(3).done), UndecodableRecordError);
  });
});
