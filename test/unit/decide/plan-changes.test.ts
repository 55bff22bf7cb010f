import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ABSENT_BEFORE_RETIRE_MS,
  AWAY_BEFORE_RETIRE_MS,
  planChanges,
  queueOf,
} from '../../../src/decide/assignment/plan-changes.ts';
import { startPosition } from '../../../src/decide/assignment/start-position.ts';
import { withLingering } from '../../../src/decide/assignment/with-lingering.ts';
import { countSlots } from '../../../src/decide/slots/count-slots.ts';
import type { Assignment } from '../../../src/model/assignment.ts';
import { assignment } from '../../support/assignments.ts';

const NOW = 1_000_000;
const NONE = new Set<string>();
const queue = (id: number) => assignment(id).queue;
const kinds = (
  wanted: [number, number][],
  stored: Assignment[],
  undecided: ReadonlySet<string> = NONE,
  isAway: (brokerName: string) => boolean = () => false,
) =>
  planChanges(
    wanted.map(([id, slot]) => ({ queue: queue(id), slot })),
    stored,
    undecided,
    NOW,
    isAway,
  ).map(
    (change) =>
      `${change.kind} ${queueOf(change).queueId}${'slot' in change ? `→${change.slot}` : ''}`,
  );

describe('plan changes', () => {
  test('create, keep, move', () => {
    assert.deepEqual(
      kinds(
        [
          [0, 0],
          [1, 1],
          [2, 2],
        ],
        [assignment(1, { slot: 1 }), assignment(2, { slot: 0 })],
      ),
      ['create 0→0', 'keep 1', 'move 2→2'],
    );
  });
  test('a missing queue is noted first, kept for 40 s, then retired', () => {
    const since = (ms: number) => [assignment(0, { absentSince: NOW - ms })];
    assert.deepEqual(kinds([], [assignment(0)]), ['miss 0']);
    assert.deepEqual(kinds([], since(ABSENT_BEFORE_RETIRE_MS - 1)), ['keep 0']);
    assert.deepEqual(kinds([], since(ABSENT_BEFORE_RETIRE_MS)), ['retire 0']);
    assert.deepEqual(kinds([], [assignment(0, { retiredAt: 1, absentSince: 1 })]), ['keep 0']);
  });
  test('a queue whose broker is away is kept for a day, then retired', () => {
    const away = (ms: number, brokerName = 'broker-a') =>
      kinds([], [assignment(0, { absentSince: NOW - ms })], NONE, (name) => name === brokerName);
    assert.deepEqual(away(ABSENT_BEFORE_RETIRE_MS), ['keep 0']);
    assert.deepEqual(away(AWAY_BEFORE_RETIRE_MS - 1), ['keep 0']);
    assert.deepEqual(away(AWAY_BEFORE_RETIRE_MS), ['retire 0']);
    assert.deepEqual(away(ABSENT_BEFORE_RETIRE_MS, 'broker-b'), ['retire 0']);
  });
  test('a queue that is there again loses its mark, and is moved after that when it must', () => {
    const missed = [assignment(0, { absentSince: NOW - 999_999 })];
    assert.deepEqual(kinds([[0, 0]], missed), ['find 0']);
    assert.deepEqual(kinds([[0, 3]], missed), ['find 0', 'move 0→3']);
  });
  test('a retired queue is revived with its new slot', () => {
    assert.deepEqual(kinds([[0, 4]], [assignment(0, { retiredAt: 1, absentSince: 1 })]), [
      'revive 0→4',
    ]);
  });
  test('nothing is concluded about a topic that could not be read', () => {
    assert.deepEqual(
      kinds([], [assignment(0), assignment(1, { absentSince: 1 })], new Set(['orders'])),
      ['keep 0', 'keep 1'],
    );
  });
  test('once carried out, nothing is left to do', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.nat(8).map(String), fc.nat(3)),
        fc.dictionary(fc.nat(8).map(String), fc.nat(3)),
        (wanted, held) => {
          const targets = Object.entries(wanted).map(([id, slot]): [number, number] => [
            Number(id),
            slot,
          ]);
          const items = new Map(
            Object.entries(held).map(([id, slot]) => [
              Number(id),
              assignment(Number(id), { slot }),
            ]),
          );
          for (const change of planChanges(
            targets.map(([id, slot]) => ({ queue: queue(id), slot })),
            [...items.values()],
            NONE,
            NOW,
          )) {
            const { queueId } = queueOf(change);
            if (change.kind === 'create' || change.kind === 'move')
              items.set(queueId, assignment(queueId, { slot: change.slot }));
            if (change.kind === 'miss')
              items.set(queueId, { ...change.assignment, absentSince: NOW });
          }
          assert.ok(
            kinds(targets, [...items.values()]).every((change) => change.startsWith('keep')),
          );
          for (const [id, slot] of targets) assert.equal(items.get(id)?.slot, slot);
        },
      ),
    );
  });
});

describe('with lingering', () => {
  const routes = new Map([['orders', [queue(0), queue(1)]]]);
  const lingering = (stored: Assignment[], unknown = NONE) =>
    [...withLingering(routes, unknown, stored, NOW).values()]
      .flat()
      .map(({ topic, queueId }) => `${topic}/${queueId}`);
  test('a queue that is missing counts until it may be retired', () => {
    const stored = [
      assignment(2),
      assignment(3, { absentSince: NOW - ABSENT_BEFORE_RETIRE_MS + 1 }),
      assignment(4, { absentSince: NOW - ABSENT_BEFORE_RETIRE_MS }),
      assignment(5, { absentSince: NOW, retiredAt: NOW }),
      assignment(0),
    ];
    assert.deepEqual(lingering(stored), ['orders/0', 'orders/1', 'orders/2', 'orders/3']);
  });
  test('the queues of a topic without readable route all count, those of a topic that is not subscribed do not', () => {
    const other = (topic: string, id: number) =>
      assignment(id, { queue: { topic, brokerName: 'broker-a', queueId: id }, absentSince: 1 });
    assert.deepEqual(lingering([other('bills', 0), other('gone', 0)], new Set(['bills'])), [
      'orders/0',
      'orders/1',
      'bills/0',
    ]);
  });
  test('leaves the routes as they were', () => {
    lingering([assignment(2)]);
    assert.equal(routes.get('orders')?.length, 2);
  });
});

describe('slots', () => {
  test('N, or as many as the widest topic has queues, at least one', () => {
    assert.equal(countSlots(3, [[queue(0)]]), 3);
    assert.equal(countSlots('queue', [[queue(0)], [queue(0), queue(1)], []]), 2);
    assert.equal(countSlots('queue', [[]]), 1);
    assert.equal(countSlots('queue', []), 1);
  });
});

describe('start position', () => {
  test('of the first meeting', () => {
    assert.deepEqual(startPosition({ startingPosition: 'TRIM_HORIZON' }, false), { at: 'min' });
    assert.deepEqual(startPosition({ startingPosition: 'LATEST' }, false), { at: 'max' });
    assert.deepEqual(
      startPosition({ startingPosition: 'AT_TIMESTAMP', startingPositionTimestamp: 7 }, false),
      {
        at: 'timestamp',
        timestamp: 7,
      },
    );
  });
  test('later queues and the retry topic begin at their first message', () => {
    for (const startingPosition of ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'] as const)
      assert.deepEqual(startPosition({ startingPosition, startingPositionTimestamp: 7 }, true), {
        at: 'min',
      });
    assert.deepEqual(startPosition(undefined, false), { at: 'min' });
  });
});
