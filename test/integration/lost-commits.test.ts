import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endedFor } from '../../src/decide/lease/lease.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import {
  type Answering,
  at,
  createPullerWorld,
  GROUP,
  type PullerSettings,
  type PullerWorld,
  recorder,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** Brokers report their uptime in seconds: a restart within the same second is not recognised. */
const LATER_MS = 1_200;
const ORDERED = {
  order: { by: 'queue', suspendCurrentQueueTimeMillis: 100 },
} satisfies Partial<SubscriptionConfig>;
const MODES: readonly (readonly [string, PullerSettings])[] = [
  ['unordered', {}],
  ['ordered by queue', { subscriptions: [ORDERED] }],
];
const NOT_NOW = { code: ResponseCode.SYSTEM_ERROR, remark: 'not now' };
const ALWAYS = { times: Number.POSITIVE_INFINITY };

describe('a stored offset that is lower than what the last holder had settled', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
    await world.prepare(1);
  });
  afterEach(() => world.stop());

  const names = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => String(from + index));
  const produce = (from: number, to: number) =>
    world.produce(to - from, 0, (index) => ({ body: Buffer.from(String(from + index)) }));
  const codes = () => world.logs.flatMap(({ code }) => (code === undefined ? [] : [code]));
  /** What a puller delivers until it was given the last message. */
  async function work(last: number, settings: PullerSettings, answer?: Answering) {
    const seen = recorder(answer);
    const puller = world.start(seen.handler, settings);
    await until(() => seen.bodies.includes(String(last)), `message ${last}`);
    await sleep(200);
    await puller.stop();
    return seen.bodies.toSorted((one, other) => Number(one) - Number(other));
  }
  /** A restart between two holders. What the broker has afterwards is up to the test. */
  async function restart(): Promise<void> {
    await world.broker.stopBroker('broker-a');
    await sleep(LATER_MS);
    await world.broker.startBroker('broker-a');
    await until(
      () =>
        world.client.queryOffset(GROUP, at(0)).then(
          (offset) => offset !== undefined,
          () => false,
        ),
      'the broker',
    );
  }
  const setBack = (to: bigint) => world.client.commitOffset(GROUP, at(0), to);

  for (const [mode, settings] of MODES)
    describe(mode, () => {
      beforeEach(async () => {
        await produce(0, 20);
        assert.deepEqual(await work(19, settings), names(0, 20));
        assert.equal(world.committed(), 20n);
      });

      test('a broker that was restarted without its last commits: nothing comes again', async () => {
        await restart();
        await setBack(12n);
        await produce(20, 25);
        assert.deepEqual(await work(24, settings), names(20, 25));
        assert.ok(codes().includes('ROCKETMQ_COMMITS_LOST'));
        assert.equal(world.committed(), 25n);
      });
      test('somebody else committed it: its messages come again', async () => {
        await setBack(12n);
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
      test('an operator of the brokers reset it: its messages come again', async () => {
        await world.reset(0, 12);
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
      test('reset after a restart that lost commits: its messages come again', async () => {
        await restart();
        await world.reset(0, 12);
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
      test('reset by our operator after a restart: its messages come again', async () => {
        await restart();
        const write = { offset: 12n, ended: endedFor(Date.now() + 60_000), forgetsCounts: true };
        assert.equal(await world.store.writeOffset(world.group, at(0), write), 'written');
        await setBack(12n);
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
      test('reset by our operator after the holder died and a restart: its messages come again', async () => {
        await world.die('killed');
        await restart();
        const write = { offset: 12n, ended: endedFor(Date.now() + 60_000), forgetsCounts: true };
        assert.equal(await world.store.writeOffset(world.group, at(0), write), 'written');
        await setBack(12n);
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
      test('a broker that does not report its start: the stored offset counts', async () => {
        await restart();
        await setBack(12n);
        world.broker.control(
          'GET_BROKER_RUNTIME_INFO',
          () => ({ code: ResponseCode.NO_PERMISSION, remark: 'no' }),
          ALWAYS,
        );
        assert.deepEqual(await work(19, settings), names(12, 20));
      });
    });

  describe('an order whose message 2 has failed twice', () => {
    const FAILING: PullerSettings = {
      subscriptions: [{ ...ORDERED, batchSize: 1, maximumRetryAttempts: 100 }],
    };
    /** What the handler is told of message 2. */
    async function told(failures: number): Promise<number[]> {
      const counts: number[] = [];
      const puller = world.start(({ Records }) => {
        for (const { body, rocketmq } of Records) {
          if (body !== '2') continue;
          counts.push(rocketmq.reconsumeTimes);
          return { batchItemFailures: [{ itemIdentifier: Records[0]?.messageId }] };
        }
        return undefined;
      }, FAILING);
      await until(() => counts.length >= failures, 'message 2 has failed');
      await puller.stop();
      return counts;
    }
    beforeEach(async () => {
      await produce(0, 4);
      assert.deepEqual((await told(2)).slice(0, 2), [0, 1]);
      assert.equal(world.committed(), 2n);
    });

    test('goes on counting under the next holder', async () => {
      const [first = 0] = await told(1);
      assert(first >= 2);
    });
    test('begins again when another client set the offset back meanwhile', async () => {
      await setBack(0n);
      assert.deepEqual((await told(2)).slice(0, 2), [0, 1]);
      assert(codes().includes('ROCKETMQ_OFFSET_CHANGED'));
      assert.equal(world.committed(), 2n);
    });
    test('goes on counting when its broker was restarted without its last commits', async () => {
      await restart();
      await setBack(1n);
      const [first = 0] = await told(1);
      assert(first >= 2);
    });
  });

  for (const [mode, settings] of MODES)
    describe(`a holder that ended without its last commits, ${mode}`, () => {
      async function workWithoutCommits(last: number, answer?: Answering): Promise<void> {
        await produce(0, 10);
        await work(9, settings);
        const refused = world.broker.control('UPDATE_CONSUMER_OFFSET', () => NOT_NOW, ALWAYS);
        await produce(10, 20);
        assert.deepEqual(new Set(await work(last, settings, answer)), new Set(names(10, last + 1)));
        refused.remove();
        assert.equal(world.committed(), 10n);
      }

      test('the next one goes on behind what is settled', async () => {
        await workWithoutCommits(19);
        assert.equal((await world.assignmentOf()).settledOffset, 20n);
        await produce(20, 25);
        assert.deepEqual(await work(24, settings), names(20, 25));
        assert.equal(world.committed(), 25n);
        assert.equal((await world.assignmentOf()).settledOffset, undefined);
      });
      test('and the broker lost commits too', async () => {
        await workWithoutCommits(19);
        await restart();
        await setBack(5n);
        await produce(20, 25);
        assert.deepEqual(await work(24, settings), names(20, 25));
      });
      test('a start that fails keeps it', async () => {
        await workWithoutCommits(19);
        const query = world.broker.control('QUERY_CONSUMER_OFFSET', () => NOT_NOW, ALWAYS);
        const { queues } = await world.start(() => undefined, settings).report;
        assert.equal(queues[0]?.reason, 'error');
        query.remove();
        await produce(20, 25);
        assert.deepEqual(await work(24, settings), names(20, 25));
      });
      test('set back since: its messages come again', async () => {
        await workWithoutCommits(19);
        await setBack(5n);
        assert.deepEqual(await work(19, settings), names(5, 20));
      });
      test('reset to what was committed: its messages come again', async () => {
        await workWithoutCommits(19);
        await world.reset(0, 10);
        assert.deepEqual(await work(19, settings), names(10, 20));
      });
    });

  test('a message that is not settled is not passed', async () => {
    await produce(0, 10);
    await work(9, {});
    const controls = (
      ['UPDATE_CONSUMER_OFFSET', 'CONSUMER_SEND_MSG_BACK', 'SEND_MESSAGE_V2'] as const
    ).map((request) => world.broker.control(request, () => NOT_NOW, ALWAYS));
    const one = { subscriptions: [{ batchSize: 1 }] };
    const seen = recorder(({ Records }) => {
      if (Records[0]?.body === '15') throw new Error('not this one');
    });
    const puller = world.start(seen.handler, one);
    // While commits are refused, so is production: straight into the broker's state is no way for a test.
    controls[2]?.remove();
    await produce(10, 20);
    controls[2] = world.broker.control('SEND_MESSAGE_V2', () => NOT_NOW, ALWAYS);
    await until(() => names(10, 20).every((body) => seen.bodies.includes(body)), 'all of them');
    await sleep(200);
    await puller.stop();
    for (const control of controls) control.remove();
    const { settledOffset, committedOffset } = await world.assignmentOf();
    assert.deepEqual([committedOffset, settledOffset], [10n, 15n]);
    assert.deepEqual(await work(19, one), names(15, 20));
  });
});
