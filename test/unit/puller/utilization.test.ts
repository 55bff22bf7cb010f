import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Utilization } from '../../../src/puller/utilization.ts';
import { countingMeter } from '../../support/counting-meter.ts';

function puller() {
  let now = 1_000_000;
  const { measured, meter } = countingMeter();
  const utilization = new Utilization({ now: () => now, sleep: async () => {} }, meter);
  return {
    utilization,
    told: () => measured.PollerUtilization ?? [],
    pass(ms: number) {
      now += ms;
    },
  };
}

describe('the utilization of a puller', () => {
  test('is the share of its time in which it has messages in hand, its start included', () => {
    const { utilization, told, pass } = puller();
    pass(2_000);
    utilization.note('q', false);
    pass(1_000);
    utilization.note('q', true);
    pass(500);
    utilization.note('q', true);
    pass(500);
    utilization.note('q', false);
    pass(1_000);
    utilization.finish();
    assert.deepEqual(told(), [20]);
  });

  test('of several queues counts the time in which any of them has some, once', () => {
    const { utilization, told, pass } = puller();
    utilization.note('a', true);
    pass(3_000);
    utilization.note('b', true);
    pass(1_000);
    utilization.note('a', false);
    pass(1_000);
    utilization.note('b', false);
    pass(5_000);
    utilization.finish();
    assert.deepEqual(told(), [50]);
  });

  test('is told each minute, and what is in hand then goes over into the next', () => {
    const { utilization, told, pass } = puller();
    pass(30_000);
    utilization.note('q', true);
    pass(30_000);
    utilization.note('q', true);
    pass(15_000);
    utilization.note('q', false);
    pass(15_000);
    utilization.finish();
    assert.deepEqual(told(), [50, 50]);
  });

  test('is not told of a puller that got no queue, and is never below 0 or above 100 when the clock jumps', () => {
    const idle = puller();
    idle.pass(5_000);
    idle.utilization.finish();
    assert.deepEqual(idle.told(), []);
    const jumps = puller();
    jumps.utilization.note('q', true);
    jumps.pass(5_000);
    jumps.utilization.note('q', false);
    jumps.pass(-4_000);
    jumps.utilization.finish();
    assert.deepEqual(jumps.told(), [100]);
  });
});
