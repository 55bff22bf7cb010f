import { z } from 'zod';
import { METRIC_GROUPS, type MetricGroup } from '../model/metrics.ts';
import { OPERATOR_COMMANDS } from '../model/operator-commands.ts';
import type { Problems } from './problems.ts';
import {
  kmsKeyArn,
  LONGEST_TOPIC,
  oneOf,
  options,
  rocketmqName,
  text,
  trueOrFalse,
  wholeNumber,
} from './schema-parts.ts';

/** What CloudWatch Logs takes. */
const RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
  3653,
] as const;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const REFERENCE = 'an ARN, or a CloudFormation reference such as { Ref: MyTopic }';
const KEY = 'the ARN of a KMS key, or a CloudFormation reference to it';
const DAYS = `a number of days that CloudWatch knows: ${RETENTION_DAYS.join(', ')}`;

/** `{ Ref }`, `{ Fn::GetAtt }`, `{ Fn::ImportValue }`, `{ Fn::Sub }` … */
const cloudFormation = z.record(z.string(), z.unknown()).refine((value) => {
  const [key, ...more] = Object.keys(value);
  return more.length === 0 && (key === 'Ref' || key?.startsWith('Fn::') === true);
});

/** An ARN, or what CloudFormation makes one of. */
const reference = z.union(
  [
    text(REFERENCE).refine((value) => value.startsWith('arn:'), { error: REFERENCE }),
    cloudFormation,
  ],
  {
    error: REFERENCE,
  },
);

/** Ids, CloudFormation references to them, or a reference to a list of them. */
function ids(kind: string) {
  const error = `a list of ${kind} ids, or of CloudFormation references to them`;
  return z.union(
    [z.array(z.union([text(error), cloudFormation])).min(1, { error }), cloudFormation],
    { error },
  );
}

const alarmOptions = options({
  topic: reference.exactOptional(),
  oldestMessageAgeSeconds: wholeNumber(1, 604_800).default(300),
  lag: wholeNumber(1, 1_000_000_000).exactOptional(),
});

const COMMANDS = `a list of commands: ${OPERATOR_COMMANDS.join(', ')}`;
const SEND_TOPICS = 'any, or a list of topics';
const operatorOptions = options({
  commands: z.array(oneOf(OPERATOR_COMMANDS), { error: COMMANDS }).exactOptional(),
  readOnly: trueOrFalse().default(false),
  topics: z
    .union([z.literal('any'), z.array(rocketmqName('topic', LONGEST_TOPIC))], {
      error: SEND_TOPICS,
    })
    .exactOptional(),
});

/** How the service is operated; the same in every event source. */
export const operationOptions = {
  metrics: z
    .array(oneOf(METRIC_GROUPS), {
      error: `a list of ${METRIC_GROUPS.join(', ')}; EventCount, ErrorCount and LagMetrics without it`,
    })
    .exactOptional()
    .describe(
      `what CloudWatch is told: a list of ${METRIC_GROUPS.join(', ')}; the first three without it`,
    ),
  alarms: z
    .preprocess(
      (value) => (value === true || value === 'true' ? {} : value === 'false' ? false : value),
      z.union([z.literal(false), alarmOptions]),
    )
    .default(false)
    .describe(
      'true, or `{ topic, oldestMessageAgeSeconds, lag }`; without a topic they tell nobody but the console of CloudWatch',
    ),
  dashboard: trueOrFalse().default(false).describe('a CloudWatch dashboard, a row per group'),
  logging: options({
    level: oneOf(LEVELS).exactOptional(),
    retentionInDays: z
      .preprocess(
        (value) => (typeof value === 'string' ? Number(value) : value),
        z.literal(RETENTION_DAYS, { error: DAYS }),
      )
      .exactOptional(),
    errorLength: z
      .preprocess(
        (value) => (typeof value === 'string' && value !== '' ? Number(value) : value),
        z.int().min(0).max(10_000),
      )
      .exactOptional(),
    kmsKeyArn: z.union([kmsKeyArn(), cloudFormation], { error: KEY }).exactOptional(),
  })
    .prefault({})
    .describe(
      '`{ level, retentionInDays, errorLength, kmsKeyArn }` of the added functions: trace to silent; 30 days; characters kept of the error texts of handlers, which may hold message contents, 0 to 10,000, 500; the KMS key that encrypts their log groups',
    ),
  operator: z
    .preprocess(
      (value) => (value === true || value === 'true' ? {} : value === 'false' ? false : value),
      z.union([z.literal(false), operatorOptions], {
        error: 'false, or the options commands, readOnly, topics',
      }),
    )
    .prefault({})
    .describe(
      'the function that carries out commands: false for none, or `{ commands, readOnly, topics }`: the commands that it carries out (all), a second function that only reads (false), topics beside those of the service that `send` and `dlq redrive --to` may name (none), or any',
    ),
  tags: z
    .record(text('the name of a tag'), text('a text'), { error: 'tags: { team: payments }' })
    .default({})
    .describe('on the added functions, the table and the schedule group'),
  permissionsBoundary: reference
    .exactOptional()
    .describe("on the added roles, instead of the provider's"),
  vpc: options({ subnetIds: ids('subnet'), securityGroupIds: ids('security group') })
    .exactOptional()
    .describe(
      "`{ subnetIds, securityGroupIds }` of the added functions, instead of the provider's",
    ),
};

const ALARM_METRICS: readonly MetricGroup[] = ['EventCount', 'ErrorCount', 'LagMetrics'];

/** An alarm over a metric that nobody tells would be quiet for ever. */
export function operationOptionsFit(
  { alarms, metrics }: { readonly alarms: unknown; readonly metrics?: readonly MetricGroup[] },
  problems: Problems,
): void {
  const missing =
    metrics === undefined || alarms === false
      ? []
      : ALARM_METRICS.filter((group) => !metrics.includes(group));
  if (missing.length > 0)
    problems.add(
      ['custom', 'rocketmq', 'metrics'],
      ` has no ${missing.join(', ')}, which alarms watch: add them, or leave alarms out`,
    );
}
