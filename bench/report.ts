import type { RocketMQClient } from '../src/client/rocketmq-client.ts';

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

/** Where a measurement runs and whom it tells. */
export interface Place {
  readonly nameServer: string;
  /** Of DynamoDB Local. */
  readonly endpoint: string;
  readonly client: RocketMQClient;
  readonly note: (row: Row) => void;
}

export function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length), 4);
  return rows
    .map(({ what, value, unit }) => `${what.padEnd(width)}  ${String(value).padStart(12)} ${unit}`)
    .join('\n');
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
