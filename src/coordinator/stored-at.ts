import type { MessageQueue } from '../model/message-queue.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { GroupRun } from './group-run.ts';

/**
 * When the message at `offset` was stored, epoch ms. undefined: it cannot be read.
 * @param consumerGroup in whose name it is read
 */
export async function storedAt(
  run: GroupRun,
  queue: MessageQueue,
  offset: bigint,
  consumerGroup = run.group.consumerGroup,
): Promise<number | undefined> {
  const subscription = buildSubscription(queue.topic, '*');
  try {
    const request = { consumerGroup, queue, offset, subscription, maxMessages: 1, suspendMs: 0 };
    const result = await run.rocketmq.pull(request, { signal: run.signal });
    return result.status === 'FOUND' ? result.messages[0]?.storeTimestamp : undefined;
  } catch (error) {
    if (!run.signal.aborted) run.logger.debug({ err: error }, 'the age of a message cannot be read');
    return undefined;
  }
}
