import type { MetricName } from '../model/metrics.ts';

/** Where figures of an invocation go. */
export interface Meter {
  /** Adds to what happened since the last record. 0 counts as told: silence is then different from "nothing". */
  count(metric: MetricName, value?: number): void;
  /** One measured time or share. Each is told as it is, for its distribution: a sum of them would mean nothing. */
  observe(metric: MetricName, value: number): void;
}

/** What is told of one metric: a number, or several that were measured (at most 100). */
export type MetricValues = Partial<Record<MetricName, number | readonly number[]>>;

/** Figures of the moment, for what `dimensions` name. */
export interface Gauges {
  record(dimensions: Readonly<Record<string, string>>, values: MetricValues): void;
}
