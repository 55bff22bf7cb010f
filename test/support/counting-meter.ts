import type { MetricName } from '../../src/model/metrics.ts';
import type { Meter } from '../../src/ports/meter.ts';

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
