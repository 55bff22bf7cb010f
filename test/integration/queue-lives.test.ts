import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { pullMessage } from '../../src/requests/pull-message.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerSettings,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Longer than the pause between two answers after which a puller looks whether the queue is still the same. */
const NOTICED_MS = 1_500;
const ORDERED = {
  order: { by: 'queue', suspendCurrentQueueTimeMillis: 100 },
} satisfies Partial<SubscriptionConfig>;
const MODES: readonly (readonly [string, PullerSettings])[] = [
  ['unordered', {}],
  ['ordered by queue', { subscriptions: [ORDERED] }],
  ['BROADCASTING', { source: { messageModel: 'BROADCASTING' } }],
];

describe('offsets that belong to another life of a queue', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
  });
  afterEach(() => world.stop());

  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const produce = (prefix: string, count: number) =>
    world.produce(count, 0, (index) => ({ body: Buffer.from(`${prefix}${index}`) }));
  const codes = () => world.logs.flatMap(({ code }) => (code === undefined ? [] : [code]));
  /** What a puller delivers until it has seen everything, in a life of its own. */
  async function work(count: number, settings: PullerSettings = {}): Promise<string[]> {
    const seen = recorder();
    const puller = world.start(seen.handler, settings);
    await until(() => seen.bodies.length >= count, `${count} messages`);
    await sleep(100);
    await puller.stop();
    return seen.bodies;
  }
  function recreate(): void {
    world.broker.deleteTopic(TOPIC);
    world.broker.createTopic(TOPIC, { queues: 1 });
  }

  for (const [mode, settings] of MODES)
    describe(mode, () => {
      test('a start offset above the end (LATEST, then created again): every message is delivered', async () => {
        await world.prepare(1, 500n);
        await produce('new', 5);
        assert.deepEqual(await work(5, settings), names('new', 5));
        assert.ok(codes().includes('ROCKETMQ_OFFSET_INVALID'));
        assert.equal((await world.assignmentOf()).committedOffset, 5n);
      });

      for (const [size, count] of [
        ['is shorter than before', 5],
        ['is as long as before', 20],
        ['has grown beyond the old offset', 30],
      ] as const) {
        test(`created again between two holders, and ${size}`, async () => {
          await world.prepare(1);
          await produce('old', 20);
          assert.deepEqual(await work(20, settings), names('old', 20));
          recreate();
          await produce('new', count);
          assert.deepEqual(await work(count, settings), names('new', count));
          assert.equal((await world.assignmentOf()).committedOffset, BigInt(count));
          // The next holder begins where this one ended.
          await produce('more', 3);
          assert.deepEqual(await work(3, settings), names('more', 3));
        });
        test(`created again while a holder is idle, and ${size}`, async () => {
          await world.prepare(1);
          await produce('old', 20);
          const seen = recorder();
          world.start(seen.handler, { ...settings, options: { maxSuspendMs: 5_000 } });
          await until(() => seen.bodies.length === 20, 'the old ones');
          await sleep(NOTICED_MS);
          recreate();
          await produce('new', count);
          await until(
            () => names('new', count).every((body) => seen.bodies.includes(body)),
            'all new ones',
            20_000,
          );
        });
      }

      test('the broker lost the offsets: what the item knows counts, nothing comes again', async () => {
        await world.prepare(1);
        await produce('old', 20);
        await work(20, settings);
        world.broker.forgetOffsets(GROUP);
        await produce('new', 5);
        assert.deepEqual(await work(5, settings), names('new', 5));
        assert.equal(codes().includes('ROCKETMQ_OFFSET_LOST'), mode !== 'BROADCASTING');
      });
    });

  test('an offset that the broker kept for a deleted topic, as 4.9 does', async () => {
    await world.prepare(1);
    await produce('old', 20);
    await work(20);
    for (const count of [5, 20, 30]) {
      recreate();
      await world.client.commitOffset(GROUP, at(0), 20n);
      await produce('new', count);
      assert.deepEqual(await work(count), names('new', count));
      assert.equal(world.committed(), BigInt(count));
    }
  });

  test('attempts and deaths of the earlier life do not count', async () => {
    await world.prepare(1);
    await produce('old', 1);
    await work(1, { subscriptions: [ORDERED] });
    const crash = { offset: 0n, count: 2, isolateUntil: 9n };
    const key = { ...world.group, queue: at(0), holder: 'A' };
    const now = Date.now();
    const acquired = await world.store.acquire({
      ...key,
      slot: 0,
      now,
      leaseUntil: now + 9_000,
      endsAt: now + 9_000,
    });
    assert.ok(acquired.applied);
    const { fence } = acquired.assignment;
    await world.store.release({ ...key, fence, crash, attempts: new Map([[0n, 2]]) });
    recreate();
    await produce('new', 2);
    const failed = recorder(() => ({ batchItemFailures: [{ itemIdentifier: '' }] }));
    const puller = world.start(failed.handler, {
      subscriptions: [{ ...ORDERED, maximumRetryAttempts: 2 }],
      options: { idleTimeoutMs: 3_000 },
    });
    await until(() => failed.bodies.length > 0, 'the first delivery');
    assert.deepEqual(failed.bodies.slice(0, 2), names('new', 2), 'not isolated');
    assert.equal((await world.assignmentOf()).crash, undefined);
    await puller.stop();
    assert.equal(world.broker.messages(`%DLQ%${GROUP}`).length, 0);
  });

  test('a broker that lost its last messages: what was handled does not come again', async () => {
    await world.prepare(1);
    await produce('old', 20);
    await work(20);
    // The last ten were never flushed; the group had gone on before.
    await world.client.commitOffset(GROUP, at(0), 30n);
    await sleep(5);
    await produce('new', 5);
    assert.deepEqual(await work(5), names('new', 5));
  });

  test('a slave with a shorter history says where to go on: the master is asked, nothing is skipped or repeated', async () => {
    await world.prepare(1);
    await produce('old', 20);
    const seen = recorder();
    world.broker.control(
      'PULL_MESSAGE',
      () => {
        const offsets = { nextBeginOffset: 7n, minOffset: 0n, maxOffset: 7n };
        const answer = { suggestWhichBrokerId: 1, records: Buffer.alloc(0), ...offsets };
        return {
          code: ResponseCode.PULL_OFFSET_MOVED,
          remark: 'OFFSET_OVERFLOW_BADLY',
          ...pullMessage.encodeAnswer(answer),
        };
      },
      { times: 1 },
    );
    await world.client.commitOffset(GROUP, at(0), 10n);
    world.start(seen.handler);
    await until(() => world.committed() === 20n, 'all is committed');
    assert.deepEqual(seen.bodies, names('old', 20).slice(10));
  });

  test('a start that failed leaves the record of deaths and the attempts as they were', async () => {
    await world.prepare(1);
    await produce('old', 3);
    const crash = { offset: 0n, count: 1, isolateUntil: 0n };
    await world.die('dead', crash);
    const query = world.broker.control(
      'QUERY_CONSUMER_OFFSET',
      () => ({ code: 1, remark: 'not now' }),
      { times: Infinity },
    );
    const report = await world.start(() => undefined).report;
    query.remove();
    assert.equal(report.queues[0]?.reason, 'error');
    const item = await world.assignmentOf();
    assert.equal(item.lease, undefined);
    assert.equal(item.crash?.count, 2);
  });
});
