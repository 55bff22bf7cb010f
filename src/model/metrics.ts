/** The CloudWatch namespace of everything that is measured here. */
export const METRICS_NAMESPACE = 'RocketMQ/Lambda';

/** Every metric and its unit. Names are Lambda's for event source mappings where it has one, KCL's for leases. */
export const METRICS = {
  // What happened to messages. PolledEventCount is 0 on an empty poll, so that silence means broken.
  PolledEventCount: 'Count',
  FilteredOutEventCount: 'Count',
  InvokedEventCount: 'Count',
  FailedInvokeEventCount: 'Count',
  DroppedEventCount: 'Count',
  OnFailureDestinationDeliveredEventCount: 'Count',
  CommittedEventCount: 'Count',
  RetriedEventCount: 'Count',
  DeadLetteredEventCount: 'Count',
  // What went wrong.
  PollingErrorCount: 'Count',
  InvokeErrorCount: 'Count',
  CommitErrorCount: 'Count',
  OnFailureDestinationDeliveryErrorCount: 'Count',
  InvalidResponseCount: 'Count',
  ThrottleCount: 'Count',
  LostLeases: 'Count',
  // Told by the coordinator, once per run and source.
  SumOffsetLag: 'Count',
  MaxOffsetLag: 'Count',
  OldestMessageAge: 'Milliseconds',
  StalledQueues: 'Count',
  UnownedQueues: 'Count',
  ActivePollers: 'Count',
  // Of the whole service.
  CoordinatorHeartbeat: 'Count',
  CoordinatorErrorCount: 'Count',
} as const;

export type MetricName = keyof typeof METRICS;

/**
 * Dimensions: `EventSource` on everything but the coordinator's own, which have `Service`. With QueueMetrics the lag is told
 * per `EventSource`, `Topic`, `Queue` (`<broker>/<id>`) as well.
 */
export function eventSourceName(service: string, stage: string, cluster: string, consumerGroup: string): string {
  const group = cluster === 'default' ? consumerGroup : `${cluster}/${consumerGroup}`;
  return `${serviceName(service, stage)}/${group}`;
}

export function serviceName(service: string, stage: string): string {
  return `${service}-${stage}`;
}
