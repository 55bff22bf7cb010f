import { queueFacts } from '../decide/state/queue-facts.ts';
import type { QueueState } from '../decide/state/queue-state.ts';
import { reasonOfAssignment, type StateReason } from '../decide/state/state-reason.ts';
import { countDeadLetters } from '../dlq/dead-letters.ts';
import { inWindow } from '../flow/in-window.ts';
import { lookAtQueue } from '../flow/queue-look.ts';
import type { Assignment } from '../model/assignment.ts';
import { compareQueues, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { isEnabled, type SourceConfig, slotClientId } from '../model/source.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { LOOK_MS, messageAt, queuesOfTopic, type Trouble, troubleOf } from './queue-figures.ts';
import { assignmentsOf, chooseSources, chooseTopic, topicsOf } from './scope.ts';

/** One queue at one moment. Offsets are texts: they are 64 bits wide. Times are epoch ms. */
export interface QueueStatus {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  /** A place of POP mode: `queueId` counts the places at the broker. */
  readonly pops?: true;
  /** `unassigned`: it has no item in the table (yet). */
  readonly state: QueueState | 'unassigned';
  readonly reason?: StateReason;
  /** Why the brokers' figures are missing: the error's stable code and its message. */
  readonly code?: string;
  readonly detail?: string;
  readonly slot?: number;
  readonly holder?: string;
  readonly leaseUntil?: number;
  /** The next offset to be written (mqadmin: Broker Offset). */
  readonly brokerOffset?: string;
  /** What the group has stored (mqadmin: Consumer Offset); absent: nothing yet. */
  readonly consumerOffset?: string;
  readonly lag?: string;
  /** When the first message that is not done was stored, and how long ago. */
  readonly oldestStoredAt?: number;
  readonly oldestAgeMs?: number;
  /** When the last message that is done was stored (mqadmin: LastTime). */
  readonly lastDoneStoredAt?: number;
  readonly pausedUntil?: number;
  readonly pauseReason?: string;
}

export interface GroupStatus {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly mode: 'pull' | 'pop' | 'broadcasting' | 'coexist';
  readonly lag: string;
  readonly oldestAgeMs?: number;
  readonly deadLetters?: { readonly stored: string; readonly waiting: string };
  /** Members at the brokers that are none of this service's. */
  readonly foreignMembers: readonly string[];
  /** What is wrong for the whole group, or for a topic of it. */
  readonly problems: readonly (Trouble & { readonly topic?: string })[];
  readonly queues: readonly QueueStatus[];
}

export interface StatusAnswer {
  readonly at: number;
  readonly service: string;
  readonly stage: string;
  readonly groups: readonly GroupStatus[];
  /** There are more groups: ask again with it. */
  readonly cursor?: string;
}

/** About 400 bytes each; an answer of Lambda holds 6 MB. */
const MOST_QUEUES = 5_000;
/** A message is read to know an age. Of more queues than these, those with the largest lags are read. */
const MOST_AGES = 256;

/** Groups, queues, who holds them, lag, age, state and reason: by the brokers and the table as they are now. */
export async function status(deps: OperatorDeps, args: Arguments): Promise<StatusAnswer> {
  const sources = chooseSources(deps, args);
  const topic =
    sources.length === 1 && sources[0] !== undefined
      ? chooseTopic(sources[0], args)
      : args.text('topic');
  const from = args.whole('cursor', 0, sources.length) ?? 0;
  args.finish();
  const groups: GroupStatus[] = [];
  let queues = 0;
  let next = from;
  for (; next < sources.length && queues < MOST_QUEUES; next++) {
    const group = await groupStatus(deps, sources[next] as SourceConfig, topic);
    queues += group.queues.length;
    groups.push(group);
  }
  const { service, stage } = deps.service;
  return {
    at: deps.clock.now(),
    service,
    stage,
    groups,
    ...(next < sources.length ? { cursor: String(next) } : {}),
  };
}

async function groupStatus(
  deps: OperatorDeps,
  source: SourceConfig,
  topic: string | undefined,
): Promise<GroupStatus> {
  const { cluster, consumerGroup } = source;
  const client = deps.clients(cluster);
  const topics = topicsOf(source).filter((one) => topic === undefined || one === topic);
  const [assignments, routes, foreign, deadLetters] = await Promise.all([
    assignmentsOf(deps, source),
    Promise.all(topics.map((one) => routeOf(client, one))),
    foreignMembers(deps, client, source).catch(() => []),
    countDeadLetters(client, consumerGroup, { timeoutMs: LOOK_MS }).catch(() => undefined),
  ]);
  const troubles = new Map(
    routes.flatMap(({ topic: name, trouble }) =>
      trouble === undefined ? [] : [[name, trouble] as const],
    ),
  );
  const places = placesOf(
    source,
    assignments,
    routes.flatMap(({ queues }) => queues),
    topics,
  );
  const measured = await inWindow(places, (place) =>
    measure(client, source, place, troubles.get(place.queue.topic)),
  );
  const now = deps.clock.now();
  await addAges(client, source, measured);
  const queues = measured.map((queue) => describe(source, queue, foreign.length > 0, now));
  const ages = queues.flatMap(({ oldestAgeMs }) => oldestAgeMs ?? []);
  const problems = [
    ...[...troubles].map(([name, trouble]) => ({ ...trouble, topic: name })),
    ...(foreign.length === 0 || source.coexist === true || source.messageModel === 'BROADCASTING'
      ? []
      : [
          {
            reason: 'FOREIGN_MEMBERS' as const,
            message: `others are in the group: ${foreign.join(', ')}; nothing is delivered here until they are gone, or coexist is true`,
          },
        ]),
  ];
  return {
    cluster,
    consumerGroup,
    mode:
      source.mode === 'pop'
        ? 'pop'
        : source.messageModel === 'BROADCASTING'
          ? 'broadcasting'
          : source.coexist === true
            ? 'coexist'
            : 'pull',
    lag: String(measured.reduce((sum, { lag = 0n }) => sum + lag, 0n)),
    ...(ages.length === 0 ? {} : { oldestAgeMs: Math.max(...ages) }),
    ...(deadLetters === undefined ? {} : { deadLetters }),
    foreignMembers: foreign,
    problems,
    queues,
  };
}

async function routeOf(client: RocketMQ, topic: string) {
  try {
    return {
      topic,
      queues: await queuesOfTopic(client, topic, { timeoutMs: LOOK_MS }),
      trouble: undefined,
    };
  } catch (error) {
    return { topic, queues: [], trouble: troubleOf(error) };
  }
}

interface Place {
  readonly queue: MessageQueue;
  readonly assignment: Assignment | undefined;
}

/** The table's queues and the route's, each once. In mode pop the broker's queues are nobody's: there are places instead. */
function placesOf(
  source: SourceConfig,
  assignments: readonly Assignment[],
  routed: readonly MessageQueue[],
  topics: readonly string[],
): Place[] {
  const places = new Map<string, Place>();
  for (const assignment of assignments)
    if (topics.includes(assignment.queue.topic))
      places.set(queueKey(assignment.queue), { queue: assignment.queue, assignment });
  const popped = new Set(
    source.mode === 'pop' ? source.subscriptions.map(({ topic }) => topic) : [],
  );
  for (const queue of routed)
    if (!places.has(queueKey(queue)) && !popped.has(queue.topic))
      places.set(queueKey(queue), { queue, assignment: undefined });
  return [...places.values()].sort((a, b) => compareQueues(a.queue, b.queue));
}

interface Measured extends Place {
  committed?: bigint;
  stored?: bigint;
  max?: bigint;
  lag?: bigint;
  trouble?: Trouble;
  oldestStoredAt?: number;
  lastDoneStoredAt?: number;
}

async function measure(
  client: RocketMQ,
  source: SourceConfig,
  place: Place,
  trouble: Trouble | undefined,
): Promise<Measured> {
  const { queue, assignment } = place;
  try {
    const look = await lookAtQueue(client, source, queue, assignment, { timeoutMs: LOOK_MS });
    if (look === undefined) return place;
    const { stored, ...figures } = look;
    return { ...place, ...figures, ...(stored === undefined ? {} : { stored }) };
  } catch (error) {
    return { ...place, trouble: trouble ?? troubleOf(error) };
  }
}

async function addAges(
  client: RocketMQ,
  { consumerGroup }: SourceConfig,
  measured: Measured[],
): Promise<void> {
  const behind = measured
    .filter(({ max = 0n }) => max > 0n)
    .sort((a, b) => Number((b.lag ?? 0n) - (a.lag ?? 0n)))
    .slice(0, MOST_AGES);
  const at = async (queue: MessageQueue, offset: bigint): Promise<number | undefined> =>
    (
      await messageAt(client, consumerGroup, queue, offset, { timeoutMs: LOOK_MS }).catch(
        () => undefined,
      )
    )?.storeTimestamp;
  await inWindow(behind, async (each) => {
    const { queue, committed, lag } = each;
    if (committed === undefined) return;
    const [oldest, last] = await Promise.all([
      lag === 0n ? undefined : at(queue, committed),
      committed === 0n ? undefined : at(queue, committed - 1n),
    ]);
    if (oldest !== undefined) each.oldestStoredAt = oldest;
    if (last !== undefined) each.lastDoneStoredAt = last;
  });
}

function describe(
  source: SourceConfig,
  each: Measured,
  othersThere: boolean,
  now: number,
): QueueStatus {
  const { queue, assignment, stored, max, lag, trouble, oldestStoredAt, lastDoneStoredAt } = each;
  const enabled = isEnabled(source, queue.topic);
  const own = assignment === undefined ? undefined : reasonOfAssignment(assignment, enabled, now);
  const refused = othersThere && source.coexist !== true && source.messageModel !== 'BROADCASTING';
  const reason =
    trouble?.reason ?? (own === 'PAUSED_BY_CHECK' && refused ? 'FOREIGN_MEMBERS' : own);
  const pause = assignment?.operatorPause;
  return {
    ...queue,
    ...(assignment === undefined
      ? { state: 'unassigned' as const }
      : queueFacts(source, assignment, lag, now)),
    ...(reason === undefined ? {} : { reason }),
    ...(trouble?.code === undefined ? {} : { code: trouble.code }),
    ...(trouble === undefined ? {} : { detail: trouble.message }),
    ...(max === undefined ? {} : { brokerOffset: String(max) }),
    ...(stored === undefined ? {} : { consumerOffset: String(stored) }),
    ...(lag === undefined ? {} : { lag: String(lag) }),
    ...(oldestStoredAt === undefined
      ? {}
      : { oldestStoredAt, oldestAgeMs: Math.max(0, now - oldestStoredAt) }),
    ...(lastDoneStoredAt === undefined ? {} : { lastDoneStoredAt }),
    ...(pause === undefined || pause.until <= now
      ? {}
      : { pausedUntil: pause.until, pauseReason: pause.reason }),
  };
}

/** Members that are none of our slots, on any broker of the cluster. */
export async function foreignMembers(
  { service }: OperatorDeps,
  client: RocketMQ,
  { consumerGroup }: SourceConfig,
): Promise<string[]> {
  const brokers = await client.brokerNames({ timeoutMs: LOOK_MS });
  const members = await Promise.all(
    brokers.map((brokerName) =>
      client.consumerConnections(consumerGroup, brokerName, { timeoutMs: LOOK_MS }).catch(() => []),
    ),
  );
  const ids = members.flat().map(({ clientId }) => clientId);
  return [...new Set(ids)]
    .filter((id) => !isOwnSlot(service.service, service.stage, consumerGroup, id))
    .sort();
}

export function isOwnSlot(
  service: string,
  stage: string,
  consumerGroup: string,
  clientId: string,
): boolean {
  const prefix = slotClientId(service, stage, consumerGroup, 0).slice(0, -1);
  return clientId.startsWith(prefix) && /^\d+$/.test(clientId.slice(prefix.length));
}
