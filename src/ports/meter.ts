import type { MetricName } from '../model/metrics.ts';

/** Where figures of an invocation go. */
export interface Meter {
  /** Adds to what happened since the last record. 0 counts as told: silence is then different from "nothing". */
  count(metric: MetricName, value?: number): void;
}

/** Figures of the moment, for what `dimensions` name. */
export interface Gauges {
  record(dimensions: Readonly<Record<string, string>>, values: Partial<Record<MetricName, number>>): void;
}
