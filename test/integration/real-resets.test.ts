import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageQueue } from '../../src/model/message-queue.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { PullerOptions } from '../../src/puller/puller-deps.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { mqadmin } from '../support/java.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const brokerName = 'broker-a';
/** Around the time to reset to: brokers up to 4.9 take the message that is nearest, also one from before. */
const BEFORE_MS = 400;
const AFTER_MS = 20;
/** What a running puller needs to see a reset: it looks when it would commit. Brokers hold a quiet pull's answer back for up to 20 s. */
const SEEN_MS = 8_000;
/** A coordinator's pass, the broker's tick, a puller's idle time: what a reset may have to wait for. */
const NOTICED_MS = 60_000;
const BUSY: Partial<PullerOptions> = {
  commitIntervalMs: 200,
  renewIntervalMs: 1_000,
  idleTimeoutMs: 120_000,
};
const SOON_IDLE: Partial<PullerOptions> = { ...BUSY, idleTimeoutMs: 1_500 };

describe('offsets that an operator resets with mqadmin, or that lie outside the queue', {
  skip: missingStack('rocketmq'),
}, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    // Files that are deleted by hand go at once, all but the last.
    world = await startRealWorld({
      brokerConf: {
        fileReservedTime: '0',
        mappedFileSizeCommitLog: '1048576',
        cleanResourceInterval: '1000',
        deleteCommitLogFilesInterval: '10',
      },
    });
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  /** A topic of one queue, a group, and what a service of it sees. */
  const setUp = async (name: string) => {
    const consumerGroup = `${name}-workers`;
    const queue: MessageQueue = { topic: name, brokerName, queueId: 0 };
    await client.createTopic(name, { readQueueNums: 1, writeQueueNums: 1 });
    await client.createGroup(consumerGroup);
    const bodies: string[] = [];
    return {
      consumerGroup,
      queue,
      bodies,
      times: (body: number) => bodies.filter((seen) => seen === String(body)).length,
      async produce(from: number, to: number, bytes = 0): Promise<void> {
        for (let index = from; index < to; index++)
          await client.send(
            {
              topic: name,
              body: Buffer.from(String(index)),
              properties: { padding: 'x'.repeat(bytes) },
            },
            { queue },
          );
      },
      deploy: (options: Partial<PullerOptions>, own: Partial<SubscriptionConfig> = {}) =>
        startInProcess({
          client,
          dynamodb,
          nameServer: rocketmq.nameServer,
          source: source([subscription(name, own)], { consumerGroup }),
          handler: ({ Records }) => void bodies.push(...Records.map(({ body }) => body)),
          options,
        }),
      committed: async (offset: bigint) => {
        for (
          const end = Date.now() + 15_000;
          (await client.queryOffset(consumerGroup, queue)) !== offset;
          await sleep(50)
        )
          assert.ok(Date.now() < end, `${offset} is not committed`);
      },
      reset: (time: number) =>
        mqadmin(rocketmq.nameServer, [
          'resetOffsetByTime',
          '-g',
          consumerGroup,
          '-t',
          name,
          '-s',
          String(time),
          '-f',
          'true',
        ]),
    };
  };

  for (const [when, options] of [
    ['while its puller runs', BUSY],
    ['while the queue is idle and nobody runs but the coordinator', SOON_IDLE],
  ] as const)
    test(`a reset back ${when} is followed`, { timeout: 180_000 }, async () => {
      const group = await setUp(`reset-${options.idleTimeoutMs}`);
      await group.produce(0, 10);
      await sleep(BEFORE_MS);
      const middle = Date.now();
      await sleep(AFTER_MS);
      await group.produce(10, 20);
      const service = group.deploy(options);
      await until(() => group.bodies.length === 20, 'all came', NOTICED_MS);
      await group.committed(20n);
      if (options === SOON_IDLE) await until(() => service.pullers.length > 0, 'a puller came');
      if (options === SOON_IDLE) await Promise.all(service.pullers);
      await group.reset(middle);
      await until(
        () => group.bodies.length >= 30,
        'the second half came again',
        options === BUSY ? SEEN_MS : NOTICED_MS,
      );
      await group.committed(20n);
      assert.deepEqual([0, 9, 10, 19].map(group.times), [1, 1, 2, 2]);
      await service.end();
    });

  test('a reset while the service is stopped is where it begins, back and forth', {
    timeout: 180_000,
  }, async () => {
    const group = await setUp('reset-stopped');
    await group.produce(0, 10);
    const first = group.deploy(BUSY);
    await until(() => group.bodies.length === 10, 'all came', NOTICED_MS);
    await first.end();
    await group.committed(10n);
    await group.reset(0);
    const second = group.deploy(BUSY);
    await until(() => group.bodies.length === 20, 'all came again', NOTICED_MS);
    await second.end();
    await group.committed(10n);
    await group.produce(10, 15);
    await sleep(BEFORE_MS);
    const later = Date.now();
    await sleep(AFTER_MS);
    await group.produce(15, 20);
    await group.reset(later);
    const third = group.deploy(BUSY);
    await until(() => group.times(19) === 1, 'the last ones came', NOTICED_MS);
    await third.end();
    await group.committed(20n);
    assert.deepEqual([9, 10, 14, 15, 19].map(group.times), [2, 0, 0, 1, 1]);
  });

  test('an offset beyond the end: the broker says where to go on, nothing that comes is missed', {
    timeout: 120_000,
  }, async () => {
    const group = await setUp('beyond-end');
    await group.produce(0, 5);
    await client.commitOffset(group.consumerGroup, group.queue, 1_000n);
    const service = group.deploy(BUSY);
    for (let offset: bigint | undefined = 1_000n; offset === 1_000n; await sleep(100))
      offset = await client.queryOffset(group.consumerGroup, group.queue);
    await group.produce(5, 10);
    await until(
      () => [5, 6, 7, 8, 9].every((body) => group.times(body) >= 1),
      'what came later is delivered',
      NOTICED_MS,
    );
    await group.committed(10n);
    await service.end();
  });

  test('data that was deleted below the offset: the first message that is left comes next', {
    timeout: 180_000,
  }, async () => {
    const group = await setUp('deleted');
    await group.produce(0, 3);
    const before = group.deploy(BUSY);
    await until(() => group.bodies.length === 3, 'the first came', NOTICED_MS);
    await before.end();
    await group.committed(3n);
    // Some MiB, so that the files with the first messages are not the last one.
    await group.produce(3, 203, 20_000);
    for (
      const end = Date.now() + 60_000;
      (await client.minOffset(group.queue)) <= 3n;
      await sleep(500)
    ) {
      assert.ok(Date.now() < end, 'nothing was deleted');
      await mqadmin(rocketmq.nameServer, [
        'deleteExpiredCommitLog',
        '-b',
        rocketmq.brokers[0]?.address ?? '',
      ]);
    }
    const first = Number(await client.minOffset(group.queue));
    const service = group.deploy(BUSY);
    await until(() => group.times(202) === 1, 'the rest came', NOTICED_MS);
    await group.committed(203n);
    await service.end();
    const least = Math.min(...group.bodies.slice(3).map(Number));
    assert.ok(least >= 3 && least <= first, `began at ${least}, the first one left is ${first}`);
  });
});
