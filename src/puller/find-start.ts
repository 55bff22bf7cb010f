import { mayAct } from '../decide/lease/lease.ts';
import { isSetBack, settledAbove } from '../decide/offset/settled-above.ts';
import { type StartOffset, startOffset } from '../decide/offset/start-offset.ts';
import type { Assignment, LifeMark } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { brokerStartedAt } from '../queue/broker-start.ts';
import { inspectQueue } from '../queue/inspect-queue.ts';
import { firstMark, offsetOf, reportInvalidOffset } from '../queue/valid-offset.ts';
import { buildSubscription } from '../records/subscription.ts';
import { COMMIT_TIMEOUT_MS } from './offset-store.ts';
import type { PullerDeps } from './puller-deps.ts';

export interface Start {
  readonly offset: bigint;
  /** Recognises the present life of the queue; undefined: no message of it is known yet. */
  readonly mark: LifeMark | undefined;
  /** The queue is another one than the item knows: its attempts, deaths and mark are of the earlier one. */
  readonly anotherLife: boolean;
  /** Another client set the offset back: the item's counts are of deliveries that begin again. */
  readonly isSetBack: boolean;
  /** What the item has of the group's offset is outdated: it is written before the first delivery. */
  readonly outdatesItem: boolean;
  /** Epoch ms: the offset was committed again, because the broker had lost it. */
  readonly committedAgainAt?: number;
}

/**
 * Where a holder begins: the broker's offset of the group, else what the item knows, as long as it belongs to the queue
 * as it is now (decide/offset/start-offset). What the broker does not have is committed at once, so that it is decided
 * only once. Mirrors RebalancePushImpl.computePullFromWhereWithException.
 * @throws what the client throws: a failed query must never pass for "no offset"
 */
export async function findStart(
  deps: PullerDeps,
  source: SourceConfig,
  assignment: Assignment,
  logger: Logger,
): Promise<Start> {
  const { queue, committedOffset, startOffset: start, lifeMark, maxOffset } = assignment;
  const { client } = deps;
  await compileFilter(deps, source, queue);
  // A deployment's own offsets stand in its items.
  const own = source.messageModel === 'BROADCASTING';
  const [stored, range] = await Promise.all([
    own ? committedOffset : storedOffset(client, source.consumerGroup, assignment),
    inspectQueue(client, queue),
  ]);
  const { settled, wasSetBack } = await compareWithItem(deps, source, stored, assignment);
  const decision = startOffset({
    stored,
    committed: assignment.settledOffset ?? committedOffset,
    settled: range && settled,
    start,
    mark: lifeMark,
    knownMax: maxOffset,
    range,
  });
  const decided = await offsetOf(client, queue, decision, range);
  const offset = own ? decided : await storeStart(deps, source, assignment, stored, decided);
  const isSetBack = wasSetBack && decision.kind === 'stored';
  reportStart(logger, decision, offset);
  if (isSetBack)
    logger.warn(
      {
        code: 'ROCKETMQ_OFFSET_CHANGED',
        confirmed: String(committedOffset),
        stored: String(stored),
      },
      'stored offset set back by another client, starting there without the counts of before',
    );
  const anotherLife = decision.kind === 'minimum' && decision.reason === 'another-life';
  return {
    offset,
    mark: anotherLife ? firstMark(range) : lifeMark,
    anotherLife,
    isSetBack,
    outdatesItem: anotherLife || isSetBack || decision.kind === 'settled',
    ...(decision.kind === 'settled' && { committedAgainAt: deps.clock.now() }),
  };
}

/** What the stored offset means beside those of the item. `settled`: where settled messages end whose commits the broker lost. */
async function compareWithItem(
  deps: PullerDeps,
  { coexist }: SourceConfig,
  stored: bigint | undefined,
  assignment: Assignment,
): Promise<{ readonly settled: bigint | undefined; readonly wasSetBack: boolean }> {
  // What members of another kind commit beside this holder cannot be told from either.
  if (stored === undefined || coexist === true) return { settled: undefined, wasSetBack: false };
  const { committedOffset = 0n, queue } = assignment;
  const startedAt =
    stored < committedOffset
      ? await brokerStartedAt(deps.client, deps.clock, queue.brokerName)
      : undefined;
  return {
    settled: settledAbove(stored, assignment, startedAt),
    wasSetBack: isSetBack(stored, assignment, startedAt),
  };
}

/**
 * Commits where the holder begins, unless the broker has it. Before 5.0 a stored 0 may mean "none". Of two first commits of a group to a topic brokers
 * can lose one (ConsumerOffsetManager makes its map twice): then it is this one, which repeats what the broker reports.
 * @returns where the holder begins
 */
async function storeStart(
  deps: PullerDeps,
  source: SourceConfig,
  assignment: Assignment,
  stored: bigint | undefined,
  offset: bigint,
): Promise<bigint> {
  if (offset === stored && stored !== 0n) return offset;
  const { resetPending } = await commitStart(deps, source, assignment, offset);
  // An operator's reset is reported by the first pull.
  return resetPending && stored !== undefined ? stored : offset;
}

/** The broker's offset of the group. A 0 that takes the group back is looked at twice: before 5.0 it may mean "none". */
async function storedOffset(
  client: RocketMQ,
  consumerGroup: string,
  { queue, committedOffset = 0n }: Assignment,
): Promise<bigint | undefined> {
  const stored = await client.queryOffset(consumerGroup, queue);
  if (stored !== 0n || committedOffset === 0n) return stored;
  return (await client.isOffsetStored(consumerGroup, queue)) ? stored : undefined;
}

function reportStart(logger: Logger, decision: StartOffset, offset: bigint): void {
  switch (decision.kind) {
    case 'stored':
      return;
    case 'decided':
      logger.info(
        { offset: String(offset) },
        'no offset stored for the group, starting at the decided offset',
      );
      return;
    case 'committed':
      logger.warn(
        { code: 'ROCKETMQ_OFFSET_LOST', offset: String(offset) },
        'offset of the group lost by the broker, starting at the committed offset of the table',
      );
      return;
    case 'settled':
      logger.warn(
        {
          code: 'ROCKETMQ_COMMITS_LOST',
          stored: String(decision.stored),
          settled: String(decision.offset),
          offset: String(offset),
        },
        'settled offset of the table is above the stored offset, starting there',
      );
      return;
    default:
      reportInvalidOffset(logger, decision, offset);
  }
}

async function commitStart(
  deps: PullerDeps,
  source: SourceConfig,
  { queue, lease }: Assignment,
  offset: bigint,
): Promise<{ readonly resetPending: boolean }> {
  // A process that stood still may find another holder, whose commits it must not take back.
  const commit = () => {
    if (lease !== undefined && !mayAct(lease, deps.clock.now()))
      throw new Error('the lease has ended before the first offset was stored');
    return deps.client.commitOffset(source.consumerGroup, queue, offset, {
      timeoutMs: COMMIT_TIMEOUT_MS,
    });
  };
  try {
    return await commit();
  } catch {
    // From 5.3 on a commit does not make the group, but a pull does, where the broker may make groups.
    const subscription = {
      topic: queue.topic,
      subString: '*',
      expressionType: 'TAG',
      tagsSet: [],
      codeSet: [],
      subVersion: 0,
    } as const;
    await deps.client.pull({
      consumerGroup: source.consumerGroup,
      queue,
      offset,
      subscription,
      maxMessages: 1,
      suspendMs: 0,
    });
    return commit();
  }
}

/** A SQL92 filter that does not compile would deliver everything: nothing is pulled before the broker has compiled it, whatever a coordinator saw. */
async function compileFilter(
  deps: PullerDeps,
  source: SourceConfig,
  { topic, brokerName }: MessageQueue,
): Promise<void> {
  const filter = source.subscriptions.find((subscription) => subscription.topic === topic)?.filter;
  if (filter?.type !== 'SQL92') return;
  const subscription = buildSubscription(topic, filter.expression, filter.type, deps.clock.now());
  await deps.client.checkSubscription(source.consumerGroup, subscription, brokerName);
}
