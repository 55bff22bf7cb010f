import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FILL_MS } from '../../../src/decide/batch/batching-window.ts';
import type { UndecodableRecord } from '../../../src/model/message.ts';
import type { PopResult } from '../../../src/ports/rocketmq.ts';
import type { Chosen } from '../../../src/puller/next-batch.ts';
import { createHeldQueue, HELD_AT, namedMessage, poppedMessage } from '../../support/held-queue.ts';

const offsets = ({ work }: Chosen): number[] | undefined =>
  work?.kind === 'batch' ? work.deliveries.map(({ entry }) => Number(entry.offset)) : undefined;
const messages = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => namedMessage(`m${from + index}`, from + index));

describe('a batch of a backlog', () => {
  test('waits for the next pull, 2 s at most, counted from when it could have gone', () => {
    const { held, now, pass } = createHeldQueue({ subscription: { batchSize: 3 } });
    held.messages.put(messages(0, 2), [], 2n, HELD_AT);
    held.known.pulled(100n);
    pass(60_000);
    assert.equal(offsets(held.nextBatch()), undefined);
    assert.equal(held.windowEnd(), now() + FILL_MS);
    pass(FILL_MS - 1);
    assert.equal(offsets(held.nextBatch()), undefined);
    held.messages.put(messages(2, 3), [], 3n, HELD_AT);
    assert.deepEqual(offsets(held.nextBatch()), [0, 1, 2]);
    held.messages.put(messages(3, 4), [], 4n, HELD_AT);
    assert.equal(offsets(held.nextBatch()), undefined);
    pass(FILL_MS);
    const chosen = held.nextBatch();
    assert.deepEqual(offsets(chosen), [3]);
    assert(chosen.work?.kind === 'batch');
    assert.equal(chosen.work.filledSince, now() - FILL_MS);
  });

  for (const [name, change] of [
    ['the broker has no more', (held: Held) => held.known.pulled(2n)],
    ['the broker is away', (held: Held) => held.activity.failed()],
    ['the queue drains', (held: Held) => held.lifecycle.stop('signal')],
  ] as const)
    test(`does not wait when ${name}`, () => {
      const { held } = createHeldQueue({ subscription: { batchSize: 3 } });
      held.messages.put(messages(0, 2), [], 2n, HELD_AT);
      held.known.pulled(100n);
      assert.equal(offsets(held.nextBatch()), undefined);
      change(held);
      assert.deepEqual(offsets(held.nextBatch()), [0, 1]);
    });

  test('does not wait when the invocation has no time for it', () => {
    const { held, leave } = createHeldQueue({ subscription: { batchSize: 3 } });
    held.messages.put(messages(0, 2), [], 2n, HELD_AT);
    held.known.pulled(100n);
    leave(1_000);
    assert.deepEqual(offsets(held.nextBatch()), [0, 1]);
  });

  test('goes on over what no handler gets; its end comes first', () => {
    const { held } = createHeldQueue({ subscription: { batchSize: 3 } });
    const undecodable = {
      ...{ queueOffset: 1n, offsetMsgId: '', error: new Error('damaged') },
    } as UndecodableRecord;
    held.messages.put([...messages(0, 1), ...messages(2, 4)], [undecodable], 4n, HELD_AT);
    const { work } = held.nextBatch();
    assert(work?.kind === 'unhandled');
    assert.equal(work.entry.offset, 1n);
    assert.deepEqual(offsets(held.nextBatch()), [0, 2, 3]);
  });

  test('is full in mode pop, as long as the broker says that it has more', async () => {
    const pops: PopResult[] = [popped(0, 2, 7), popped(2, 3, 6), popped(3, 4, 0)];
    const next: (() => void)[] = [];
    const { held } = createHeldQueue({
      source: { mode: 'pop' },
      subscription: { batchSize: 3 },
      client: {
        pop: () =>
          new Promise((resolve) => {
            next.push(() => resolve(pops.shift() as PopResult));
          }),
      },
    });
    void held.fetching.run(100);
    const pop = async (): Promise<void> => {
      next.shift()?.();
      await turn();
    };
    await turn();
    await pop();
    assert.equal(offsets(held.nextBatch()), undefined);
    await pop();
    assert.deepEqual(offsets(held.nextBatch()), [0, 1, 2]);
    await pop();
    assert.deepEqual(offsets(held.nextBatch()), [3]);
  });
});

type Held = ReturnType<typeof createHeldQueue>['held'];

function popped(from: number, to: number, rest: number): PopResult {
  return {
    messages: messages(from, to).map((message) => poppedMessage(message, HELD_AT)),
    ...{ filteredOut: [], undecodable: [], full: false, rest },
  };
}
