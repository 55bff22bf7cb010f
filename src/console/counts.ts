import { METRICS, type MetricName } from '../model/metrics.ts';
import { readJsonObject } from './read-json-object.ts';

/** Sums of what the functions told, by event source. */
export class Counts {
  readonly #sums = new Map<string, Partial<Record<MetricName, number>>>();

  /** @param text one record of the embedded metric format; what is none is passed over */
  add(text: string): void {
    const record = readJsonObject(text);
    if (typeof record?.EventSource !== 'string') return;
    const sums = this.#sums.get(record.EventSource) ?? {};
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const value = record[name];
      if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value;
    }
    this.#sums.set(record.EventSource, sums);
  }

  of(eventSource: string): Partial<Record<MetricName, number>> {
    return { ...this.#sums.get(eventSource) };
  }
}
