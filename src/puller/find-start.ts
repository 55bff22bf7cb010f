import type { Assignment } from '../model/assignment.ts';
import type { SourceConfig } from '../model/source.ts';
import type { PullerDeps } from './puller-deps.ts';

/**
 * Where to begin: the broker's offset of the group, else the one that was decided when the assignment was made. The latter is committed at once,
 * so that it is computed only once. Mirrors RebalancePushImpl.computePullFromWhereWithException.
 * @throws what the client throws: a failed query must never pass for "no offset"
 */
export async function findStart(deps: PullerDeps, source: SourceConfig, assignment: Assignment): Promise<bigint> {
  const { queue } = assignment;
  // A deployment's own offset; before the first one, that of the item itself, which is stored already.
  if (source.messageModel === 'BROADCASTING') return assignment.committedOffset ?? assignment.startOffset;
  const stored = await deps.client.queryOffset(source.consumerGroup, queue);
  if (stored !== undefined) return stored;
  await commitStart(deps, source, assignment);
  deps.logger.info(
    { topic: queue.topic, offset: String(assignment.startOffset) },
    'the group has no offset of the queue yet: starting as decided',
  );
  return assignment.startOffset;
}

async function commitStart(deps: PullerDeps, source: SourceConfig, assignment: Assignment): Promise<void> {
  const { queue, startOffset } = assignment;
  try {
    await deps.client.commitOffset(source.consumerGroup, queue, startOffset);
  } catch {
    // From 5.3 on a commit does not make the group, but a pull does, where the broker may make groups.
    const subscription = { topic: queue.topic, subString: '*', expressionType: 'TAG', tagsSet: [], codeSet: [], subVersion: 0 } as const;
    await deps.client.pull({ consumerGroup: source.consumerGroup, queue, offset: startOffset, subscription, maxMessages: 1, suspendMs: 0 });
    await deps.client.commitOffset(source.consumerGroup, queue, startOffset);
  }
}
