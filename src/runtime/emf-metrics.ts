import { dimensionValue } from '../model/aws-names.ts';
import {
  METRICS,
  METRICS_NAMESPACE,
  type MetricGroup,
  type MetricName,
  metricGroup,
} from '../model/metrics.ts';
import type { ServiceConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Gauges, Meter } from '../ports/meter.ts';
import { ENVIRONMENT, metricGroups } from './environment.ts';

/** CloudWatch keeps custom metrics by the minute; a console is looked at now. */
const FLUSH_MS = 60_000;
const CONSOLE_FLUSH_MS = 1_000;
/** What the format takes of one metric in one line. */
const VALUES_AT_MOST = 100;

export interface EmfOptions {
  readonly clock: Clock;
  /** Metrics of other groups are not told. */
  readonly groups: readonly MetricGroup[];
  /** Takes one line without its end. Default: stdout. */
  readonly write?: (line: string) => void;
  /** How often sums become a line. */
  readonly flushMs?: number;
}

/** A meter whose sums become a line of their own every minute, and when it is flushed. */
export interface EmfMeter extends Meter {
  flush(): void;
}

/**
 * Metrics as lines of CloudWatch's embedded metric format: CloudWatch reads them out of the log, no call is made and no right is needed.
 * Specification: "Embedded metric format" of the CloudWatch user guide.
 */
export function createEmfMeter(
  dimensions: Readonly<Record<string, string>>,
  options: EmfOptions,
): EmfMeter {
  const { clock, flushMs = FLUSH_MS } = options;
  const gauges = createEmfGauges(options);
  let sums: Partial<Record<MetricName, number>> = {};
  let measured: Partial<Record<MetricName, number[]>> = {};
  let since = clock.now();
  const flush = (): void => {
    gauges.record(dimensions, { ...sums, ...measured });
    sums = {};
    measured = {};
    since = clock.now();
  };
  const flushWhenDue = (): void => {
    if (clock.now() - since >= flushMs) flush();
  };
  return {
    count(metric, value = 1) {
      sums[metric] = (sums[metric] ?? 0) + value;
      flushWhenDue();
    },
    observe(metric, value) {
      const values = [...(measured[metric] ?? []), value];
      measured[metric] = values;
      if (values.length === VALUES_AT_MOST) flush();
      else flushWhenDue();
    },
    flush,
  };
}

/** Where this process tells its metrics: CloudWatch, or the console of a local run. */
export function emfOptions(
  service: ServiceConfig,
  clock: Clock,
  env: NodeJS.ProcessEnv = process.env,
): EmfOptions {
  const url = env[ENVIRONMENT.consoleMetrics];
  if (url === undefined || url === '') return { clock, groups: metricGroups(service, env) };
  // Nobody waits for a console, and one that is gone is no trouble.
  const write = (body: string): void =>
    void fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(2_000) }).catch(() => {});
  return { clock, groups: ['EventCount', 'ErrorCount'], write, flushMs: CONSOLE_FLUSH_MS };
}

export function createEmfGauges({ clock, groups, write = toStdout }: EmfOptions): Gauges {
  return {
    record(dimensions, values) {
      const told = (Object.entries(values) as [MetricName, number | readonly number[]][]).filter(
        ([name]) => groups.includes(metricGroup(name)),
      );
      if (told.length > 0) write(JSON.stringify(emfRecord(dimensions, told, clock.now())));
    },
  };
}

function emfRecord(
  dimensions: Readonly<Record<string, string>>,
  values: readonly (readonly [MetricName, number | readonly number[]])[],
  now: number,
): object {
  return {
    _aws: {
      Timestamp: now,
      CloudWatchMetrics: [
        {
          Namespace: METRICS_NAMESPACE,
          Dimensions: [Object.keys(dimensions)],
          Metrics: values.map(([Name]) => ({ Name, Unit: METRICS[Name] })),
        },
      ],
    },
    ...Object.fromEntries(
      Object.entries(dimensions).map(([name, text]) => [name, dimensionValue(text)]),
    ),
    ...Object.fromEntries(values),
  };
}

/** Not by console.log, which Lambda wraps when the function's log format is JSON: CloudWatch would not find the metrics. */
function toStdout(line: string): void {
  // Writes to a pipe, as in Lambda, are finished when they return.
  process.stdout.write(`${line}\n`);
}
