import { type DimensionValue, dimensionValue } from './aws-names.ts';

/** The CloudWatch namespace of everything that is measured here. */
export const METRICS_NAMESPACE = 'RocketMQ/Lambda';

/** Every metric and its unit. Names are Lambda's for event source mappings where it has one, KCL's for leases. */
export const METRICS = {
  // What happened to messages. PolledEventCount is 0 on an empty poll, so that silence means broken.
  PolledEventCount: 'Count',
  FilteredOutEventCount: 'Count',
  InvokedEventCount: 'Count',
  InvokedBatchCount: 'Count',
  FailedInvokeEventCount: 'Count',
  DroppedEventCount: 'Count',
  OnFailureDestinationDeliveredEventCount: 'Count',
  CommittedEventCount: 'Count',
  RetriedEventCount: 'Count',
  DeadLetteredEventCount: 'Count',
  DiscardedEventCount: 'Count',
  DuplicateEventCount: 'Count',
  // What went wrong.
  PollingErrorCount: 'Count',
  InvokeErrorCount: 'Count',
  CommitErrorCount: 'Count',
  SendBackErrorCount: 'Count',
  OnFailureDestinationDeliveryErrorCount: 'Count',
  InvalidResponseCount: 'Count',
  ThrottleCount: 'Count',
  LostLeases: 'Count',
  ClockSkewCount: 'Count',
  // Told by the coordinator, once per run and source.
  SumOffsetLag: 'Count',
  MaxOffsetLag: 'Count',
  OldestMessageAge: 'Milliseconds',
  StalledQueues: 'Count',
  UnownedQueues: 'Count',
  UnmeasuredQueues: 'Count',
  ActivePollers: 'Count',
  // What pullers are like.
  WakeLatency: 'Milliseconds',
  SuccessionGap: 'Milliseconds',
  PollerThroughputInBytes: 'Bytes',
  PollerUtilization: 'Percent',
  // Who holds what.
  CurrentLeases: 'Count',
  ExpiredLeases: 'Count',
  LeaseConflicts: 'Count',
  AssignmentDuration: 'Milliseconds',
  // Of the whole service.
  CoordinatorHeartbeat: 'Count',
  CoordinatorErrorCount: 'Count',
} as const;

export type MetricName = keyof typeof METRICS;

/** What `custom.rocketmq.metrics` chooses from. Every metric of every event source is a charge of its own at CloudWatch. */
export const METRIC_GROUPS = [
  'EventCount',
  'ErrorCount',
  'LagMetrics',
  'QueueMetrics',
  'PollerMetrics',
  'LeaseMetrics',
] as const;
export type MetricGroup = (typeof METRIC_GROUPS)[number];
export const DEFAULT_METRIC_GROUPS: readonly MetricGroup[] = [
  'EventCount',
  'ErrorCount',
  'LagMetrics',
];

const LAG_METRICS: ReadonlySet<MetricName> = new Set<MetricName>([
  'SumOffsetLag',
  'MaxOffsetLag',
  'OldestMessageAge',
  'StalledQueues',
  'UnownedQueues',
  'UnmeasuredQueues',
  'ActivePollers',
  'CoordinatorHeartbeat',
]);

const POLLER_METRICS: ReadonlySet<MetricName> = new Set<MetricName>([
  'WakeLatency',
  'SuccessionGap',
  'PollerThroughputInBytes',
  'PollerUtilization',
]);

const LEASE_METRICS: ReadonlySet<MetricName> = new Set<MetricName>([
  'CurrentLeases',
  'ExpiredLeases',
  'LeaseConflicts',
  'AssignmentDuration',
]);

/** `QueueMetrics` has no metric of its own: it is LagMetrics by queue. */
export function metricGroup(metric: MetricName): Exclude<MetricGroup, 'QueueMetrics'> {
  if (LAG_METRICS.has(metric)) return 'LagMetrics';
  if (POLLER_METRICS.has(metric)) return 'PollerMetrics';
  if (LEASE_METRICS.has(metric)) return 'LeaseMetrics';
  return metric.includes('Error') || ERRORS.has(metric) ? 'ErrorCount' : 'EventCount';
}

const ERRORS: ReadonlySet<MetricName> = new Set<MetricName>([
  'DiscardedEventCount',
  'InvalidResponseCount',
  'ThrottleCount',
  'LostLeases',
  'ClockSkewCount',
]);

/**
 * The value of the dimension `EventSource`, which everything has but the coordinator's own metrics: those have `Service`. With QueueMetrics
 * the lag is told by `EventSource`, `Topic` and `Queue` (`<broker>/<id>`) as well.
 */
export function eventSourceName(
  service: string,
  stage: string,
  cluster: string,
  consumerGroup: string,
): DimensionValue {
  const group = cluster === 'default' ? consumerGroup : `${cluster}/${consumerGroup}`;
  return dimensionValue(`${serviceName(service, stage)}/${group}`);
}

export function serviceName(service: string, stage: string): DimensionValue {
  return dimensionValue(`${service}-${stage}`);
}
