import { WHOLE_GROUP } from '../decide/state/operator-pause.ts';
import { queueFacts } from '../decide/state/queue-facts.ts';
import { countDeadLetters } from '../dlq/dead-letters.ts';
import { lookAtQueue } from '../flow/queue-look.ts';
import type { Assignment } from '../model/assignment.ts';
import { compareQueues } from '../model/message-queue.ts';
import type { MetricName } from '../model/metrics.ts';
import type { ServiceConfig, SourceConfig } from '../model/source.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { GroupView, QueueView, Snapshot } from './console-model.ts';

/** Where the page's figures come from. */
export interface ConsoleSources {
  readonly service: ServiceConfig;
  readonly clients: (cluster: string) => RocketMQ;
  readonly store: AssignmentStore;
  readonly clock: Clock;
}

const REQUEST_MS = 2_000;

/** Every group of the service now: its queues by the table and by the brokers, and its dead letters. */
export async function takeSnapshot(
  sources: ConsoleSources,
  countsOf: (source: SourceConfig) => Partial<Record<MetricName, number>>,
): Promise<Snapshot> {
  const groups = await Promise.all(
    sources.service.sources.map((source) => groupView(sources, source, countsOf(source))),
  );
  return { at: sources.clock.now(), groups };
}

async function groupView(
  sources: ConsoleSources,
  source: SourceConfig,
  counts: GroupView['counts'],
): Promise<GroupView> {
  const { cluster, consumerGroup } = source;
  const empty: GroupView = {
    cluster,
    consumerGroup,
    lag: '0',
    queues: [],
    deadLetters: { stored: '0', waiting: '0' },
    counts,
  };
  try {
    const client = sources.clients(cluster);
    const [items, standing, deadLetters] = await Promise.all([
      sources.store.list({ cluster, consumerGroup }),
      sources.store.standingPauses({ cluster, consumerGroup }),
      countDeadLetters(client, consumerGroup, { timeoutMs: REQUEST_MS }),
    ]);
    const sorted = items.toSorted((a, b) => compareQueues(a.queue, b.queue));
    const queues = await Promise.all(
      sorted.map((assignment) => queueView(sources, client, source, assignment)),
    );
    const lag = queues.reduce((sum, queue) => sum + BigInt(queue.lag ?? 0), 0n);
    const now = sources.clock.now();
    const pause = standing.find(({ scope, until }) => scope === WHOLE_GROUP && until > now);
    return {
      ...{ ...empty, queues, lag: String(lag), deadLetters },
      ...(pause === undefined ? {} : { pause: { until: pause.until, reason: pause.reason } }),
    };
  } catch (error) {
    return { ...empty, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function queueView(
  { clock }: ConsoleSources,
  client: RocketMQ,
  source: SourceConfig,
  assignment: Assignment,
): Promise<QueueView> {
  const { queue } = assignment;
  // A broker that is away leaves its figures out, and the others stand.
  const look = await lookAtQueue(client, source, queue, assignment, {
    timeoutMs: REQUEST_MS,
  }).catch(() => undefined);
  const { state, slot, holder } = queueFacts(source, assignment, look?.lag, clock.now());
  return {
    ...{ ...queue, state },
    ...(slot === undefined ? {} : { slot }),
    ...(holder === undefined ? {} : { holder }),
    ...(look === undefined
      ? {}
      : { committed: String(look.committed), max: String(look.max), lag: String(look.lag) }),
  };
}
