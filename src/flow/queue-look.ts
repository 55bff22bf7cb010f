import type { Assignment } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { storedOffset } from './stored-offset.ts';

/** Where a group stands in a queue, by the brokers. */
export interface QueueLook {
  /** What the group has stored; undefined: nothing yet. */
  readonly stored: bigint | undefined;
  /** Where it goes on: at what it has stored, else where the table says that it begins, else at the first message. */
  readonly committed: bigint;
  /** The next offset to be written. */
  readonly max: bigint;
  readonly lag: bigint;
}

/**
 * What a console and `status` find out about a queue. Undefined for what has no offsets to ask for: places of mode pop, and queues that the
 * table has only because they were there.
 * @throws RocketMQError when its broker cannot be asked
 */
export async function lookAtQueue(
  client: Pick<RocketMQ, 'queryOffset' | 'maxOffset' | 'minOffset'>,
  source: SourceConfig,
  queue: MessageQueue,
  assignment: Assignment | undefined,
  call: CallOptions,
): Promise<QueueLook | undefined> {
  if (isPopUnit(queue) || assignment?.retiredAt !== undefined) return undefined;
  const [stored, max] = await Promise.all([
    storedOffset(client, source, queue, assignment?.committedOffset, call),
    client.maxOffset(queue, call),
  ]);
  const known = assignment?.committedOffset ?? assignment?.startOffset;
  const committed = stored ?? known ?? (await client.minOffset(queue, call));
  return { stored, committed, max, lag: max > committed ? max - committed : 0n };
}
