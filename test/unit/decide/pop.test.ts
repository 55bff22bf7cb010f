import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  INVISIBLE_MS,
  isOurs,
  prolongDue,
  redeliveryDelayMs,
} from '../../../src/decide/pop/invisible-time.ts';
import { popUnits } from '../../../src/decide/pop/pop-units.ts';

const queues = (brokerName: string, count: number) =>
  Array.from({ length: count }, (_, queueId) => ({ topic: 'orders', brokerName, queueId }));
const unit = (brokerName: string, queueId: number) => ({
  ...{ topic: 'orders', brokerName, queueId },
  pops: true,
});

describe('places at brokers in POP mode', () => {
  const two = [...queues('broker-a', 4), ...queues('broker-b', 2)];

  it('one per broker, however many queues it has', () => {
    assert.deepEqual(popUnits(two, 'queue'), [unit('broker-a', 0), unit('broker-b', 0)]);
    assert.deepEqual(popUnits([], 'queue'), []);
  });

  it('N of them spread evenly, never fewer than brokers', () => {
    assert.deepEqual(popUnits(two, 3), [
      unit('broker-a', 0),
      unit('broker-a', 1),
      unit('broker-b', 0),
    ]);
    assert.deepEqual(popUnits(two, 1), [unit('broker-a', 0), unit('broker-b', 0)]);
  });
});

describe('the time that a popped message is ours', () => {
  it('is prolonged at its half, and is over a while before the broker’s clock says so', () => {
    const visibleAt = 1_000_000;
    assert.deepEqual(
      [
        visibleAt - INVISIBLE_MS,
        visibleAt - INVISIBLE_MS / 2 - 1,
        visibleAt - INVISIBLE_MS / 2,
      ].map((now) => prolongDue(visibleAt, now, INVISIBLE_MS)),
      [false, false, true],
    );
    assert.deepEqual(
      [visibleAt - 5_001, visibleAt - 5_000, visibleAt].map((now) => isOurs(visibleAt, now)),
      [true, false, false],
    );
  });

  it('a failed one waits as with Java’s client: longer with every failure, or as its level says', () => {
    assert.deepEqual(
      [0, 1, 2, 15, 16, 1000].map((reconsumeTimes) => redeliveryDelayMs(0, reconsumeTimes)),
      [10_000, 30_000, 60_000, 7_200_000, 7_200_000, 7_200_000],
    );
    assert.deepEqual(
      [1, 2, 18].map((level) => redeliveryDelayMs(level, 0)),
      [30_000, 60_000, 7_200_000],
    );
  });
});
