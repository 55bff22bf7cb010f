import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { LimitExceededError } from '../../src/errors.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { DEFAULT_LIMITS } from '../../src/remoting/limits.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerWorld,
  recorder,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

const ALWAYS = { times: Number.POSITIVE_INFINITY };

/** A broker gives more in one answer than a frame may have (maxTransferBytesOnMessageInMemory above 16 MiB). */
describe('answers over the frame limit', () => {
  let world: PullerWorld;
  let closed: () => Promise<void> = async () => {};
  afterEach(async () => {
    await closed();
    await world.stop();
  });

  const begin = async (bodies: readonly number[]) => {
    world = await createPullerWorld();
    await world.prepare(1);
    for (const size of bodies)
      await world.client.send({ topic: 'orders', body: Buffer.alloc(size, 'x') }, { queue: at(0) });
    const limits = { ...DEFAULT_LIMITS, maxFrameBytes: 20_000 };
    const client = createRocketMQClient({ nameServers: world.broker.nameServers }, { limits });
    closed = () => client.close();
    const asked: number[] = [];
    world.broker.control(
      'PULL_MESSAGE',
      ({ command }) => void asked.push(Number(command.extFields.maxMsgNums)),
      ALWAYS,
    );
    return { client, asked };
  };
  const pullOf = (offset: bigint) => ({
    ...{ consumerGroup: GROUP, queue: at(0), offset, maxMessages: 32, suspendMs: 0 },
    subscription: buildSubscription('orders', '*'),
  });

  test('are asked for again with fewer messages', async () => {
    const { client, asked } = await begin(Array.from({ length: 20 }, () => 5_000));
    let offset = 0n;
    for (let n = 0; n < 3; n++) offset = (await client.pull(pullOf(offset))).nextBeginOffset;
    assert.deepEqual(asked.slice(0, 4), [32, 16, 8, 4]);
    assert.ok(offset >= 6n, `${offset} after three pulls`);
  });

  test('do not stop a puller', async () => {
    const { client } = await begin(Array.from({ length: 40 }, () => 5_000));
    const seen = recorder();
    const puller = world.start(seen.handler, { deps: { client } });
    await until(() => world.committed() === 40n, 'all are committed', 30_000);
    await puller.stop();
    assert.equal(seen.records.length, 40);
  });

  test('of a single message end a pull and a puller by their name', async () => {
    const { client, asked } = await begin([100, 30_000, 100]);
    const first = await client.pull(pullOf(0n));
    assert.equal(first.nextBeginOffset, 1n);
    await assert.rejects(client.pull(pullOf(1n)), LimitExceededError);
    assert.equal(asked.at(-1), 1);
    const seen = recorder();
    const puller = world.start(seen.handler, { deps: { client } });
    const { queues } = await puller.report;
    assert.deepEqual([queues[0]?.reason, seen.records.length], ['refused', 1]);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_LIMIT_EXCEEDED'));
    assert.equal(world.committed(), 1n);
  });

  test('to a pop: the next one asks for fewer', async () => {
    const { client } = await begin([]);
    const sizes: number[] = [];
    world.broker.control(
      'POP_MESSAGE',
      ({ command }) => {
        sizes.push(Number(command.extFields.maxMsgNums));
        return { code: 0, body: Buffer.alloc(Number(command.extFields.maxMsgNums) * 1_000) };
      },
      ALWAYS,
    );
    const pop = {
      ...{ consumerGroup: GROUP, topic: 'orders', brokerName: 'broker-a', maxMessages: 32 },
      ...{ invisibleMs: 60_000, pollMs: 0, start: 'min' as const },
      subscription: buildSubscription('orders', '*'),
    };
    await assert.rejects(client.pop(pop), LimitExceededError);
    await assert.rejects(client.pop(pop));
    assert.deepEqual(sizes, [32, 16]);
  });
});
