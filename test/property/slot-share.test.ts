import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createSlotShare } from '../../src/puller/slot-share.ts';

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a slot’s share of handler calls', () => {
  it('is never passed and never lost, whoever asks, gives back or goes', async () => {
    const step = fc.record({
      what: fc.constantFrom('ask', 'ask', 'release', 'abort'),
      queue: fc.nat(3),
      index: fc.nat(30),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 60 }),
        async (limit, steps) => {
          const share = createSlotShare(new Map([['t', limit]]));
          const held: (() => void)[] = [];
          const waiting: AbortController[] = [];
          for (const { what, queue, index } of steps) {
            if (what === 'ask') {
              const controller = new AbortController();
              waiting.push(controller);
              void share.permit('t', String(queue), controller.signal).then((release) => {
                waiting.splice(waiting.indexOf(controller), 1);
                if (release !== undefined) held.push(release);
              });
            } else if (what === 'release') held.splice(index % Math.max(1, held.length), 1)[0]?.();
            else waiting[index % Math.max(1, waiting.length)]?.abort();
            await settled();
            assert.ok(held.length <= limit);
            if (waiting.length > 0)
              assert.equal(held.length, limit, 'nobody waits while a right is free');
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('goes round: a queue that asks once is not behind all that another one asked before', async () => {
    const share = createSlotShare(new Map([['t', 1]]));
    const order: string[] = [];
    const first = await share.permit('t', 'a', never);
    for (const queue of ['a', 'a', 'a', 'b', 'c', 'b'])
      void share.permit('t', queue, never).then((release) => {
        order.push(queue);
        setImmediate(() => release?.());
      });
    first?.();
    while (order.length < 6) await settled();
    assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'a']);
  });

  it('has no limit for other topics, and calls nobody once it is closed', async () => {
    const share = createSlotShare(new Map([['t', 1]]));
    assert.ok(await share.permit('other', 'a', never));
    await share.permit('t', 'a', never);
    const waits = share.permit('t', 'b', never);
    share.close();
    assert.deepEqual(
      [await waits, await share.permit('other', 'a', never)],
      [undefined, undefined],
    );
  });

  it('is given back when all queues are idle, and not before', () => {
    const share = createSlotShare(new Map());
    assert.equal(share.allIdle('a', true), true);
    assert.equal(share.allIdle('b', false), false);
    assert.equal(share.allIdle('a', true), false);
    share.leave('b');
    assert.equal(share.allIdle('a', true), true);
  });
});
