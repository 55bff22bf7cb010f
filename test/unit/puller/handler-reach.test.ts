import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { alarmResources } from '../../../infra/resources/alarms.ts';
import { backoff } from '../../../src/decide/retry/backoff.ts';
import { METRIC_GROUPS } from '../../../src/model/metrics.ts';
import { HandlerReach } from '../../../src/puller/handler-reach.ts';
import { QueueCounts } from '../../../src/puller/queue-counts.ts';
import { createEmfMeter } from '../../../src/runtime/emf-metrics.ts';
import { source, subscription } from '../../support/coordinator-world.ts';
import { countingMeter } from '../../support/counting-meter.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

const ORDERS = subscription('orders');
const REFUNDS = subscription('refunds', {
  handler: { invocation: 'function', functionKey: 'r', functionName: 'refunds', timeout: 3 },
});
const MINUTE = 60_000;
const BACKOFF = { firstMs: 200, longestMs: 10_000 };

describe('calls that do not reach their handler', () => {
  function setUp() {
    const clock = virtualClock();
    const { counts, meter } = countingMeter();
    const reach = new HandlerReach({ clock, counts: new QueueCounts(clock, meter) });
    return { clock, reach, told: () => counts.UnavailableHandlerCount ?? 0 };
  }

  test('count from 10 s without a call that reaches it, until one does', async () => {
    const { clock, reach, told } = setUp();
    reach.missed(ORDERS);
    await clock.pass(9_999);
    reach.missed(ORDERS);
    assert.equal(told(), 0);
    await clock.pass(1);
    reach.missed(ORDERS);
    reach.missed(ORDERS);
    assert.equal(told(), 2);
    reach.reached(ORDERS);
    reach.missed(ORDERS);
    assert.equal(told(), 2);
  });

  test('are those of one handler: another one that answers says nothing of it', async () => {
    const { clock, reach, told } = setUp();
    reach.missed(ORDERS);
    await clock.pass(10_000);
    reach.reached(REFUNDS);
    reach.missed(ORDERS);
    assert.equal(told(), 1);
  });

  test('count at once when Lambda refuses them', () => {
    const { reach, told } = setUp();
    reach.refused();
    assert.equal(told(), 1);
  });
});

describe('the alarm of a handler that cannot be called', () => {
  /** As CloudWatch evaluates it at the end of each minute. Missing data is not breaching. */
  function alarmed(lines: readonly Emf[], start: number, minutes: number): boolean[] {
    const resources = Object.values(
      alarmResources(
        {
          service: 'shop',
          stage: 'dev',
          clusters: {},
          sources: [source([ORDERS], { consumerGroup: 'workers' })],
        },
        { oldestMessageAgeSeconds: 300 },
      ),
    ).map(({ Properties }) => Properties as AlarmProperties);
    const alarm = resources.find(({ MetricName }) => MetricName === 'UnavailableHandlerCount');
    assert.ok(alarm !== undefined);
    assert.deepEqual(
      [alarm.Statistic, alarm.Period, alarm.TreatMissingData, alarm.ComparisonOperator],
      ['Sum', 60, 'notBreaching', 'GreaterThanThreshold'],
    );
    const sums = Array.from({ length: minutes }, (_, minute) =>
      lines
        .filter(({ _aws }) => Math.floor((_aws.Timestamp - start) / MINUTE) === minute)
        .reduce((sum, { UnavailableHandlerCount = 0 }) => sum + UnavailableHandlerCount, 0),
    );
    return sums.map(
      (_, minute) =>
        sums
          .slice(Math.max(0, minute + 1 - alarm.EvaluationPeriods), minute + 1)
          .filter((sum) => sum > alarm.Threshold).length >= alarm.DatapointsToAlarm,
    );
  }

  for (const random of [0, 0.5, 0.999])
    test(`throttled from start to end: it is raised within 5 minutes, and stays (chance ${random})`, async () => {
      const clock = virtualClock();
      const start = clock.now();
      const { lines, reach } = measured(clock);
      for (let attempt = 1; clock.now() - start < 30 * MINUTE; attempt++) {
        reach.missed(ORDERS);
        await clock.pass(backoff(attempt, random, BACKOFF));
      }
      const states = alarmed(lines, start, 29);
      assert.ok(states.indexOf(true) <= 4, `raised in minute ${states.indexOf(true)}`);
      assert.ok(!states.slice(states.indexOf(true)).includes(false));
    });

  test('missing, in mode pop, where a puller comes every two minutes: it stays', async () => {
    const clock = virtualClock();
    const start = clock.now();
    const lines: Emf[] = [];
    for (let minute = 0; minute < 30; minute += 2) {
      const { reach, lines: ofPuller, meter } = measured(clock);
      reach.refused();
      meter.flush();
      lines.push(...ofPuller);
      await clock.pass(2 * MINUTE);
    }
    const states = alarmed(lines, start, 30);
    assert.equal(states.indexOf(true), 4);
    assert.ok(!states.slice(4).includes(false));
  });

  test('throttled for some seconds now and then, or missing while it is deployed: it is quiet', async () => {
    const clock = virtualClock();
    const start = clock.now();
    const { lines, reach, meter } = measured(clock);
    reach.refused();
    await clock.pass(15_000);
    reach.refused();
    for (let second = 0; second < 1_200; second += 5) {
      reach.missed(ORDERS);
      await clock.pass(4_000);
      reach.reached(ORDERS);
      await clock.pass(1_000);
    }
    meter.flush();
    assert.ok(!alarmed(lines, start, 21).includes(true));
  });
});

interface Emf {
  readonly _aws: { readonly Timestamp: number };
  readonly UnavailableHandlerCount?: number;
}

interface AlarmProperties {
  readonly MetricName: string;
  readonly Statistic: string;
  readonly Period: number;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm: number;
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly TreatMissingData: string;
}

function measured(clock: ReturnType<typeof virtualClock>) {
  const lines: Emf[] = [];
  const meter = createEmfMeter(
    { EventSource: 'shop-dev/workers' },
    { clock, groups: METRIC_GROUPS, write: (line) => void lines.push(JSON.parse(line) as Emf) },
  );
  return {
    lines,
    meter,
    reach: new HandlerReach({ clock, counts: new QueueCounts(clock, meter) }),
  };
}
