import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { METRICS, type MetricName } from '../../../src/model/metrics.ts';
import { createEmfGauges, createEmfMeter, emfOptions } from '../../../src/runtime/emf-metrics.ts';
import { metricGroups } from '../../../src/runtime/environment.ts';

const SERVICE = { service: 'shop', stage: 'prod', clusters: {}, sources: [] };

function meterAt(start: number, groups = metricGroups(SERVICE, {})) {
  const lines: Record<string, unknown>[] = [];
  const clock = { now: () => time, sleep: async () => {} };
  let time = start;
  const meter = createEmfMeter(
    { EventSource: 'shop-prod/workers' },
    { clock, groups, write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  return {
    lines,
    meter,
    pass(ms: number) {
      time += ms;
    },
  };
}

describe('metrics in the embedded format', () => {
  test('are sums with unit, namespace and dimensions where CloudWatch looks for them', () => {
    const { meter, lines } = meterAt(1_700_000_000_000);
    meter.count('PolledEventCount', 30);
    meter.count('PolledEventCount', 2);
    meter.count('InvokeErrorCount');
    meter.flush();
    assert.deepEqual(lines, [
      {
        _aws: {
          Timestamp: 1_700_000_000_000,
          CloudWatchMetrics: [
            {
              Namespace: 'RocketMQ/Lambda',
              Dimensions: [['EventSource']],
              Metrics: [
                { Name: 'PolledEventCount', Unit: 'Count' },
                { Name: 'InvokeErrorCount', Unit: 'Count' },
              ],
            },
          ],
        },
        EventSource: 'shop-prod/workers',
        PolledEventCount: 32,
        InvokeErrorCount: 1,
      },
    ]);
  });

  test('a poll without messages is told as 0; nothing at all is no line', () => {
    const { meter, lines } = meterAt(0);
    meter.flush();
    assert.deepEqual(lines, []);
    meter.count('PolledEventCount', 0);
    meter.flush();
    assert.deepEqual(
      lines.map(({ PolledEventCount }) => PolledEventCount),
      [0],
    );
  });

  test('become a line each minute, so that a puller of fifteen is not silent until its end', () => {
    const { meter, lines, pass } = meterAt(0);
    for (let second = 0; second < 150; second++) {
      meter.count('CommittedEventCount');
      pass(1_000);
    }
    meter.flush();
    assert.deepEqual(
      lines.map(({ CommittedEventCount }) => CommittedEventCount),
      [61, 60, 29],
    );
  });

  test('that were measured are told one by one, at most 100 in a line', () => {
    const { meter, lines } = meterAt(0, ['PollerMetrics', 'EventCount']);
    meter.observe('WakeLatency', 120);
    meter.count('InvokedBatchCount', 2);
    meter.observe('WakeLatency', 80);
    meter.flush();
    for (let n = 0; n < 150; n++) meter.observe('SuccessionGap', n);
    meter.flush();
    const told = lines as {
      WakeLatency?: number[];
      SuccessionGap?: number[];
      InvokedBatchCount?: number;
      _aws: object;
    }[];
    assert.deepEqual(
      told.map(({ WakeLatency, InvokedBatchCount, SuccessionGap }) => [
        WakeLatency,
        InvokedBatchCount,
        SuccessionGap?.length,
      ]),
      [
        [[120, 80], 2, undefined],
        [undefined, undefined, 100],
        [undefined, undefined, 50],
      ],
    );
    assert.match(JSON.stringify(told[0]?._aws), /{"Name":"WakeLatency","Unit":"Milliseconds"}/);
    assert.deepEqual(told[2]?.SuccessionGap?.slice(0, 2), [100, 101]);
  });

  test('of groups that were not asked for are not told', () => {
    const { meter, lines } = meterAt(0, ['ErrorCount']);
    for (const metric of Object.keys(METRICS) as MetricName[]) meter.count(metric);
    meter.flush();
    const { _aws, EventSource: _source, ...told } = lines[0] ?? {};
    assert.deepEqual(Object.keys(told).sort(), [
      'ClockSkewCount',
      'CommitErrorCount',
      'CoordinatorErrorCount',
      'DiscardedEventCount',
      'InvalidResponseCount',
      'InvokeErrorCount',
      'LostLeases',
      'OnFailureDestinationDeliveryErrorCount',
      'PollingErrorCount',
      'SendBackErrorCount',
      'ThrottleCount',
      'UnavailableHandlerCount',
    ]);
  });

  test('gauges are told as they are', () => {
    const lines: string[] = [];
    const clock = { now: () => 7, sleep: async () => {} };
    const gauges = createEmfGauges({
      clock,
      groups: ['LagMetrics'],
      write: (line) => lines.push(line),
    });
    gauges.record(
      { EventSource: 'a', Topic: 'orders', Queue: 'broker-a/0' },
      { SumOffsetLag: 12, OldestMessageAge: 1_500 },
    );
    const { _aws, ...told } = JSON.parse(lines[0] ?? '') as {
      _aws: { CloudWatchMetrics: [{ Dimensions: string[][]; Metrics: object[] }] };
    };
    assert.deepEqual(told, {
      EventSource: 'a',
      Topic: 'orders',
      Queue: 'broker-a/0',
      SumOffsetLag: 12,
      OldestMessageAge: 1_500,
    });
    assert.deepEqual(_aws.CloudWatchMetrics[0].Dimensions, [['EventSource', 'Topic', 'Queue']]);
    assert.deepEqual(_aws.CloudWatchMetrics[0].Metrics[1], {
      Name: 'OldestMessageAge',
      Unit: 'Milliseconds',
    });
  });

  test('are off in a local run, and where Powertools’ are', () => {
    assert.deepEqual(metricGroups(SERVICE, {}), ['EventCount', 'ErrorCount', 'LagMetrics']);
    const { meter, lines } = meterAt(0);
    meter.observe('WakeLatency', 1);
    meter.flush();
    assert.deepEqual(lines, [], 'metrics of pullers are told where they are asked for');
    assert.deepEqual(metricGroups({ ...SERVICE, metrics: ['ErrorCount'] }, {}), ['ErrorCount']);
    assert.deepEqual(metricGroups(SERVICE, { IS_OFFLINE: 'true' }), []);
    assert.deepEqual(metricGroups(SERVICE, { POWERTOOLS_METRICS_DISABLED: 'TRUE' }), []);
    assert.deepEqual(metricGroups(SERVICE, { POWERTOOLS_METRICS_DISABLED: 'false' }), [
      'EventCount',
      'ErrorCount',
      'LagMetrics',
    ]);
  });

  test('a console that is gone, or an address that is none, rejects nothing that nobody handles', async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', note);
    try {
      for (const url of ['http://127.0.0.1:1/metrics', 'no address']) {
        const clock = { now: () => 1, sleep: async () => {} };
        const { write } = emfOptions(SERVICE, clock, { ROCKETMQ_CONSOLE_METRICS_URL: url });
        write?.('{}');
      }
      await setTimeout(200);
    } finally {
      process.off('unhandledRejection', note);
    }
    assert.deepEqual(rejections, []);
  });
});
