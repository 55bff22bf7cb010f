import { orderedTimeoutMs } from '../decide/budget/handler-run-time.ts';
import { endedFor } from '../decide/lease/lease.ts';
import { inWindow } from '../flow/in-window.ts';
import { storedOffset } from '../flow/stored-offset.ts';
import type { Assignment } from '../model/assignment.ts';
import {
  DLQ_TOPIC_PREFIX,
  type MessageQueue,
  queueKey,
  RETRY_TOPIC_PREFIX,
} from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { AssignmentStore, OffsetWrite } from '../ports/assignment-store.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { Arguments } from './arguments.ts';
import { fenced } from './fence.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { cut, notFound, OperatorError, refused, usage } from './operator-error.ts';
import { queuesOfTopic } from './queue-figures.ts';
import {
  assignmentsOf,
  chooseQueue,
  chooseSource,
  chooseTopic,
  groupKey,
  parsePlace,
  requireOwn,
  requireStore,
} from './scope.ts';
import { foreignMembers } from './status.ts';

/** What is to become, or has become, of one queue's offset. */
export interface ResetQueue {
  readonly queue: string;
  /** What is stored now; absent: nothing. */
  readonly from?: string;
  readonly to: string;
  /** Messages that will be delivered again (to is before from), or never (behind it). */
  readonly redelivered: string;
  readonly skipped: string;
  /** What was asked for lies outside the queue: its first or last offset is taken instead. */
  readonly clamped: boolean;
  /** Read back after the write. Absent in a preview. */
  readonly stored?: string;
}

export interface ResetAnswer {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly applied: boolean;
  readonly queues: readonly ResetQueue[];
  /** Still held when the request had to end: ask again with these as `targets`. */
  readonly waiting: readonly string[];
}

type Target =
  | { readonly kind: 'first' | 'last' }
  | { readonly kind: 'offset' | 'time'; readonly value: bigint }
  | { readonly kind: 'group'; readonly group: string };

/**
 * Sets the offsets of a group: `to` is first, last, offset:N, time:MS or group:NAME. With dry-run, a preview; then, with its `queue=offset` as
 * `targets`, the same exactly: fenced, written, read back. User topics only, unless the retry topic is named.
 */
export async function reset(deps: OperatorDeps, args: Arguments): Promise<ResetAnswer> {
  const source = chooseSource(deps, args);
  const chosenQueue = chooseQueue(source, args);
  const topic = chooseTopic(source, args);
  const to = args.text('to');
  const targets = args.list('targets');
  const dryRun = args.flag('dry-run');
  args.finish();
  if (targets !== undefined && [to, chosenQueue, topic].some((other) => other !== undefined))
    usage('targets give the offset of each queue: leave out --to, --queue and --topic');
  const places = targets === undefined ? undefined : parseTargets(source, targets);
  const target =
    places === undefined
      ? parseTo(to ?? usage('--to is missing: give first, last, offset:N, a time, or group:NAME'))
      : undefined;
  await refuseWhereOthersCount(deps, source);
  const client = deps.clients(source.cluster);
  const topics = topic === undefined ? source.subscriptions.map((one) => one.topic) : [topic];
  const queues =
    places?.map(({ queue }) => queue) ??
    (chosenQueue === undefined
      ? (await Promise.all(topics.map((one) => queuesOfTopic(client, one)))).flat()
      : [chosenQueue]);
  if (queues.length === 0) notFound('there is no queue to reset');
  await requireQueues(client, queues);
  const own = new Map(
    (await assignmentsOf(deps, source)).map((each) => [queueKey(each.queue), each]),
  );
  const wanted = queues.map((queue, index) => ({
    queue,
    target: target ?? ({ kind: 'offset', value: places?.[index]?.offset ?? 0n } as const),
  }));
  const preview = await inWindow(wanted, ({ queue, target: each }) =>
    previewOf(client, source, queue, own.get(queueKey(queue)), each),
  );
  if (dryRun) return { ...groupKey(source), applied: false, queues: preview, waiting: [] };
  return apply(
    deps,
    source,
    preview.map(({ to, clamped }, index) => ({
      queue: queues[index] as MessageQueue,
      offset: BigInt(to),
      clamped,
    })),
  );
}

function parseTargets(
  source: SourceConfig,
  targets: readonly string[],
): { queue: MessageQueue; offset: bigint }[] {
  const places = targets.map(parsePlace);
  for (const { queue } of places) requireOwn(source, queue);
  const keys = places.map(({ queue }) => queueKey(queue));
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) usage(`targets name ${twice} twice: give one offset`);
  return places;
}

/** Brokers store offsets of queues that do not exist, too. */
async function requireQueues(client: RocketMQ, queues: readonly MessageQueue[]): Promise<void> {
  // The route of a dead-letter topic may name no readable queue.
  const named = queues.filter(({ topic }) => !topic.startsWith(DLQ_TOPIC_PREFIX));
  const topics = [...new Set(named.map(({ topic }) => topic))];
  const existing = new Set(
    (await Promise.all(topics.map((topic) => queuesOfTopic(client, topic)))).flat().map(queueKey),
  );
  const missing = named.find((queue) => !existing.has(queueKey(queue)));
  if (missing !== undefined)
    notFound(
      `topic "${missing.topic}" has no queue ${cut(`${missing.brokerName}/${missing.queueId}`)} that can be read`,
    );
}

/** Where our writes are not the last word, nothing is written. */
export async function refuseWhereOthersCount(
  deps: OperatorDeps,
  source: SourceConfig,
): Promise<void> {
  const { consumerGroup, mode } = source;
  if (mode === 'pop')
    refused(
      `group "${consumerGroup}" is in mode pop, where the broker keeps account of every message: use mqadmin resetOffsetByTime -g ${consumerGroup} -t <topic> -s <time>`,
    );
  const others =
    source.messageModel === 'BROADCASTING'
      ? []
      : await foreignMembers(deps, deps.clients(source.cluster), source);
  if (others.length > 0)
    refused(
      `others are in group "${consumerGroup}" (${others.join(', ')}) and would store their own offsets over it: stop them first, or use mqadmin resetOffsetByTime, which tells them`,
    );
}

async function previewOf(
  client: RocketMQ,
  source: SourceConfig,
  queue: MessageQueue,
  assignment: Assignment | undefined,
  target: Target,
): Promise<ResetQueue> {
  const [from, min, max] = await Promise.all([
    storedOffset(client, source, queue, assignment?.committedOffset),
    client.minOffset(queue),
    client.maxOffset(queue),
  ]);
  const wanted = await offsetOf(client, queue, target, min, max);
  const to = wanted < min ? min : wanted > max ? max : wanted;
  return { ...figures(queue, from, to, min), clamped: to !== wanted };
}

function figures(
  queue: MessageQueue,
  from: bigint | undefined,
  to: bigint,
  min: bigint,
): Omit<ResetQueue, 'clamped'> {
  const base = from ?? min;
  return {
    queue: queueKey(queue),
    ...(from === undefined ? {} : { from: String(from) }),
    to: String(to),
    redelivered: String(base > to ? base - to : 0n),
    skipped: String(to > base ? to - base : 0n),
  };
}

async function offsetOf(
  client: RocketMQ,
  queue: MessageQueue,
  target: Target,
  min: bigint,
  max: bigint,
): Promise<bigint> {
  switch (target.kind) {
    case 'first':
      return min;
    case 'last':
      return max;
    case 'offset':
      return target.value;
    case 'time':
      return client.searchOffset(queue, Number(target.value));
    case 'group':
      if (queue.topic.startsWith(RETRY_TOPIC_PREFIX))
        return refused(
          "a retry topic is its own group's: the offsets of another group say nothing there",
        );
      return (
        (await client.queryOffset(target.group, queue)) ??
        notFound(
          `group "${target.group}" has no offset on ${queueKey(queue)}: correct the name, or choose the queues that it consumes`,
        )
      );
  }
}

async function apply(
  deps: OperatorDeps,
  source: SourceConfig,
  targets: readonly { queue: MessageQueue; offset: bigint; clamped?: boolean }[],
): Promise<ResetAnswer> {
  const client = deps.clients(source.cluster);
  const clamped = new Set(
    targets.flatMap((each) => (each.clamped === true ? [queueKey(each.queue)] : [])),
  );
  const offsets = new Map(targets.map(({ queue, offset }) => [queueKey(queue), offset]));
  const { done, held } = await fenced(
    deps,
    source,
    targets.map(({ queue }) => queue),
    'an operator resets the offset',
    async (queue, assignment) => {
      const to = offsets.get(queueKey(queue)) as bigint;
      const [from, min] = await Promise.all([
        storedOffset(client, source, queue, assignment?.committedOffset),
        client.minOffset(queue),
      ]);
      const stored = await writeOffset(deps, source, queue, to, 'forget-counts');
      return {
        ...figures(queue, from, to, min),
        clamped: clamped.has(queueKey(queue)),
        stored: String(stored),
      };
    },
  );
  const waiting = held.map((queue) => `${queueKey(queue)}=${offsets.get(queueKey(queue))}`);
  return { ...groupKey(source), applied: true, queues: done, waiting };
}

/** Writes an offset and reads it back. Only behind a fence. @param counts of failures and deaths in the item */
export async function writeOffset(
  deps: OperatorDeps,
  source: SourceConfig,
  queue: MessageQueue,
  offset: bigint,
  counts: 'forget-counts' | 'keep-counts',
): Promise<bigint> {
  const client = deps.clients(source.cluster);
  const { consumerGroup, messageModel } = source;
  const isBroadcast = messageModel === 'BROADCASTING';
  // What the item has of the old offset must not pass for commits that the broker lost.
  const handlerTimeoutMs = orderedTimeoutMs(source);
  await writeItem(isBroadcast ? requireStore(deps) : deps.store, source, queue, {
    offset,
    ended: endedFor(deps.clock.now()),
    forgetsCounts: counts === 'forget-counts',
    ...(handlerTimeoutMs !== undefined && { handlerTimeoutMs }),
  });
  if (!isBroadcast) {
    if ((await client.commitOffset(consumerGroup, queue, offset)).resetPending)
      refused(
        `another reset of ${queueKey(queue)} (mqadmin, the dashboard) waits for the next pull and would win: let the group run until it is done, and repeat`,
      );
  }
  const item = (await assignmentsOf(deps, source)).find(
    (each) => queueKey(each.queue) === queueKey(queue),
  );
  const stored = await storedOffset(client, source, queue, item?.committedOffset);
  if (stored !== offset)
    throw new OperatorError(
      'ROCKETMQ_OPERATOR_REFUSED',
      `${queueKey(queue)} was set to ${offset} and has ${stored ?? 'nothing'} now: somebody else writes offsets of group "${consumerGroup}"; stop them and repeat`,
    );
  return stored;
}

/** @throws OperatorError where the item would keep the old offset */
async function writeItem(
  store: AssignmentStore | undefined,
  source: SourceConfig,
  queue: MessageQueue,
  request: OffsetWrite,
): Promise<void> {
  const outcome = await store?.writeOffset(groupKey(source), queue, request);
  if (outcome === 'held')
    refused(
      `a puller holds ${queueKey(queue)} and would store its own offset over it: nothing was written, repeat`,
    );
  // Without an item the offset at the broker counts alone, which a broadcast does not have.
  if (outcome === 'missing' && source.messageModel === 'BROADCASTING')
    refused(
      `${queueKey(queue)} has no item in the table: wait until the coordinator has assigned it, and repeat`,
    );
}

/** Names of groups, with those of a namespace. */
const GROUP_NAME = /^[%|a-zA-Z0-9_-]{1,255}$/;
/** The last millisecond that a date has. */
const MAX_TIME = 8_640_000_000_000_000n;

function parseTo(text: string): Target {
  if (text === 'first' || text === 'last') return { kind: text };
  const [, kind, value = ''] = /^(offset|time|group):(.+)$/.exec(text) ?? [];
  if (kind === 'group' && GROUP_NAME.test(value)) return { kind, group: value };
  if ((kind === 'offset' || kind === 'time') && /^\d{1,19}$/.test(value)) {
    const number = BigInt(value);
    if (kind === 'offset' || number <= MAX_TIME) return { kind, value: number };
  }
  return usage(`--to is "${cut(text)}": give first, last, offset:N, a time, or group:NAME`);
}
