import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTraceData } from '../../../src/records/read-trace-data.ts';
import { subAfter, subBefore, TraceCode } from '../../../src/records/trace-data.ts';

/** As TraceDataEncoder of RocketMQ 5.5.0 and 4.9.7 writes them, with other signs for 01 and 02. */
const JAVA =
  'Pub|1700000000123|DefaultRegion|shop|orders|AC11|paid|a b|10.0.0.1:10911|17|3|0|0A00|true#' +
  'EndTransaction|1700000000124|DefaultRegion|shop|orders|AC11|paid|a b|10.0.0.1:10911|0|T1|COMMIT_MESSAGE|false#';
const body = (text: string): string => text.replaceAll('|', '\u0001').replaceAll('#', '\u0002');

describe('readTraceData', () => {
  test('what producers say', () =>
    assert.deepEqual(readTraceData(body(JAVA)), [
      {
        ...{
          kind: 'sent',
          messageId: 'AC11',
          at: 1_700_000_000_123,
          group: 'shop',
          topic: 'orders',
        },
        ...{ storeHost: '10.0.0.1:10911', costMs: 3, success: true },
      },
      {
        ...{
          kind: 'transaction',
          messageId: 'AC11',
          at: 1_700_000_000_124,
          group: 'shop',
          topic: 'orders',
        },
        ...{ state: 'COMMIT_MESSAGE', fromCheck: false },
      },
    ]));

  test('what consumers say, ours among them', () => {
    const message = { msgId: 'AC11', keys: 'a b', regionId: undefined, reconsumeTimes: 2 };
    const context = { timestamp: 1_700_000_000_123, consumerGroup: 'workers', requestId: 'R1' };
    const after = subAfter(message, {
      ...context,
      timestamp: context.timestamp + 9,
      costMs: 9,
      code: TraceCode.TIME_OUT,
    });
    assert.deepEqual(readTraceData(subBefore(message, context).data + after.data), [
      {
        kind: 'delivered',
        messageId: 'AC11',
        at: context.timestamp,
        group: 'workers',
        requestId: 'R1',
        reconsumeTimes: 2,
      },
      {
        ...{
          kind: 'handled',
          messageId: 'AC11',
          requestId: 'R1',
          costMs: 9,
          success: false,
          result: 'TIME_OUT',
        },
        ...{ at: context.timestamp + 9, group: 'workers' },
      },
    ]);
  });

  test('older and newer clients: fields that are missing, and fields behind the known ones', () => {
    assert.deepEqual(
      readTraceData(
        body(
          'Pub|1|r|g|t|m|tags|keys|host|17|3|0|false#Pub|1|r|g|t|m|tags|keys|host|17|3|0|0A00|true|10.0.0.2#',
        ),
      ).map((entry) => entry.kind === 'sent' && entry.success),
      [false, true],
    );
    assert.deepEqual(readTraceData(body('SubAfter|R1|m|5|true|keys#')), [
      { kind: 'handled', messageId: 'm', requestId: 'R1', costMs: 5, success: true },
    ]);
  });

  test('what nobody knows is passed over', () =>
    assert.deepEqual(readTraceData(body('Recall|1|2#Pub|1#SubBefore#SubAfter|R1##')), []));
});
