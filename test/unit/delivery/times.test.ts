import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BatchBuilder } from '../../../src/delivery/batch.ts';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { failureRecord } from '../../../src/delivery/failure-record.ts';
import { isoTime } from '../../../src/delivery/iso-time.ts';
import type { RocketMQRecord } from '../../../src/model/event.ts';
import { EVENT_FORMATS } from '../../../src/model/event-formats.ts';
import { messageAt } from '../../support/records.ts';

const CONTEXT = {
  cluster: 'default',
  consumerGroup: 'workers',
  topic: 'orders',
  region: 'eu-west-1',
  accountId: '123456789012',
  maxReconsumeTimes: 16,
  localRetries: 0,
  now: 0,
};
const OUT_OF_CALENDAR = [-1, -(2 ** 62), 8_640_000_000_000_001, 2 ** 62];

describe('times that no calendar has', () => {
  for (const time of OUT_OF_CALENDAR)
    test(`${time} makes an event in each format, and a failure record`, () => {
      const message = messageAt(1, { bornTimestamp: time, storeTimestamp: time });
      const build = (): RocketMQRecord => buildRecord(message, CONTEXT);
      for (const format of EVENT_FORMATS) {
        const builder = new BatchBuilder(undefined, format);
        assert.equal(builder.add(build(), build), 'added');
      }
      const why = { condition: 'RetryAttemptsExhausted', requestId: 'r', functionArn: 'f', now: 0 };
      const { RocketMQBatchInfo } = failureRecord(build(), {
        ...why,
        condition: 'RetryAttemptsExhausted',
      });
      assert.match(RocketMQBatchInfo.approximateArrivalOfFirstMessage, /^\d{4}-\d\d-\d\dT/);
    });

  test('are written as the nearest that it has', () => {
    assert.equal(isoTime(-5), '1970-01-01T00:00:00.000Z');
    assert.equal(isoTime(Number.MAX_SAFE_INTEGER), '9999-12-31T23:59:59.999Z');
    assert.equal(isoTime(Number.NaN), '1970-01-01T00:00:00.000Z');
    assert.equal(isoTime(1_700_000_000_000), '2023-11-14T22:13:20.000Z');
  });
});
