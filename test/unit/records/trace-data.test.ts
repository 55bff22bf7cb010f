import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../../src/model/message.ts';
import { subAfter, subBefore, TraceCode, tracedMessage } from '../../../src/records/trace-data.ts';
import { jsonLines, runJava } from '../../support/java.ts';
import { missingStack } from '../../support/stack.ts';

const message = (properties: Record<string, string>): Message =>
  ({
    msgId: 'AC11',
    reconsumeTimes: 2,
    properties: new Map(Object.entries(properties)),
  }) as unknown as Message;
const context = { timestamp: 1_700_000_000_123, consumerGroup: 'workers', requestId: 'R1' };

describe('trace data', () => {
  it('separators in an id or a key make no fields and no records', () => {
    const msgId = 'VICTIM\u00011\u0001true\u0001k\u00010\u0002SubAfter\u0001R';
    const traced = { msgId, keys: 'k\u00010\u0002x', regionId: 'r\u0002', reconsumeTimes: 0 };
    const after = { ...context, costMs: 1, code: TraceCode.SUCCESS };
    for (const { data } of [subBefore(traced, context), subAfter(traced, after)]) {
      const plain = { msgId: 'A', keys: 'k', regionId: 'r', reconsumeTimes: 0 };
      const honest = [subBefore(plain, context), subAfter(plain, after)].find(
        (one) => one.data.slice(0, 6) === data.slice(0, 6),
      )?.data;
      assert.equal(data.split('\u0001').length, honest?.split('\u0001').length);
      assert.equal(data.split('\u0002').length, 2);
    }
  });

  it('is what a message says of itself', () => {
    assert.deepEqual(
      tracedMessage(message({ MSG_REGION: 'DefaultRegion', TRACE_ON: 'true', KEYS: 'a b' })),
      {
        msgId: 'AC11',
        keys: 'a b',
        regionId: 'DefaultRegion',
        reconsumeTimes: 2,
      },
    );
    assert.equal(
      tracedMessage(message({ MSG_REGION: 'DefaultRegion', TRACE_ON: 'false' })),
      undefined,
    );
    assert.equal(tracedMessage(message({ TRACE_ON: 'true' }))?.regionId, undefined);
  });

  it('has Java’s fields between 01, and ends with 02', () => {
    const traced = { msgId: 'AC11', keys: undefined, regionId: 'DefaultRegion', reconsumeTimes: 2 };
    assert.deepEqual(subBefore(traced, context), {
      data: 'SubBefore\u00011700000000123\u0001DefaultRegion\u0001workers\u0001R1\u0001AC11\u00012\u0001null\u0002',
      keys: ['AC11'],
    });
    assert.deepEqual(
      subAfter({ ...traced, keys: 'a b' }, { ...context, costMs: 17, code: TraceCode.FAILED }),
      {
        data: 'SubAfter\u0001R1\u0001AC11\u000117\u0001false\u0001a b\u00014\u00011700000000123\u0001workers\u0002',
        keys: ['AC11', 'a', 'b'],
      },
    );
  });

  it('is byte for byte what Java’s encoder writes of what its decoder read', {
    skip: missingStack('rocketmq'),
  }, async () => {
    const records = [undefined, 'key', 'a b', 'ключ'].flatMap((keys, n) => {
      const traced = {
        msgId: `AC1${n}`,
        keys,
        regionId: n === 0 ? undefined : 'eu-west-1',
        reconsumeTimes: n,
      };
      return [
        subBefore(traced, context),
        ...Object.values(TraceCode).map((code) =>
          subAfter(traced, { ...context, timestamp: context.timestamp + n, costMs: 10 * n, code }),
        ),
      ];
    });
    const data = records.map((record) => record.data).join('');
    const [java] = jsonLines<{ data: string; keys: string[] }>(
      await runJava('TraceData', [Buffer.from(data).toString('base64')]),
    );
    assert.equal(Buffer.from(java?.data ?? '', 'base64').toString(), data);
    // Java's decoder takes the word null for a key.
    assert.deepEqual(
      java?.keys.filter((key) => key !== 'null').sort(),
      [...new Set(records.flatMap(({ keys }) => keys))].sort(),
    );
  });
});
