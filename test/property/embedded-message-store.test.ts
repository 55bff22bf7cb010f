import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { GetResult, StoredMessage } from '../../src/testing/broker/message-store.ts';
import { createMessageStore } from '../../src/testing/broker/message-store.ts';

const TOPIC = 'topic';

interface Put {
  readonly size: number;
  readonly tag: number;
}

function storeOf(puts: readonly Put[], trimmed: number) {
  const arrived: StoredMessage[] = [];
  const store = createMessageStore({
    delayLevels: [],
    encode: ({ body }) => body,
    tagsCode: Number,
    offsetMsgId: String,
    now: () => 0,
    onAppend: (message) => arrived.push(message),
  });
  for (const { size, tag } of puts) {
    const properties = new Map([['TAGS', String(tag)]]);
    const bornHost = { address: '127.0.0.1', port: 1 };
    const rest = { flag: 0, sysFlag: 0, bornTimestamp: 0, bornHost, reconsumeTimes: 0 };
    store.put({ topic: TOPIC, queueId: 0, body: Buffer.alloc(size), properties, ...rest });
  }
  store.trim(TOPIC, 0, trimmed);
  return { store, arrived };
}

/** The rules of a pull said once more, the slow way: walk the offsets one by one. */
function slowly(
  puts: readonly Put[],
  min: number,
  offset: number,
  maxMessages: number,
  tag: number,
): Pick<GetResult, 'status'> & { next: number; offsets: number[] } {
  const max = puts.length;
  if (max === 0) return { status: 'NO_MESSAGE_IN_QUEUE', next: 0, offsets: [] };
  if (offset < min) return { status: 'OFFSET_TOO_SMALL', next: min, offsets: [] };
  if (offset === max) return { status: 'OFFSET_OVERFLOW_ONE', next: offset, offsets: [] };
  if (offset > max) return { status: 'OFFSET_OVERFLOW_BADLY', next: max, offsets: [] };
  const offsets: number[] = [];
  let bytes = 0;
  let next = offset;
  while (next < max && next - offset < Math.max(800, maxMessages)) {
    const { size, tag: own } = puts[next] as Put;
    const enough =
      offsets.length === maxMessages || offsets.length === 32 || bytes + size > 262_144;
    if (offsets.length > 0 && enough) break;
    if (own === tag) {
      offsets.push(next);
      bytes += size;
    }
    next++;
  }
  return { status: offsets.length > 0 ? 'FOUND' : 'NO_MATCHED_MESSAGE', next, offsets };
}

const put = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 50_000, max: 300_000 })),
  tag: fc.integer({ min: 0, max: 2 }),
});

describe('the embedded message store', () => {
  it('gets what a walk over the offsets would get', () => {
    const inputs = fc.record({
      puts: fc.array(put, { maxLength: 60 }),
      trimmed: fc.nat(20),
      offset: fc.integer({ min: -2, max: 65 }),
      maxMessages: fc.integer({ min: 1, max: 40 }),
      tag: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(inputs, ({ puts, trimmed, offset, maxMessages, tag }) => {
        const { store } = storeOf(puts, trimmed);
        const min = Math.min(trimmed, puts.length);
        const expected = slowly(puts, min, offset, maxMessages, tag);
        const got = store.get(TOPIC, 0, BigInt(offset), maxMessages, (code) => code === tag);
        assert.deepEqual(
          {
            status: got.status,
            next: Number(got.nextBeginOffset),
            offsets: got.messages.map((message) => message.queueOffset),
          },
          expected,
        );
        assert.deepEqual([got.minOffset, got.maxOffset], [BigInt(min), BigInt(puts.length)]);
      }),
    );
  });

  it('following nextBeginOffset passes every matching message exactly once', () => {
    fc.assert(
      fc.property(
        fc.array(put, { maxLength: 80 }),
        fc.integer({ min: 1, max: 40 }),
        (puts, maxMessages) => {
          const { store } = storeOf(puts, 0);
          const seen: number[] = [];
          for (let offset = 0n; ; ) {
            const result = store.get(TOPIC, 0, offset, maxMessages, (code) => code === 1);
            seen.push(...result.messages.map((message) => message.queueOffset));
            if (result.status !== 'FOUND' && result.status !== 'NO_MATCHED_MESSAGE') break;
            assert(result.nextBeginOffset > offset);
            offset = result.nextBeginOffset;
          }
          assert.deepEqual(
            seen,
            puts.flatMap(({ tag }, index) => (tag === 1 ? [index] : [])),
          );
        },
      ),
    );
  });

  it('finds every message again by its place in the log, until it is trimmed', () => {
    fc.assert(
      fc.property(fc.array(put, { maxLength: 40 }), fc.nat(40), (puts, trimmed) => {
        const { store, arrived } = storeOf(puts, trimmed);
        for (const message of arrived) {
          const expected = message.queueOffset < trimmed ? undefined : message;
          assert.equal(store.atPhysicalOffset(BigInt(message.physicalOffset)), expected);
        }
        const ends = arrived.map((message) => message.physicalOffset + message.record.length);
        assert.deepEqual(
          arrived.slice(1).map((message) => message.physicalOffset),
          ends.slice(0, -1),
        );
      }),
    );
  });
});
