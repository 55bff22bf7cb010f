import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { QueueEntry } from '../../../src/decide/process-queue/process-queue.ts';
import type { PopHandle, PoppedMessage } from '../../../src/model/pop.ts';
import { PoppedMessages } from '../../../src/puller/popped-messages.ts';

const INVISIBLE_MS = 60_000;
/** 5 s before the end of the time, a message is nobody's for sure. */
const OVER_AT = 56_000;

describe('the end of a popped message while its time is being prolonged', () => {
  let now: number;
  let answer: PromiseWithResolvers<PopHandle>;
  let told: PopHandle[];
  let popped: PoppedMessages;
  const handle = { queueOffset: 7n, invisibleTime: BigInt(INVISIBLE_MS) } as PopHandle;
  const entry = { offset: 7n } as QueueEntry;
  const finish = () => popped.finish(entry, async (current) => void told.push(current));

  beforeEach(() => {
    now = 0;
    told = [];
    answer = Promise.withResolvers();
    popped = new PoppedMessages({
      clock: { now: () => now },
      client: { changeInvisibleTime: () => answer.promise },
      options: { popInvisibleMs: INVISIBLE_MS },
      source: { consumerGroup: 'workers' },
      queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
      messages: { append: (record: PoppedMessage) => record.handle.queueOffset },
      logger: { warn: () => {} },
      lifecycle: { isLost: false, signal: () => new AbortController().signal },
      lease: { mayAct: () => true },
    } as unknown as ConstructorParameters<typeof PoppedMessages>[0]);
    popped.put([{ handle } as PoppedMessage], 0);
    now = 50_000;
    popped.prolong();
    now = OVER_AT;
  });

  it('is told with the new handle, though the old time is over', async () => {
    const ended = finish();
    const renewed = { ...handle, popTime: 50_000n };
    answer.resolve(renewed);
    assert.equal(await ended, true);
    assert.deepEqual(told, [renewed]);
  });

  it('is not told when its time was not prolonged', async () => {
    const ended = finish();
    answer.reject(new Error('no answer'));
    assert.equal(await ended, false);
    assert.deepEqual(told, []);
  });
});
