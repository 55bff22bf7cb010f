import type { MessageQueue } from '../model/message-queue.ts';
import type { PullResult } from '../ports/rocketmq.ts';
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
  try {
    const result = await lookAt(run, queue, offset, consumerGroup);
    return result.status === 'FOUND' ? result.messages[0]?.storeTimestamp : undefined;
  } catch (error) {
    if (!run.signal.aborted)
      run.logger.debug({ err: error }, 'the age of a message cannot be read');
    return undefined;
  }
}

/** For queues whose end may not be asked for: is there anything for a puller to do at `offset`? */
export async function hasWorkAt(
  run: GroupRun,
  queue: MessageQueue,
  offset: bigint,
): Promise<boolean> {
  return (await lookAt(run, queue, offset, run.group.consumerGroup)).status !== 'NO_NEW_MSG';
}

async function lookAt(
  { rocketmq, signal }: GroupRun,
  queue: MessageQueue,
  offset: bigint,
  consumerGroup: string,
): Promise<PullResult> {
  const subscription = buildSubscription(queue.topic, '*');
  return rocketmq.pull(
    { consumerGroup, queue, offset, subscription, maxMessages: 1, suspendMs: 0 },
    { signal },
  );
}
