import type { QueueRange } from '../decide/offset/queue-life.ts';
import type { StartOffset } from '../decide/offset/start-offset.ts';
import type { LifeMark } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

/**
 * The offset of a decision.
 * @param range as the decision was made with
 */
export async function offsetOf(
  client: Pick<RocketMQ, 'searchOffset'>,
  queue: MessageQueue,
  decision: StartOffset,
  range: QueueRange | undefined,
  options: CallOptions = {},
): Promise<bigint> {
  if (decision.kind !== 'younger-than' && decision.kind !== 'settled') return decision.offset;
  const found = await client.searchOffset(queue, decision.storedAt + 1, options);
  if (decision.kind === 'settled')
    return found < decision.stored
      ? decision.stored
      : found < decision.offset
        ? found
        : decision.offset;
  return range !== undefined && found < range.min ? range.min : found;
}

/** The mark of a queue of which only the first message is known. */
export function firstMark(range: QueueRange | undefined): LifeMark | undefined {
  return range?.firstStoredAt === undefined
    ? undefined
    : { offset: range.min, storedAt: range.firstStoredAt };
}

/** A candidate that is not an offset of the queue as it is now. */
export function reportInvalidOffset(
  logger: Logger,
  decision: Extract<StartOffset, { candidate: bigint }>,
  offset: bigint,
): void {
  logger.warn(
    {
      code: 'ROCKETMQ_OFFSET_INVALID',
      reason: decision.kind === 'minimum' ? decision.reason : 'messages-lost',
      candidate: String(decision.candidate),
      offset: String(offset),
    },
    'offset not valid in the queue as it is now, starting at another offset',
  );
}
