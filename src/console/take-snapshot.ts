import { queueState } from '../decide/state/queue-state.ts';
import { listDeadLetters } from '../dlq/dead-letters.ts';
import { storedOffset } from '../flow/stored-offset.ts';
import type { Assignment } from '../model/assignment.ts';
import { compareQueues } from '../model/message-queue.ts';
import type { MetricName } from '../model/metrics.ts';
import { isEnabled, type ServiceConfig, type SourceConfig } from '../model/source.ts';
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
  const groups = await Promise.all(sources.service.sources.map((source) => groupView(sources, source, countsOf(source))));
  return { at: sources.clock.now(), groups };
}

async function groupView(sources: ConsoleSources, source: SourceConfig, counts: GroupView['counts']): Promise<GroupView> {
  const { cluster, consumerGroup } = source;
  const empty: GroupView = { cluster, consumerGroup, lag: '0', queues: [], deadLetters: { stored: '0', waiting: '0' }, counts };
  try {
    const client = sources.clients(cluster);
    const [items, [dead]] = await Promise.all([
      sources.store.list({ cluster, consumerGroup }),
      listDeadLetters(client, { consumerGroup, timeoutMs: REQUEST_MS }),
    ]);
    const sorted = items.toSorted((a, b) => compareQueues(a.queue, b.queue));
    const queues = await Promise.all(sorted.map((assignment) => queueView(sources, client, source, assignment)));
    const lag = queues.reduce((sum, queue) => sum + BigInt(queue.lag ?? 0), 0n);
    const deadLetters = { stored: String(dead?.count ?? 0n), waiting: String(dead?.waiting ?? 0n) };
    return { ...empty, queues, lag: String(lag), deadLetters };
  } catch (error) {
    return { ...empty, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function queueView({ clock }: ConsoleSources, client: RocketMQ, source: SourceConfig, assignment: Assignment): Promise<QueueView> {
  const { queue, slot, lease, retiredAt } = assignment;
  const now = clock.now();
  const asked = source.mode !== 'pop' && retiredAt === undefined;
  const [committed, max] = asked ? await offsets(client, source, assignment) : [];
  const lag = committed === undefined || max === undefined ? undefined : max > committed ? max - committed : 0n;
  const held = lease !== undefined && lease.leaseUntil > now;
  return {
    topic: queue.topic,
    brokerName: queue.brokerName,
    queueId: queue.queueId,
    slot,
    state: queueState(assignment, isEnabled(source, queue.topic), lag, now),
    ...(held ? { holder: lease.holder } : {}),
    ...(committed === undefined ? {} : { committed: String(committed) }),
    ...(max === undefined ? {} : { max: String(max) }),
    ...(lag === undefined ? {} : { lag: String(lag) }),
  };
}

/** A broker that is away leaves its figures out, and the others stand. */
async function offsets(
  client: RocketMQ,
  source: SourceConfig,
  { queue, committedOffset, startOffset }: Assignment,
): Promise<readonly [bigint?, bigint?]> {
  const call = { timeoutMs: REQUEST_MS };
  try {
    const [stored, max] = await Promise.all([storedOffset(client, source, queue, committedOffset, call), client.maxOffset(queue, call)]);
    return [stored ?? startOffset, max];
  } catch {
    return [];
  }
}
