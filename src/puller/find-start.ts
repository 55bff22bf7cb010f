import type { Assignment } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { PullerDeps } from './puller-deps.ts';

/**
 * Where to begin: the broker's offset of the group, else the one that was decided when the assignment was made. The latter is committed at once,
 * so that it is computed only once. Mirrors RebalancePushImpl.computePullFromWhereWithException.
 * @throws what the client throws: a failed query must never pass for "no offset"
 */
export async function findStart(
  deps: PullerDeps,
  source: SourceConfig,
  assignment: Assignment,
): Promise<bigint> {
  const { queue } = assignment;
  await compileFilter(deps, source, queue);
  // A deployment's own offset; before the first one, that of the item itself, which is stored already.
  if (source.messageModel === 'BROADCASTING')
    return assignment.committedOffset ?? assignment.startOffset;
  const stored = await deps.client.queryOffset(source.consumerGroup, queue);
  // Before 5.0 it may mean "none". Of two first commits of a group to a topic brokers can lose one (ConsumerOffsetManager makes its map twice): then it
  // is this one, which says nothing new, and not one that would seem to be taken back by somebody.
  if (stored === 0n) await deps.client.commitOffset(source.consumerGroup, queue, stored);
  if (stored !== undefined) return stored;
  await commitStart(deps, source, assignment);
  deps.logger.info(
    { topic: queue.topic, offset: String(assignment.startOffset) },
    'the group has no offset of the queue yet: starting as decided',
  );
  return assignment.startOffset;
}

async function commitStart(
  deps: PullerDeps,
  source: SourceConfig,
  assignment: Assignment,
): Promise<void> {
  const { queue, startOffset } = assignment;
  try {
    await deps.client.commitOffset(source.consumerGroup, queue, startOffset);
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
      offset: startOffset,
      subscription,
      maxMessages: 1,
      suspendMs: 0,
    });
    await deps.client.commitOffset(source.consumerGroup, queue, startOffset);
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
