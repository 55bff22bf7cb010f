import { z } from 'zod';
import { METRIC_GROUPS, type MetricGroup } from '../model/metrics.ts';
import type { Problems } from './problems.ts';
import { oneOf, options, text, trueOrFalse, wholeNumber } from './schema-parts.ts';

/** What CloudWatch Logs takes. */
const RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653] as const;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const REFERENCE = 'an ARN, or a CloudFormation reference such as { Ref: MyTopic }';
const DAYS = `a number of days that CloudWatch knows: ${RETENTION_DAYS.join(', ')}`;

/** A text, or what CloudFormation makes one of: `{ Ref }`, `{ Fn::GetAtt }`, `{ Fn::ImportValue }`, `{ Fn::Sub }`. */
const reference = z.union(
  [
    text(REFERENCE).refine((value) => value.startsWith('arn:'), { error: REFERENCE }),
    z.record(z.string(), z.unknown()).refine((value) => {
      const [key, ...more] = Object.keys(value);
      return more.length === 0 && (key === 'Ref' || key?.startsWith('Fn::') === true);
    }),
  ],
  { error: REFERENCE },
);

const alarmOptions = options({
  topic: reference.exactOptional(),
  oldestMessageAgeSeconds: wholeNumber(1, 604_800).default(300),
  lag: wholeNumber(1, 1_000_000_000).exactOptional(),
});

/** How the service is operated; the same in every event source. */
export const operationOptions = {
  /** What CloudWatch is told; every metric of every group has its price there. */
  metrics: z
    .array(oneOf(METRIC_GROUPS), { error: `a list of ${METRIC_GROUPS.join(', ')}; EventCount, ErrorCount and LagMetrics without it` })
    .exactOptional(),
  /** true: alarms that tell nobody but the console of CloudWatch. */
  alarms: z
    .preprocess(
      (value) => (value === true || value === 'true' ? {} : value === 'false' ? false : value),
      z.union([z.literal(false), alarmOptions]),
    )
    .default(false),
  dashboard: trueOrFalse().default(false),
  logging: options({
    level: oneOf(LEVELS).exactOptional(),
    retentionInDays: z
      .preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.literal(RETENTION_DAYS, { error: DAYS }))
      .exactOptional(),
  }).prefault({}),
  /** Of the functions and the table that the plugin adds. */
  tags: z.record(text('the name of a tag'), text('a text'), { error: 'tags: { team: payments }' }).default({}),
  permissionsBoundary: reference.exactOptional(),
};

const ALARM_METRICS: readonly MetricGroup[] = ['EventCount', 'ErrorCount', 'LagMetrics'];

/** An alarm over a metric that nobody tells would be quiet for ever. */
export function operationOptionsFit(
  { alarms, metrics }: { readonly alarms: unknown; readonly metrics?: readonly MetricGroup[] },
  problems: Problems,
): void {
  const missing = metrics === undefined || alarms === false ? [] : ALARM_METRICS.filter((group) => !metrics.includes(group));
  if (missing.length > 0)
    problems.add(['custom', 'rocketmq', 'metrics'], ` has no ${missing.join(', ')}, which alarms watch: add them, or leave alarms out`);
}
