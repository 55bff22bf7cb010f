import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

/**
 * What the group has stored for a queue, wherever it keeps its offsets: in a broadcast, what it has at the broker is not this deployment's.
 * @param own what the table has
 */
export async function storedOffset(
  client: Pick<RocketMQ, 'queryOffset'>,
  { consumerGroup, messageModel }: SourceConfig,
  queue: MessageQueue,
  own: bigint | undefined,
  options: CallOptions = {},
): Promise<bigint | undefined> {
  return messageModel === 'BROADCASTING' ? own : client.queryOffset(consumerGroup, queue, options);
}
