import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { COMMANDS } from '../../infra/commands/all-commands.ts';
import type { Operator } from '../../infra/commands/command.ts';
import { runCommand } from '../../infra/commands/run-command.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { OPERATOR_VERSION, runOperator } from '../../src/operator/run-operator.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';
import { until } from '../support/until.ts';

describe('dead letters by an operator', () => {
  let world: OperatorWorld;
  /** Seven, of two tags; between the first three and the others some time passes. */
  const LETTERS = 7;
  let between = 0;
  before(async () => {
    world = await createOperatorWorld();
    await world.produce(3, 0, 'paid');
    await world.produce(4, 0, 'open');
    const { client, group } = world;
    const subscription = buildSubscription('orders', '*');
    const pulled = await client.pull({
      consumerGroup: group.consumerGroup,
      queue: world.queue(0),
      offset: 0n,
      subscription,
      maxMessages: 32,
      suspendMs: 0,
    });
    assert.equal(pulled.status, 'FOUND');
    for (const [index, message] of (pulled.status === 'FOUND' ? pulled.messages : []).entries()) {
      if (index === 3) {
        between = Date.now() + 5;
        await until(() => Date.now() > between + 5, 'time goes on');
      }
      const { brokerName, commitLogOffset, offsetMsgId: originMsgId, topic: originTopic } = message;
      await client.sendBack({
        consumerGroup: group.consumerGroup,
        brokerName,
        commitLogOffset,
        originMsgId,
        originTopic,
        delayLevel: -1,
        maxReconsumeTimes: 16,
      });
    }
  });
  after(() => world?.stop());
  let before7 = 0n;
  beforeEach(() => {
    before7 =
      world.broker.maxOffset({ topic: 'orders', queueId: 0 }) +
      world.broker.maxOffset({ topic: 'orders', queueId: 1 });
  });
  const arrived = () =>
    Number(
      world.broker.maxOffset({ topic: 'orders', queueId: 0 }) +
        world.broker.maxOffset({ topic: 'orders', queueId: 1 }) -
        before7,
    );
  const bodies = ({ letters }: { letters: readonly object[] }) =>
    letters.map((letter) => ('body' in letter ? letter.body : letter));

  test('are listed with what waits', async () => {
    const { groups } = await world.operate('dlqList');
    assert.deepEqual(
      groups.map(({ stored, waiting, queues }) => [stored, waiting, queues.length]),
      [[String(LETTERS), String(LETTERS), 1]],
    );
  });

  test('are looked at by tag, key, id and time, in steps', async () => {
    const some = await world.operate('dlqPeek', { limit: 2 });
    assert.deepEqual([bodies(some), some.cursor?.endsWith('=2')], [['{"n":0}', '{"n":1}'], true]);
    assert.equal(some.left, LETTERS - 2, 'what is behind it');
    assert.equal((await world.operate('dlqPeek', { key: 'key-1', limit: 1 })).left, LETTERS - 2);
    assert.deepEqual(
      bodies(await world.operate('dlqPeek', { limit: 100, cursor: some.cursor })).length,
      LETTERS - 2,
    );
    assert.deepEqual(bodies(await world.operate('dlqPeek', { tag: 'open', limit: 2 })), [
      '{"n":0}',
      '{"n":1}',
    ]);
    assert.equal(bodies(await world.operate('dlqPeek', { key: 'key-1' })).length, 2);
    assert.equal(bodies(await world.operate('dlqPeek', { since: between })).length, 4);
    assert.equal(bodies(await world.operate('dlqPeek', { until: between })).length, 3);
    const [first] = some.letters;
    assert.ok(first !== undefined && 'messageId' in first);
    assert.equal(first.originTopic, 'orders');
    assert.deepEqual(bodies(await world.operate('dlqPeek', { id: [first.messageId] })), [
      '{"n":0}',
    ]);
  });

  test('a redrive on trial sends nothing; one by tag notes nothing; one of all goes on where it ended', async () => {
    const trial = await world.operate('dlqRedrive', { 'dry-run': true });
    assert.deepEqual(
      [
        trial.done,
        arrived(),
        trial.letters.every((letter) => 'to' in letter && letter.to === 'orders'),
      ],
      [LETTERS, 0, true],
    );
    assert.equal((await world.operate('dlqRedrive', { tag: 'paid' })).done, 3);
    assert.equal(arrived(), 3);
    assert.equal((await world.operate('dlqList')).groups[0]?.waiting, String(LETTERS));
    const first = await world.operate('dlqRedrive', { limit: 2 });
    assert.deepEqual([first.done, typeof first.cursor], [2, 'string']);
    assert.equal((await world.operate('dlqList')).groups[0]?.waiting, String(LETTERS - 2));
    // Without its cursor: another operator goes on in the same place.
    assert.equal((await world.operate('dlqRedrive', { limit: 1 })).done, 1);
    assert.equal(arrived(), 6);
  });

  test('a redrive keeps to its rate, and ends with its time', async () => {
    const started = performance.now();
    assert.equal(
      (await world.operate('dlqRedrive', { all: true, limit: 4, rate: 20, to: 'group' })).done,
      4,
    );
    assert.ok(performance.now() - started >= 140, 'four at twenty a second take 150 ms');
    const cut = await world.operate('dlqRedrive', { all: true }, { remainingMs: () => 9_000 });
    assert.deepEqual([cut.done, typeof cut.cursor], [0, 'string']);
  });

  test('a long redrive shows on a terminal how far it is, with every step', async () => {
    const shown: string[] = [];
    const operator: Operator = {
      request: (command, args) =>
        runOperator(
          { ...world.deps, remainingMs: () => 10_100 },
          { version: OPERATOR_VERSION, command, args },
        ),
      close: async () => {},
    };
    const code = await runCommand(
      COMMANDS.find(({ words }) => words.join(' ') === 'dlq redrive')!,
      { all: true, to: 'group', rate: '20', yes: true },
      async () => operator,
      {
        out: { write: () => {} },
        err: { write: (text: string) => shown.push(text), isTTY: true },
        ...{
          ask: undefined,
          signal: new AbortController().signal,
          now: Date.now,
          sleep: async () => {},
        },
      },
    );
    assert.equal(code, 0);
    const bars = shown.flatMap(
      (text) => /\[(#*)\.*\] (\d+) of (\d+).*: looked through, (\d+) sent/.exec(text) ?? [],
    );
    const steps = bars.length / 5;
    assert.ok(steps >= 2, `${shown.length} lines: ${shown.join('')}`);
    for (let step = 0; step < steps; step++) {
      const [, filled = '', at, of, sent] = bars.slice(step * 5);
      assert.deepEqual(
        [of, sent, filled.length],
        [String(LETTERS), at, Math.floor((24 * Number(at)) / LETTERS)],
      );
    }
    assert.equal(bars.at(-1), String(LETTERS));
    assert.equal(shown.at(-1), '\r\x1b[K');
  });

  test('a drop notes how far the letters are done, and leaves no gap', async () => {
    assert.deepEqual(
      [(await world.operate('dlqDrop', { 'dry-run': true })).done, arrived()],
      [4, 0],
    );
    assert.equal((await world.operate('dlqDrop', { limit: 1 })).done, 1);
    assert.equal((await world.operate('dlqList')).groups[0]?.waiting, '3');
    assert.equal((await world.operate('dlqDrop', { until: between })).done, 0);
    assert.equal((await world.operate('dlqDrop')).done, 3);
    assert.equal((await world.operate('dlqList')).groups[0]?.waiting, '0');
    assert.deepEqual(
      [
        (await world.operate('dlqPeek')).letters.length,
        (await world.operate('dlqPeek', { all: true })).letters.length,
      ],
      [0, LETTERS],
    );
    await assert.rejects(
      world.operate('dlqDrop', { id: ['x'] }),
      (error) => error instanceof OperatorError && /cannot leave gaps/.test(error.message),
    );
  });
});
