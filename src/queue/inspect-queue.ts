import type { QueueRange } from '../decide/offset/queue-life.ts';
import { BrokerError, PermissionError } from '../errors.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

/**
 * What the queue's broker reports of it now. undefined: the client has no right to ask (GET).
 * @throws what the client throws otherwise: a failed query must not pass for a valid offset
 */
export async function inspectQueue(
  client: Pick<RocketMQ, 'minOffset' | 'maxOffset' | 'firstStoredAt'>,
  queue: MessageQueue,
  options: CallOptions = {},
): Promise<QueueRange | undefined> {
  try {
    const [firstStoredAt, min, max] = await Promise.all([
      client.firstStoredAt(queue, options).catch(withoutTime),
      client.minOffset(queue, options),
      client.maxOffset(queue, options),
    ]);
    // Of an empty queue brokers report the time of a message that expired, or none.
    return { min, max, firstStoredAt: min < max ? firstStoredAt : undefined };
  } catch (error) {
    if (error instanceof PermissionError) return undefined;
    throw error;
  }
}

/** A broker that refuses to tell the time stops no queue: without it no other life is recognised, as without a mark. */
function withoutTime(error: unknown): undefined {
  if (error instanceof BrokerError && !(error instanceof PermissionError)) return undefined;
  throw error;
}
