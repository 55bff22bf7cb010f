import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Arguments } from '../../src/operator/arguments.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import {
  OPERATIONS,
  type OperationAnswer,
  type OperationName,
} from '../../src/operator/run-operator.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { TABLE, TENANT } from '../support/databases.ts';
import { mqadmin } from '../support/java.ts';
import { LOCAL_OPERATOR } from '../support/local-operator.ts';
import { type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const GROUP = 'operated';
const TOPIC = 'operated-orders';

describe('operators and mqadmin on a real broker', { skip: missingStack('rocketmq') }, () => {
  let world: RealWorld;
  let deps: OperatorDeps;
  before(async () => {
    world = await startRealWorld({});
    const { client, dynamodb, rocketmq } = world;
    await client.createTopic(TOPIC, { readQueueNums: 3, writeQueueNums: 3 });
    await client.createGroup(GROUP);
    // mqadmin finds a group's offsets by the route of its retry topic, and says nothing without one.
    await client.createTopic(`%RETRY%${GROUP}`, { readQueueNums: 1, writeQueueNums: 1 });
    for (let n = 0; n < 9; n++) {
      const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: n % 3 };
      await client.send(
        { topic: TOPIC, body: Buffer.from(`{"n":${n}}`), keys: [`key-${n}`], tags: 'paid' },
        { queue },
      );
    }
    for (const [queueId, offset] of [1n, 2n, 3n].entries())
      await client.commitOffset(GROUP, { topic: TOPIC, brokerName: 'broker-a', queueId }, offset);
    const config = source([subscription(TOPIC)], { consumerGroup: GROUP });
    deps = {
      service: {
        service: 'shop',
        stage: 'dev',
        clusters: { default: { nameServers: [rocketmq.nameServer] } },
        sources: [config],
      },
      clients: () => client,
      store: createAssignmentStore(dynamodb, TABLE, {
        keys: TENANT,
        newToken: () => String(Math.random()),
      }),
      ...LOCAL_OPERATOR,
    };
  });
  after(() => world?.stop());
  const operate = async <Name extends OperationName>(
    name: Name,
    args: Readonly<Record<string, unknown>> = {},
  ) => (await OPERATIONS[name](deps, new Arguments(args))) as OperationAnswer<Name>;

  /** Queue id → the row of `mqadmin consumerProgress`: broker offset, consumer offset, diff. */
  const progress = async (): Promise<Map<number, readonly string[]>> => {
    const output = await mqadmin(world.rocketmq.nameServer, ['consumerProgress', '-g', GROUP]);
    const rows = output.split('\n').map((line) => line.trim().split(/\s+/));
    return new Map(
      rows
        .filter(([topic]) => topic === TOPIC)
        .map((row) => [
          Number(row[2]),
          row
            .slice(3)
            .filter((cell) => /^\d+$/.test(cell))
            .slice(0, 3),
        ]),
    );
  };
  const status = async () =>
    new Map(
      (await operate('status', { topic: TOPIC })).groups[0]?.queues.map(
        ({ queueId, brokerOffset, consumerOffset, lag }) => [
          queueId,
          [brokerOffset, consumerOffset, lag],
        ],
      ),
    );

  test('status: every figure is the one of consumerProgress', async () => {
    assert.deepEqual(
      await status(),
      new Map([
        [0, ['3', '1', '2']],
        [1, ['3', '2', '1']],
        [2, ['3', '3', '0']],
      ]),
    );
    assert.deepEqual(await progress(), await status());
    // LastTime: when the last message that is done was stored, to the second, in the machine's zone.
    const output = await mqadmin(world.rocketmq.nameServer, ['consumerProgress', '-g', GROUP]);
    for (const { queueId, lastDoneStoredAt = 0 } of (await operate('status', { topic: TOPIC }))
      .groups[0]?.queues ?? []) {
      const row =
        output
          .split('\n')
          .find((line) => new RegExp(`^${TOPIC} +broker-a +${queueId} `).test(line)) ?? '';
      assert.equal(
        Date.parse(row.trim().slice(-19).replace(' ', 'T')),
        Math.floor(lastDoneStoredAt / 1000) * 1000,
        row,
      );
    }
  });

  test('reset: consumerProgress shows what the receipt says', async () => {
    const { queues } = await operate('reset', { to: 'offset:2', queue: `${TOPIC}/broker-a/0` });
    assert.deepEqual(
      queues.map(({ from, to, stored }) => [from, to, stored]),
      [['1', '2', '2']],
    );
    await operate('reset', { to: 'first', queue: `${TOPIC}/broker-a/2` });
    assert.deepEqual(
      await progress(),
      new Map([
        [0, ['3', '2', '1']],
        [1, ['3', '2', '1']],
        [2, ['3', '0', '3']],
      ]),
    );
    assert.deepEqual(await progress(), await status());
  });

  test('get: the message that queryMsgByOffset and queryMsgById show', async () => {
    const { messages } = await operate('get', { queue: `${TOPIC}/broker-a/1`, offset: '1' });
    const [message] = messages;
    assert.ok(message !== undefined && 'body' in message);
    assert.equal(message.body, '{"n":4}');
    const byOffset = await mqadmin(world.rocketmq.nameServer, [
      'queryMsgByOffset',
      '-t',
      TOPIC,
      '-b',
      'broker-a',
      '-i',
      '1',
      '-o',
      '1',
    ]);
    assert.ok(byOffset.includes(message.offsetMessageId), byOffset);
    assert.match(byOffset, /Keys: +\[?key-4/);
    assert.match(byOffset, /Queue Offset: +1/);
    assert.deepEqual(
      (await operate('get', { id: message.messageId })).messages.map(({ offset }) => offset),
      ['1'],
    );
  });

  test('skip --park: the dead letter is where mqadmin finds it', async () => {
    const queue = `${TOPIC}/broker-a/1`;
    const { parked, stored } = await operate('skip', { queue, offset: '2', park: true });
    assert.deepEqual([parked, stored], [true, '3']);
    await until(
      async () => (await operate('dlqList')).groups[0]?.stored === '1',
      'it can be read',
      10_000,
    );
    assert.deepEqual(
      (await operate('dlqPeek')).letters.map((letter) =>
        'body' in letter ? [letter.body, letter.originTopic] : letter,
      ),
      [['{"n":7}', TOPIC]],
    );
    assert.match(
      await mqadmin(world.rocketmq.nameServer, ['topicStatus', '-t', `%DLQ%${GROUP}`]),
      /broker-a +0 +0 +1/,
    );
  });

  test('doctor: brokers tell version and clock, and nothing is wrong', async () => {
    const { findings } = await operate('doctor');
    for (const { check, result, detail } of findings)
      assert.ok(
        result === 'ok' || result === 'not needed' || (check === 'table' && result === 'warning'),
        `${check}: ${result} ${detail}`,
      );
    assert.match(
      findings.find(({ check }) => check === 'version')?.detail ?? '',
      /broker-a V\d_\d+_\d+/,
    );
    assert.match(findings.find(({ check }) => check === 'clock')?.detail ?? '', /broker-a -?\d+ s/);
  });
});
