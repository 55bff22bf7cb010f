import { createHash } from 'node:crypto';
import type { ServiceOptions } from '../../src/config/service-options.ts';
import {
  eventSourceName,
  METRICS_NAMESPACE,
  type MetricName,
  serviceName,
} from '../../src/model/metrics.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import type { CloudFormationResource } from '../serverless-api.ts';

type AlarmOptions = Exclude<ServiceOptions['alarms'], false>;

interface Alarm {
  readonly metric: MetricName;
  readonly description: string;
  readonly statistic: 'Sum' | 'Maximum' | 'SampleCount';
  readonly threshold: number;
  /** Periods of a minute that are looked at. */
  readonly minutes: number;
  /** So many of them must be over the threshold. Absent: all. */
  readonly breaching?: number;
  readonly comparison?: 'LessThanThreshold';
  /** Default notBreaching. ignore: the alarm keeps its state, because a lag that is not measured may be any. */
  readonly missing?: 'breaching' | 'ignore';
}

/** One of each per consumer group. */
function groupAlarms(group: string, { oldestMessageAgeSeconds, lag }: AlarmOptions): Alarm[] {
  return [
    {
      metric: 'OldestMessageAge',
      description: `${group}: a message waits for more than ${oldestMessageAgeSeconds} s`,
      statistic: 'Maximum',
      threshold: oldestMessageAgeSeconds * 1000,
      minutes: 3,
      missing: 'ignore',
    },
    ...(lag === undefined
      ? []
      : [
          {
            metric: 'SumOffsetLag',
            description: `${group}: more than ${lag} messages wait`,
            statistic: 'Maximum',
            threshold: lag,
            minutes: 3,
            missing: 'ignore',
          } as const,
        ]),
    {
      metric: 'StalledQueues',
      description: `${group}: a queue with messages has not moved for 15 minutes`,
      statistic: 'Maximum',
      threshold: 0,
      minutes: 1,
    },
    {
      metric: 'UnownedQueues',
      description: `${group}: a queue with messages has no puller`,
      statistic: 'Maximum',
      threshold: 0,
      minutes: 2,
    },
    {
      metric: 'UnmeasuredQueues',
      description: `${group}: the lag of a queue cannot be measured`,
      statistic: 'Maximum',
      threshold: 0,
      minutes: 3,
    },
    {
      metric: 'DeadLetteredEventCount',
      description: `${group}: a message failed for good`,
      statistic: 'Sum',
      threshold: 0,
      minutes: 1,
    },
    {
      metric: 'PollingErrorCount',
      description: `${group}: brokers cannot be polled`,
      statistic: 'Sum',
      threshold: 10,
      minutes: 3,
    },
    {
      metric: 'UnavailableHandlerCount',
      description: `${group}: a handler is missing, may not be called, or is throttled for minutes`,
      statistic: 'Sum',
      threshold: 0,
      // Pullers report about once a minute, and not in every minute: one that ends for a missing handler is followed later.
      minutes: 10,
      breaching: 3,
    },
    {
      metric: 'ThrottleCount',
      description: `${group}: handlers are throttled`,
      statistic: 'Sum',
      threshold: 10,
      minutes: 3,
    },
    {
      metric: 'LostLeases',
      description: `${group}: pullers lose their leases`,
      statistic: 'Sum',
      threshold: 5,
      minutes: 1,
    },
  ];
}

const SERVICE_ALARMS: readonly Alarm[] = [
  {
    metric: 'CoordinatorHeartbeat',
    description: 'the coordinator did not run for 3 minutes',
    statistic: 'SampleCount',
    threshold: 1,
    minutes: 3,
    comparison: 'LessThanThreshold',
    missing: 'breaching',
  },
  {
    metric: 'CoordinatorErrorCount',
    description: 'the coordinator has problems: its log names them',
    statistic: 'Sum',
    threshold: 0,
    minutes: 3,
  },
];

/** CloudWatch alarms over the functions' metrics. Missing data raises an alarm for the coordinator's heartbeat only; it leaves alarms of lag and age in their state. */
export function alarmResources(
  { service, stage, sources }: ServiceConfig,
  options: ServiceOptions['alarms'],
): Record<string, CloudFormationResource> {
  if (options === false) return {};
  const ofService = SERVICE_ALARMS.map((alarm) =>
    entry(alarm, 'Service', serviceName(service, stage), options),
  );
  const ofGroups = sources.flatMap(({ cluster, consumerGroup }) =>
    groupAlarms(consumerGroup, options).map((alarm) =>
      entry(alarm, 'EventSource', eventSourceName(service, stage, cluster, consumerGroup), options),
    ),
  );
  return Object.fromEntries([...ofService, ...ofGroups]);
}

function entry(
  alarm: Alarm,
  dimension: string,
  value: string,
  { topic }: AlarmOptions,
): [string, CloudFormationResource] {
  const actions = topic === undefined ? {} : { AlarmActions: [topic], OKActions: [topic] };
  return [
    `RocketmqAlarm${alarm.metric}${idOf(value)}`,
    {
      Type: 'AWS::CloudWatch::Alarm',
      Properties: {
        AlarmDescription: `serverless-rocketmq: ${alarm.description}`,
        Namespace: METRICS_NAMESPACE,
        MetricName: alarm.metric,
        Dimensions: [{ Name: dimension, Value: value }],
        Statistic: alarm.statistic,
        Period: 60,
        EvaluationPeriods: alarm.minutes,
        ...(alarm.breaching !== undefined && { DatapointsToAlarm: alarm.breaching }),
        Threshold: alarm.threshold,
        ComparisonOperator: alarm.comparison ?? 'GreaterThanThreshold',
        TreatMissingData: alarm.missing ?? 'notBreaching',
        ...actions,
      },
    },
  ];
}

/** Logical ids have letters and digits only: names that differ in other characters must not become one. */
function idOf(value: string): string {
  return `${value.replaceAll(/[^a-zA-Z0-9]/g, '')}${createHash('sha256').update(value).digest('hex').slice(0, 6)}`.slice(
    -120,
  );
}
