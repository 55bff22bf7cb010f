import { eventSourceName, METRICS_NAMESPACE, type MetricName } from '../../src/model/metrics.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import type { CloudFormationResource } from '../serverless-api.ts';

const HEIGHT = 6;
/** Of the 24 that a dashboard is wide. */
const WIDTH = 6;

interface Chart {
  readonly title: string;
  readonly stat: 'Maximum' | 'Sum';
  readonly metrics: readonly MetricName[];
}

/** A row per consumer group: what waits, for how long, what happened, what went wrong. */
const CHARTS: readonly Chart[] = [
  { title: 'oldest message (ms)', stat: 'Maximum', metrics: ['OldestMessageAge'] },
  {
    title: 'lag',
    stat: 'Maximum',
    metrics: [
      'SumOffsetLag',
      'MaxOffsetLag',
      'StalledQueues',
      'UnownedQueues',
      'UnmeasuredQueues',
      'ActivePollers',
    ],
  },
  {
    title: 'messages',
    stat: 'Sum',
    metrics: [
      'PolledEventCount',
      'CommittedEventCount',
      'RetriedEventCount',
      'DeadLetteredEventCount',
      'DroppedEventCount',
      'FilteredOutEventCount',
    ],
  },
  {
    title: 'errors',
    stat: 'Sum',
    metrics: [
      'FailedInvokeEventCount',
      'InvokeErrorCount',
      'ThrottleCount',
      'InvalidResponseCount',
      'PollingErrorCount',
      'CommitErrorCount',
      'SendBackErrorCount',
      'DiscardedEventCount',
      'LostLeases',
    ],
  },
];

export function dashboardResources(
  { service, stage, sources }: ServiceConfig,
  wanted: boolean,
): Record<string, CloudFormationResource> {
  if (!wanted) return {};
  const widgets = sources.flatMap(({ cluster, consumerGroup }, row) =>
    CHARTS.map(({ title, stat, metrics }, column) => ({
      type: 'metric',
      x: column * WIDTH,
      y: row * HEIGHT,
      width: WIDTH,
      height: HEIGHT,
      properties: {
        title: `${consumerGroup}: ${title}`,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation fills it in
        region: '${AWS::Region}',
        view: 'timeSeries',
        period: 60,
        stat,
        metrics: metrics.map((metric) => [
          METRICS_NAMESPACE,
          metric,
          'EventSource',
          eventSourceName(service, stage, cluster, consumerGroup),
        ]),
      },
    })),
  );
  return {
    RocketmqDashboard: {
      Type: 'AWS::CloudWatch::Dashboard',
      Properties: {
        DashboardName: `${service}-${stage}-rocketmq`,
        DashboardBody: { 'Fn::Sub': JSON.stringify({ widgets }) },
      },
    },
  };
}
