import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { redriveDeadLetters } from '../../src/consumer/index.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { UNDECODABLE_PROPERTY } from '../../src/records/dead-letter-form.ts';
import { subscription } from '../support/coordinator-world.ts';
import { createOperatorWorld, type OperatorWorld, QUEUES } from '../support/operator-world.ts';
import { overriddenClient } from '../support/overridden-client.ts';
import { connectRaw } from '../support/raw-connection.ts';
import { sendUndecodable } from '../support/undecodable.ts';
import { until } from '../support/until.ts';

describe('dead letters that are redriven or dropped', () => {
  let world: OperatorWorld;
  let dlq: string;
  const create = async (settings: Partial<SourceConfig> = {}): Promise<void> => {
    world = await createOperatorWorld({}, settings);
    dlq = dlqTopic(world.group.consumerGroup);
  };
  beforeEach(() => create());
  afterEach(() => world.stop());

  async function buryUndecodable(): Promise<void> {
    const raw = await connectRaw(world.broker.brokers[0]?.address ?? '');
    await sendUndecodable(raw, dlq);
    raw.close();
  }
  const stored = () =>
    Array.from({ length: QUEUES }, (_, queueId) =>
      Number(world.broker.maxOffset({ topic: 'orders', queueId })),
    );
  /** Messages that an action added to each queue. */
  async function added(action: () => Promise<unknown>): Promise<number[]> {
    const before = stored();
    await action();
    return stored().map((count, queueId) => count - (before[queueId] ?? 0));
  }
  /** A time between what is buried before and after. */
  async function boundary(): Promise<number> {
    const time = Date.now() + 2;
    await until(() => Date.now() > time + 2, 'time goes on');
    return time;
  }
  const note = async (): Promise<string | undefined> =>
    (await world.operate('dlqList')).groups[0]?.queues[0]?.doneUpTo;
  const byLibrary = () =>
    redriveDeadLetters(world.client, world.group.consumerGroup, { topics: ['orders'] });

  for (const [name, redrive] of [
    ['operator', () => world.operate('dlqRedrive')],
    ['library', byLibrary],
  ] as const)
    test(`letters of one sharding key go to the queue of that key, by the ${name}`, async () => {
      // "a".hashCode() is 97, "b" has 98.
      for (const shardingKey of ['a', 'a', 'a', 'b', 'b']) await world.bury('x', { shardingKey });
      assert.deepEqual(await added(redrive), [2, 3]);
    });

  test('letters of a group that is ordered by another property go to the queue of that one', async () => {
    const ordered = (key: string) => ({
      subscriptions: [
        subscription('orders', { order: { by: 'key', key, suspendCurrentQueueTimeMillis: 50 } }),
      ],
    });
    for (const [key, message] of [
      ['KEYS', { keys: ['a', 'b'] }],
      ['tenant', { properties: { tenant: 'a', __SHARDINGKEY: 'b' } }],
    ] as const) {
      await world.stop();
      await create(ordered(key));
      for (let n = 0; n < 3; n++) await world.bury('x', message);
      assert.deepEqual(await added(() => world.operate('dlqRedrive')), [0, 3], key);
      const toGroup = { all: true, to: 'group' };
      assert.equal((await world.operate('dlqRedrive', toGroup)).done, 3, key);
    }
  });

  test('a letter whose body is a record that could not be decoded is passed over', async () => {
    await world.bury('raw', { properties: { [UNDECODABLE_PROPERTY]: 'bad CRC' } });
    await world.bury('good');
    const { letters, done } = await world.operate('dlqRedrive');
    assert.equal(done, 1);
    assert.match(JSON.stringify(letters), /could not be decoded \(bad CRC\)/);
    const all = { topics: ['orders'], offsets: [0n, 1n] };
    const report = await redriveDeadLetters(world.client, world.group.consumerGroup, all);
    assert.equal(report.redriven, 1);
    assert.match(report.skipped[0]?.reason ?? '', /could not be decoded \(bad CRC\)/);
  });

  test('none goes to the retry topic of a BROADCASTING group, which nothing reads', async () => {
    await world.stop();
    await create({ messageModel: 'BROADCASTING' });
    await world.bury('x');
    await assert.rejects(
      world.operate('dlqRedrive', { to: 'group' }),
      (error) => error instanceof OperatorError && /reads no retry topic/.test(error.message),
    );
    assert.equal(await note(), '0');
    assert.equal((await world.operate('dlqRedrive')).done, 1);
  });

  /** For which nothing of an undecodable record can be read. */
  const blind = (): Partial<OperatorDeps> => ({
    clients: () =>
      overriddenClient(world.client, {
        pull: async (request, options) => {
          const pulled = await world.client.pull(request, options);
          if (pulled.status !== 'FOUND') return pulled;
          const undecodable = pulled.undecodable.map((record) => {
            const { unopened: _, ...others } = record;
            return others;
          });
          return { ...pulled, undecodable };
        },
      }),
  });

  for (const limit of [1, 2, 3, 100])
    test(`a drop up to a time ends at the first younger letter, in steps of ${limit}`, async () => {
      await world.bury('old');
      await buryUndecodable();
      await buryUndecodable();
      await world.bury('old');
      const time = await boundary();
      await buryUndecodable();
      await world.bury('young');
      await buryUndecodable();
      await world.bury('young');
      let cursor: string | undefined;
      let dropped = 0;
      do {
        const args = { until: time, limit, ...(cursor === undefined ? {} : { cursor }) };
        const step = await world.operate('dlqDrop', args, blind());
        dropped += step.done;
        cursor = step.cursor;
      } while (cursor !== undefined);
      assert.deepEqual([dropped, await note()], [4, '4']);
      assert.equal((await world.operate('dlqRedrive')).done, 2);
    });

  test('a letter that does not tell its time stays when none behind it does', async () => {
    await world.bury('old');
    await buryUndecodable();
    const time = await boundary();
    const { done } = await world.operate('dlqDrop', { until: time }, blind());
    assert.deepEqual([done, await note()], [1, '1']);
    const readable = { until: time, 'dry-run': true };
    assert.equal((await world.operate('dlqDrop', readable)).done, 1, 'its record tells');
    assert.equal((await world.operate('dlqDrop', {}, blind())).done, 1, 'without a time it goes');
  });

  test('neither a drop nor a redrive moves the note back', async () => {
    for (let n = 0; n < 4; n++) await world.bury('x');
    const { cursor } = await world.operate('dlqPeek', { limit: 1 });
    assert.ok(cursor !== undefined);
    await world.operate('dlqRedrive', { limit: 3 });
    assert.equal((await world.operate('dlqDrop', { all: true, limit: 1, cursor })).done, 1);
    assert.equal(await note(), '4');
    assert.deepEqual(await added(() => world.operate('dlqRedrive', { cursor })), [0, 0]);
    assert.equal((await world.operate('dlqDrop', { all: true, limit: 2 })).done, 0);
    assert.equal(await note(), '4');
  });

  test('a cursor that is ahead of the note leaves no letter behind', async () => {
    for (let n = 0; n < 4; n++) await world.bury('x');
    const { cursor } = await world.operate('dlqPeek', { limit: 2 });
    assert.ok(cursor !== undefined);
    assert.equal((await world.operate('dlqRedrive', { cursor })).done, 4);
  });
});
