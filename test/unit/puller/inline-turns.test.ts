import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callRights } from '../../../src/puller/call-rights.ts';
import { InlineTurns } from '../../../src/puller/inline-turns.ts';
import { NO_ORDER } from '../../../src/puller/queue-order.ts';
import { createHeldQueue, HELD_AT, namedMessage, poppedMessage } from '../../support/held-queue.ts';

const never = new AbortController().signal;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('turns of inline handlers', () => {
  test('one call at a time, in the order of the calls; handlers do not wait for each other', async () => {
    const turns = new InlineTurns();
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const enter = async (n: number) => {
      const end = await turns.enter('orders', 1, never);
      begun.push(n);
      ends.push(end as () => void);
    };
    const all = [0, 1, 2].map(enter);
    assert.ok(await turns.enter('audit', 1, never), 'another handler');
    for (const expected of [[0], [0, 1], [0, 1, 2]]) {
      await turn();
      assert.deepEqual(begun, expected);
      ends.at(-1)?.();
      ends.at(-1)?.();
    }
    await Promise.all(all);
  });

  test('as many as the event allows', async () => {
    const turns = new InlineTurns();
    const ends = await Promise.all([1, 2, 3].map(() => turns.enter('orders', 3, never)));
    let isFourth = false;
    const fourth = turns.enter('orders', 3, never).then(() => (isFourth = true));
    await turn();
    assert.equal(isFourth, false);
    ends[1]?.();
    assert.equal(await fourth, true);
  });

  test('a queue on its way out does not wait, and keeps nobody waiting', async () => {
    const turns = new InlineTurns();
    const end = await turns.enter('orders', 1, never);
    const leaving = new AbortController();
    const left = turns.enter('orders', 1, leaving.signal);
    const next = turns.enter('orders', 1, never);
    leaving.abort();
    assert.equal(await left, undefined);
    assert.equal(await turns.enter('orders', 1, leaving.signal), undefined);
    end?.();
    assert.ok(await next);
  });

  test('a call that goes on keeps its turn', async () => {
    const turns = new InlineTurns();
    const end = await turns.enter('orders', 1, never);
    const goesOn = turns.hold('orders');
    end?.();
    let isNext = false;
    const next = turns.enter('orders', 1, never).then(() => (isNext = true));
    await turn();
    assert.equal(isNext, false);
    goesOn();
    assert.equal(await next, true);
  });

  test('a call that is alone waits for all before it, and all behind it wait', async () => {
    const turns = new InlineTurns();
    const order: string[] = [];
    const ends = new Map<string, () => void>();
    const note = (name: string) => (end: (() => void) | undefined) => {
      order.push(name);
      ends.set(name, end as () => void);
    };
    const all = [
      turns.enter('orders', 1, never).then(note('orders 1')),
      turns.enter('orders', 1, never).then(note('orders 2')),
      turns.enterAlone(never).then(note('alone 1')),
      turns.enter('audit', 1, never).then(note('audit')),
      turns.enterAlone(never).then(note('alone 2')),
      turns.enter('orders', 2, never).then(note('orders 3')),
    ];
    for (const expected of ['orders 1', 'orders 2', 'alone 1', 'audit', 'alone 2', 'orders 3']) {
      await turn();
      assert.equal(order.at(-1), expected);
      // The call that is alone has a turn as any other.
      if (expected.startsWith('alone')) turns.hold('orders')();
      await turn();
      assert.equal(order.at(-1), expected);
      ends.get(expected)?.();
    }
    await Promise.all(all);
  });

  test('a call that was to be alone, and leaves, keeps nobody waiting', async () => {
    const turns = new InlineTurns();
    const end = await turns.enter('orders', 1, never);
    const leaving = new AbortController();
    const left = turns.enterAlone(leaving.signal);
    const behind = turns.enter('audit', 1, never);
    leaving.abort();
    assert.equal(await left, undefined);
    assert.ok(await behind);
    end?.();
  });

  test('queues of one process share the turns; handlers that are functions need none', async () => {
    const inlineTurns = new InlineTurns();
    const lifecycle = { isLost: false, signal: () => never };
    const [one, other] = [0, 1].map((queueId) =>
      callRights({
        queue: { topic: 'orders', brokerName: 'broker-a', queueId },
        ...{ lifecycle, order: NO_ORDER, inlineTurns },
      }),
    );
    const handler = { functionKey: 'orders', functionName: 'shop-dev-orders', timeout: 6 };
    const inline = { topic: 'orders', handler: { ...handler, invocation: 'inline' } } as never;
    const called = { topic: 'orders', handler: { ...handler, invocation: 'function' } } as never;
    const release = await one?.permit(inline, false);
    let isNext = false;
    const next = other?.permit(inline, false).then(() => (isNext = true));
    assert.ok(await other?.permit(called, false));
    await turn();
    assert.equal(isNext, false);
    release?.();
    assert.equal(await next, true);
  });

  test('a popping queue that drains, and whose turn is taken, waits before it tries again', async () => {
    const inlineTurns = new InlineTurns();
    inlineTurns.hold('handler');
    const popped = [poppedMessage(namedMessage('a', 0), HELD_AT)];
    const world = createHeldQueue({
      source: { mode: 'pop' },
      deps: { inlineTurns },
      client: {
        pop: async () =>
          popped.length === 0
            ? new Promise(() => {})
            : { messages: popped.splice(0), filteredOut: [], undecodable: [], full: false },
      },
    });
    const { held } = world;
    void held.fetching.run(100);
    await turn();
    const { work } = held.nextBatch();
    assert(work?.kind === 'batch');
    held.lifecycle.stop('signal');
    assert.equal(held.fetching.delivers, true);
    const result = await held.callHandler(work, false, undefined);
    assert(result.kind === 'no-verdict');
    assert.ok(result.notBefore > world.now());
  });
});
