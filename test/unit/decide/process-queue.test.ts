import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProcessQueue, type QueueEntry } from '../../../src/decide/process-queue/process-queue.ts';
import type { UndecodableRecord } from '../../../src/model/message.ts';
import { messageAt } from '../../support/records.ts';

function takeAll(queue: ProcessQueue, now = 0): QueueEntry[] {
  const taken: QueueEntry[] = [];
  for (let entry = queue.peek(now); entry !== undefined; entry = queue.peek(now)) {
    queue.take(entry);
    taken.push(entry);
  }
  return taken;
}

function filled(...offsets: number[]): { queue: ProcessQueue; entries: QueueEntry[] } {
  const queue = new ProcessQueue(BigInt(offsets[0] ?? 0));
  queue.put(
    offsets.map((offset) => messageAt(offset)),
    [],
    BigInt((offsets.at(-1) ?? 0) + 1),
  );
  return { queue, entries: takeAll(queue) };
}

function undecodable(offset: number): UndecodableRecord {
  return {
    queueId: 0,
    queueOffset: BigInt(offset),
    commitLogOffset: 0n,
    reconsumeTimes: 0,
    offsetMsgId: '',
    error: new Error('damaged'),
  };
}

describe('ProcessQueue', () => {
  it('the lowest unfinished offset holds the commit back, whatever is done above it', () => {
    const { queue, entries } = filled(10, 11, 12);
    queue.settle(entries[2] as QueueEntry);
    queue.settle(entries[1] as QueueEntry);
    assert.deepEqual([queue.committable, queue.doneAhead], [10n, 2]);
    queue.settle(entries[0] as QueueEntry);
    assert.deepEqual([queue.committable, queue.doneAhead], [13n, 0]);
  });

  it('filtered gaps advance the commit when nothing is unfinished, and not before', () => {
    const { queue, entries } = filled(5);
    queue.advance(90n);
    assert.equal(queue.committable, 5n);
    queue.settle(entries[0] as QueueEntry);
    assert.equal(queue.committable, 90n);
    queue.advance(80n);
    assert.equal(queue.nextOffset, 90n);
  });

  it('undecodable records keep their place among the messages', () => {
    const queue = new ProcessQueue(0n);
    queue.put([messageAt(0), messageAt(2)], [undecodable(1), undecodable(3)], 4n);
    assert.deepEqual(
      takeAll(queue).map(({ offset, message }) => [offset, message !== undefined]),
      [
        [0n, true],
        [1n, false],
        [2n, true],
        [3n, false],
      ],
    );
  });

  it('passes over what a repeated pull brings again, also what is done already', () => {
    const { queue, entries } = filled(0, 1, 2);
    queue.put([messageAt(1), messageAt(2), messageAt(3)], [], 4n);
    assert.equal(queue.count, 4);
    for (const entry of [...entries, ...takeAll(queue)]) queue.settle(entry);
    queue.put([messageAt(3)], [], 4n);
    assert.equal(queue.count, 0);
  });

  it('a message that is given back waits for its time, comes before newer ones, and counts the failure', () => {
    const { queue, entries } = filled(0, 1);
    queue.put([messageAt(2)], [], 3n);
    queue.giveBack(entries[1] as QueueEntry, 5_000, true);
    queue.giveBack(entries[0] as QueueEntry, 5_000, false);
    assert.equal(queue.peek(4_999)?.offset, 2n);
    assert.deepEqual(
      takeAll(queue, 5_000).map(({ offset, localRetries }) => [offset, localRetries]),
      [
        [0n, 0],
        [1n, 1],
        [2n, 0],
      ],
    );
  });

  it('after a drop nothing from before counts: no settling, no giving back', () => {
    const { queue, entries } = filled(100, 101);
    const [first, second] = entries as [QueueEntry, QueueEntry];
    const before = queue.generation;
    queue.dropAll(40n);
    assert.notEqual(queue.generation, before);
    assert.deepEqual(
      [queue.expects(first), queue.settle(first), queue.giveBack(second, 0, true)],
      [false, false, false],
    );
    assert.deepEqual(
      [queue.committable, queue.nextOffset, queue.count, queue.bytes, queue.taken],
      [40n, 40n, 0, 0, 0],
    );
    queue.put([messageAt(40)], [], 41n);
    assert.equal(queue.peek(0)?.offset, 40n);
  });

  it('settles once', () => {
    const { queue, entries } = filled(0, 1);
    assert.equal(queue.settle(entries[1] as QueueEntry), true);
    assert.equal(queue.settle(entries[1] as QueueEntry), false);
    assert.equal(queue.count, 1);
  });

  it('tells count, bytes and span for flow control, and lets go of the bytes of what is done', () => {
    const { queue, entries } = filled(0, 1, 2_500);
    const body = messageAt(0).body.length;
    assert.deepEqual([queue.count, queue.bytes, queue.span], [3, 3 * body, 2_500]);
    queue.settle(entries[1] as QueueEntry);
    assert.deepEqual([queue.count, queue.bytes, queue.span], [2, 2 * body, 2_500]);
    assert.equal((entries[1] as QueueEntry).message, undefined);
  });
});
