import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { uptimeMs } from '../../../src/decide/offset/broker-uptime.ts';
import {
  type ItemOffsets,
  isSetBack,
  settledAbove,
} from '../../../src/decide/offset/settled-above.ts';
import { startOffset } from '../../../src/decide/offset/start-offset.ts';
import { offsetOf } from '../../../src/queue/valid-offset.ts';

const CONFIRMED = 1_000_000;
const ITEM: ItemOffsets = {
  committedOffset: 100n,
  confirmedAt: CONFIRMED,
  progressAt: CONFIRMED - 1_000,
  heldUntil: CONFIRMED + 5_000,
  lifeMark: { offset: 120n, storedAt: 900_000 },
};
const RESTARTED = CONFIRMED + 1;

describe('a stored offset below the one that the item has as confirmed', () => {
  test('is lost commits when the broker was started after the confirmation', () => {
    assert.equal(settledAbove(90n, ITEM, RESTARTED), 100n);
    assert.equal(settledAbove(90n, { ...ITEM, settledOffset: 110n }, RESTARTED), 110n);
  });
  for (const [why, item, startedAt] of [
    ['the broker was not started since', ITEM, CONFIRMED],
    ['the broker does not report when it was started', ITEM, undefined],
    [
      'the broker had time to persist the commit',
      { ...ITEM, progressAt: CONFIRMED - 10_001 },
      RESTARTED,
    ],
    ['the queue was paused since', { ...ITEM, heldUntil: undefined }, RESTARTED],
    ['an operator wrote the offset', { ...ITEM, confirmedAt: undefined }, RESTARTED],
    ['no message of the queue is known', { ...ITEM, lifeMark: undefined }, RESTARTED],
  ] as const)
    test(`counts when ${why}`, () => {
      const { heldUntil, confirmedAt, lifeMark, ...rest } = item;
      const present = {
        ...rest,
        ...(heldUntil !== undefined && { heldUntil }),
        ...(confirmedAt !== undefined && { confirmedAt }),
        ...(lifeMark !== undefined && { lifeMark }),
      };
      assert.equal(settledAbove(90n, present, startedAt), undefined);
      assert.equal(settledAbove(90n, { ...present, settledOffset: 110n }, startedAt), undefined);
    });
});

describe('a lower stored offset is another client’s decision', () => {
  const persisted = { ...ITEM, progressAt: CONFIRMED - 10_001 };
  const { confirmedAt: _, ...ofAnEarlierRelease } = ITEM;
  for (const [what, expected, stored, item, startedAt] of [
    ['the broker was not started since', true, 90n, ITEM, CONFIRMED],
    ['the broker had persisted the commit', true, 90n, persisted, undefined],
    ['the broker had persisted the commit, and was started since', true, 90n, persisted, RESTARTED],
    ['the broker was started since', false, 90n, ITEM, RESTARTED],
    ['the broker does not report when it was started', false, 90n, ITEM, undefined],
    ['nobody noted the confirmation', false, 90n, ofAnEarlierRelease, CONFIRMED],
    ['it is not lower', false, 100n, ITEM, CONFIRMED],
    ['there is none', false, undefined, ITEM, CONFIRMED],
  ] as const)
    test(`${what}: ${expected}`, () => assert.equal(isSetBack(stored, item, startedAt), expected));
});

describe('what the last holder settled and could not commit', () => {
  const item = { ...ITEM, settledOffset: 110n };
  test('counts while the stored offset is the confirmed one, or a commit without an answer', () => {
    assert.equal(settledAbove(100n, item, undefined), 110n);
    assert.equal(settledAbove(105n, item, undefined), 110n);
  });
  test('does not count once the group has gone on, or was set back', () => {
    assert.equal(settledAbove(110n, item, undefined), undefined);
    assert.equal(settledAbove(200n, item, undefined), undefined);
    assert.equal(settledAbove(99n, item, undefined), undefined);
  });
});

test('of any item: an offset above what is settled never counts', () => {
  const offset = fc.bigInt({ min: 0n, max: 50n });
  fc.assert(
    fc.property(offset, offset, offset, fc.boolean(), (stored, committed, more, restarted) => {
      const settledOffset = committed + more;
      const item = { ...ITEM, committedOffset: committed, settledOffset };
      const settled = settledAbove(stored, item, restarted ? RESTARTED : CONFIRMED);
      if (settled === undefined) return;
      assert.ok(settled > stored && settled <= settledOffset);
      assert.ok(restarted || stored >= committed);
    }),
  );
});

describe('a start at a settled offset', () => {
  const facts = {
    stored: 90n,
    committed: 100n,
    settled: 110n,
    start: 0n,
    mark: { offset: 120n, storedAt: 900 },
    knownMax: undefined,
    range: { min: 0n, max: 500n, firstStoredAt: 1 },
  };
  const begin = (found: bigint) =>
    offsetOf(
      { searchOffset: async (_queue, time) => (time === 901 ? found : 0n) },
      { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
      startOffset(facts),
      facts.range,
    );
  test('passes no message that is younger than any that a holder was given', async () => {
    assert.equal(await begin(121n), 110n);
    assert.equal(await begin(105n), 105n, 'the broker lost messages too');
    assert.equal(await begin(50n), 90n, 'never below the stored offset');
  });
  test('is checked like any other', () => {
    const inLife = { ...facts, mark: { offset: 90n, storedAt: 0 } };
    assert.equal(startOffset(inLife).kind, 'minimum', 'another life');
    const range = { min: 120n, max: 500n, firstStoredAt: 1 };
    assert.equal(startOffset({ ...facts, range }).kind, 'minimum', 'expired');
  });
});

test('the uptime of a broker is read from its runtime info', () => {
  const info = new Map([['runtime', '[ 1 days, 2 hours, 3 minutes, 4 seconds ]']]);
  assert.equal(uptimeMs(info), 93_784_000);
  assert.equal(uptimeMs(new Map([['runtime', 'a while']])), undefined);
  assert.equal(uptimeMs(new Map()), undefined);
});
