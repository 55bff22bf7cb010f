import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DispatchRules,
  INVOCATION_VALID_MS,
  type Invoked,
  type QueueFacts,
  SUCCESSION_WINDOW_MS,
  standing,
  whichToInvoke,
} from '../../../src/decide/dispatch/which-to-invoke.ts';
import type { Assignment } from '../../../src/model/assignment.ts';
import { queueKey } from '../../../src/model/message-queue.ts';
import { assignment, lease } from '../../support/assignments.ts';

const NOW = 100_000;
const key = (id: number) => queueKey(assignment(id).queue);

function dispatch(
  items: Assignment[],
  facts: Record<number, QueueFacts>,
  {
    invoked = {},
    pullers = 'queue',
    ...rules
  }: { invoked?: Record<number, Invoked>; pullers?: 'queue' | number } & DispatchRules = {},
) {
  const byKey = <T>(values: Record<number, T>) =>
    new Map(Object.entries(values).map(([id, value]) => [key(Number(id)), value]));
  const { requests, idle } = whichToInvoke(
    items,
    byKey(facts),
    byKey(invoked),
    pullers,
    NOW,
    rules,
  );
  return {
    requests: requests.map(({ slot, queues }) => [slot, queues.map(({ queueId }) => queueId)]),
    idle: idle.map(({ queue }) => queue.queueId),
  };
}

describe('standing', () => {
  test('free: never held, released, ended', () => {
    assert.equal(standing(assignment(0), NOW), 'free');
    assert.equal(standing(assignment(0, { lease: lease({ leaseUntil: NOW - 1 }) }), NOW), 'free');
    assert.equal(standing(assignment(0, { lease: lease({ leaseUntil: NOW }) }), NOW), 'held');
  });
  test('resting: retired, long absent or paused, also with a lease; a pause ends by itself', () => {
    assert.equal(standing(assignment(0, { retiredAt: 1, lease: lease() }), NOW), 'resting');
    assert.equal(standing(assignment(0, { absentSince: NOW - 39_999 }), NOW), 'free');
    assert.equal(standing(assignment(0, { absentSince: NOW - 40_000 }), NOW), 'resting');
    assert.equal(standing(assignment(0, { pausedUntil: NOW }), NOW), 'resting');
    assert.equal(standing(assignment(0, { pausedUntil: NOW - 1 }), NOW), 'free');
  });
  test('succession: the holder ends within the window, unless somebody waits already', () => {
    const ending = lease({
      leaseUntil: NOW + 1_000,
      endsAt: NOW + SUCCESSION_WINDOW_MS,
      acquiredAt: NOW - 800_000,
    });
    assert.equal(standing(assignment(0, { lease: ending }), NOW), 'succession');
    assert.equal(
      standing(assignment(0, { lease: { ...ending, endsAt: ending.endsAt + 1 } }), NOW),
      'held',
    );
    assert.equal(
      standing(assignment(0, { lease: ending, successor: { holder: 'B', until: NOW } }), NOW),
      'held',
    );
    assert.equal(
      standing(assignment(0, { lease: ending, successor: { holder: 'B', until: NOW - 1 } }), NOW),
      'succession',
    );
  });
  test('a short-lived holder works two thirds of its life before it is succeeded', () => {
    const short = (age: number) =>
      lease({ acquiredAt: NOW - age, endsAt: NOW - age + 30_000, leaseUntil: NOW + 1 });
    assert.equal(standing(assignment(0, { lease: short(19_000) }), NOW), 'held');
    assert.equal(standing(assignment(0, { lease: short(20_000) }), NOW), 'succession');
  });
  test('succession: so much earlier where somebody looks so much less often', () => {
    const endsIn = (ms: number) =>
      assignment(0, {
        lease: lease({ leaseUntil: NOW + 1_000, endsAt: NOW + ms, acquiredAt: NOW - 800_000 }),
      });
    assert.equal(
      standing(endsIn(SUCCESSION_WINDOW_MS + 60_000), NOW, { lookEveryMs: 60_000 }),
      'succession',
    );
    assert.equal(
      standing(endsIn(SUCCESSION_WINDOW_MS + 60_001), NOW, { lookEveryMs: 60_000 }),
      'held',
    );
    assert.equal(standing(endsIn(SUCCESSION_WINDOW_MS + 60_000), NOW), 'held');
  });
  test('succession: the holder is of another slot', () => {
    assert.equal(standing(assignment(0, { slot: 1, lease: lease() }), NOW), 'succession');
    assert.equal(
      standing(assignment(0, { lease: lease({ settings: 'old' }) }), NOW, { settings: 'new' }),
      'succession',
    );
    assert.equal(
      standing(assignment(0, { lease: lease({ settings: 'new' }) }), NOW, { settings: 'new' }),
      'held',
    );
    assert.equal(standing(assignment(0, { lease: lease() }), NOW, { settings: 'new' }), 'held');
  });
});

describe('which to invoke', () => {
  test('free queues with messages or without an offset; the others are idle, or could not be asked', () => {
    const items = [0, 1, 2, 3, 4].map((id) => assignment(id));
    const facts = {
      0: { committed: 5n, max: 9n },
      1: { committed: undefined, max: 0n },
      2: { committed: 9n, max: 9n },
      3: { committed: 9n, max: undefined },
    };
    assert.deepEqual(dispatch(items, facts), {
      requests: [
        [0, [0]],
        [0, [1]],
      ],
      idle: [2, 3],
    });
  });
  test('an offset above the maximum is for a puller to set right', () => {
    assert.deepEqual(dispatch([assignment(0)], { 0: { committed: 9n, max: 3n } }).requests, [
      [0, [0]],
    ]);
  });
  test('held and resting queues are left alone whatever the facts', () => {
    const facts = { 0: { committed: 0n, max: 9n }, 1: { committed: 0n, max: 9n } };
    assert.deepEqual(
      dispatch([assignment(0, { lease: lease() }), assignment(1, { retiredAt: 1 })], facts),
      { requests: [], idle: [] },
    );
  });
  test('a request per queue, or per slot when pullers is a number', () => {
    const items = [
      assignment(2, { slot: 1 }),
      assignment(0),
      assignment(3, { slot: 0 }),
      assignment(1, { slot: 1 }),
    ];
    const work = { committed: 0n, max: 1n };
    const facts = { 0: work, 1: work, 2: work, 3: work };
    assert.deepEqual(dispatch(items, facts).requests, [
      [0, [0]],
      [1, [1]],
      [1, [2]],
      [0, [3]],
    ]);
    assert.deepEqual(dispatch(items, facts, { pullers: 2 }).requests, [
      [0, [0, 3]],
      [1, [1, 2]],
    ]);
  });
  test('not again while the last invocation may still arrive', () => {
    const work = { 0: { committed: 3n, max: 9n } };
    const at = (ago: number) => ({ invoked: { 0: { at: NOW - ago, fence: 1, committed: 3n } } });
    assert.deepEqual(dispatch([assignment(0)], work, at(INVOCATION_VALID_MS - 1)).requests, []);
    assert.deepEqual(dispatch([assignment(0)], work, at(INVOCATION_VALID_MS)).requests, [[0, [0]]]);
  });
  test('again at once when its puller came, made progress and went; not when it made none', () => {
    const invoked = { 0: { at: NOW - 1, fence: 1, committed: 3n } };
    const came = assignment(0, { fence: 2 });
    assert.deepEqual(dispatch([came], { 0: { committed: 4n, max: 9n } }, { invoked }).requests, [
      [0, [0]],
    ]);
    assert.deepEqual(dispatch([came], { 0: { committed: 3n, max: 9n } }, { invoked }).requests, []);
    assert.deepEqual(
      dispatch([assignment(0)], { 0: { committed: 4n, max: 9n } }, { invoked }).requests,
      [],
    );
  });
  test('a succession is asked for once per validity, with the slot that the queue belongs to now', () => {
    const moved = assignment(0, { slot: 3, lease: lease() });
    assert.deepEqual(dispatch([moved], {}).requests, [[3, [0]]]);
    assert.deepEqual(
      dispatch([moved], {}, { invoked: { 0: { at: NOW - 1, fence: 1, committed: undefined } } })
        .requests,
      [],
    );
  });
  test('a queue that always has a puller has one without messages too', () => {
    const idle = { 0: { committed: 9n, max: 9n } };
    assert.deepEqual(dispatch([assignment(0)], idle), { requests: [], idle: [0] });
    assert.deepEqual(dispatch([assignment(0)], idle, { always: true }), {
      requests: [[0, [0]]],
      idle: [],
    });
  });
  test('few messages wait until the first of them is old; more do not, nor does a queue without offset, nor a redelivery', () => {
    const activation = { lagThreshold: 10n, maxMessageAgeMs: 30_000 };
    const invokes = (facts: QueueFacts, item = assignment(0)) => {
      const { requests, idle } = dispatch([item], { 0: facts }, { activation });
      assert.deepEqual(idle, []);
      return requests.length > 0;
    };
    assert.equal(invokes({ committed: 0n, max: 10n, waitingSince: NOW - 29_999 }), false);
    assert.equal(invokes({ committed: 0n, max: 10n, waitingSince: NOW - 30_000 }), true);
    assert.equal(invokes({ committed: 0n, max: 11n, waitingSince: NOW }), true);
    assert.equal(invokes({ committed: 0n, max: 1n }), true, 'the age is not known');
    assert.equal(invokes({ committed: undefined, max: 1n }), true);
    assert.equal(
      invokes({ committed: 9n, max: 3n, waitingSince: NOW }),
      true,
      'the offset is wrong',
    );
    const retry = assignment(0);
    const { requests } = whichToInvoke(
      [{ ...retry, queue: { ...retry.queue, topic: '%RETRY%workers' } }],
      new Map([['%RETRY%workers/broker-a/0', { committed: 0n, max: 1n, waitingSince: NOW }]]),
      new Map(),
      'queue',
      NOW,
      { activation },
    );
    assert.equal(requests.length, 1);
  });
});
