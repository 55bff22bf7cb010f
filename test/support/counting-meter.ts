import type { MetricName } from '../../src/model/metrics.ts';
import type { Gauges, Meter, MetricValues } from '../../src/ports/meter.ts';

/** A meter whose sums and measured values a test can read. */
export function countingMeter() {
  const counts: Partial<Record<MetricName, number>> = {};
  const measured: Partial<Record<MetricName, number[]>> = {};
  const meter: Meter = {
    count(metric, value = 1) {
      counts[metric] = (counts[metric] ?? 0) + value;
    },
    observe(metric, value) {
      measured[metric] = [...(measured[metric] ?? []), value];
    },
  };
  return { counts, measured, meter };
}

/** What CloudWatch would be told, by the values of its dimensions. */
export function collectingGauges() {
  const told = new Map<string, MetricValues>();
  const record: Gauges['record'] = (dimensions, values) => {
    const key = Object.values(dimensions).join(' ');
    told.set(key, { ...told.get(key), ...values });
  };
  return { told, record };
}
