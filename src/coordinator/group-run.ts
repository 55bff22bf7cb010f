import { lookEveryMs, rulesOf } from '../decide/dispatch/rules-of.ts';
import type { DispatchRules, Invoked } from '../decide/dispatch/which-to-invoke.ts';
import { retryTopic } from '../model/message-queue.ts';
import { eventSourceName } from '../model/metrics.ts';
import {
  type ServiceConfig,
  type SourceConfig,
  type SubscriptionConfig,
  slotClientId,
} from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { AssignmentStore, GroupKey } from '../ports/assignment-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { PullerInvoker } from '../ports/invoke.ts';
import type { Logger } from '../ports/logger.ts';
import type { Gauges } from '../ports/meter.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { CoordinatorDeps } from './coordinator-deps.ts';
import type { Pace } from './paced.ts';
import { createProblems, type Problems } from './problems.ts';

/** One group in one run of the coordinator: what its steps work with, and what they remember until the run ends. */
export interface GroupRun {
  readonly source: SourceConfig;
  readonly group: GroupKey;
  readonly retryTopic: string;
  readonly rocketmq: RocketMQ;
  readonly store: AssignmentStore;
  readonly invoker: PullerInvoker;
  /** Of all groups together. */
  readonly pace: Pace;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly problems: Problems;
  /** Absent: nothing is measured. */
  readonly gauges: Gauges | undefined;
  /** Value of the dimension `EventSource`. */
  readonly eventSource: string;
  /** Also by queue? */
  readonly queueMetrics: boolean;
  /** Report figures of lag that are 0, beside the sum and the oldest age. Only for services that list their metrics. */
  readonly reportsZeros: boolean;
  /** Aborted when the run has to end. */
  readonly signal: AbortSignal;
  /** Epoch ms: when the run ends by itself. */
  readonly until: number;
  /** Does it last until the next run, so that a message in an idle queue is seen at once? */
  readonly watches: boolean;
  /** When pullers are started. */
  readonly rules: DispatchRules;
  readonly clientId: (slot: number) => string;
  /** The topic's subscription; undefined for the retry topic, and for a topic that is not subscribed any more. */
  readonly subscriptionOf: (topic: string) => SubscriptionConfig | undefined;
  /** By queue key. */
  readonly invoked: Map<string, Invoked>;
  /** Filters that were found good, by topic. */
  readonly filters: Map<string, Subscription>;
  readonly counts: Counts;
}

/** What was done in a run. */
export interface Counts {
  passes: number;
  created: number;
  moved: number;
  retired: number;
  revived: number;
  invocations: number;
}

export function watches({ coordinatorMode }: Pick<ServiceConfig, 'coordinatorMode'>): boolean {
  return coordinatorMode !== 'schedule';
}

export function beginGroupRun(
  source: SourceConfig,
  deps: CoordinatorDeps,
  pace: Pace,
  until: number,
  signal: AbortSignal,
): GroupRun {
  const { cluster, consumerGroup } = source;
  const { service, stage } = deps.service;
  const logger = deps.logger.child({ cluster, consumerGroup });
  const subscriptions = new Map(
    source.subscriptions.map((subscription) => [subscription.topic, subscription]),
  );
  return {
    source,
    group: { cluster, consumerGroup },
    retryTopic: retryTopic(consumerGroup),
    rocketmq: deps.clients(cluster),
    store: deps.store,
    invoker: deps.invoker,
    pace,
    clock: deps.clock,
    logger,
    problems: createProblems(logger),
    gauges: deps.gauges,
    eventSource: eventSourceName(service, stage, cluster, consumerGroup),
    reportsZeros: deps.service.metrics !== undefined,
    queueMetrics: deps.service.metrics?.includes('QueueMetrics') ?? false,
    signal,
    until,
    watches: watches(deps.service),
    rules: rulesOf(source, lookEveryMs(deps.service)),
    clientId: (slot) => slotClientId(service, stage, consumerGroup, slot),
    subscriptionOf: (topic) => subscriptions.get(topic),
    invoked: new Map(),
    filters: new Map(),
    counts: { passes: 0, created: 0, moved: 0, retired: 0, revived: 0, invocations: 0 },
  };
}
