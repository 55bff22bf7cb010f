import { TopicNotFoundError } from '../errors.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';

/** Topics in which brokers have a committed offset of the group: it consumes them, or did. A producer cannot commit one. */
export function consumedTopics(
  client: RocketMQ,
  consumerGroup: string,
): (topic: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  return (topic) => {
    const before = known.get(topic);
    if (before !== undefined) return before;
    const asked = isConsumed(client, consumerGroup, topic);
    known.set(topic, asked);
    // What failed is asked again.
    asked.catch(() => known.delete(topic));
    return asked;
  };
}

async function isConsumed(
  client: RocketMQ,
  consumerGroup: string,
  topic: string,
): Promise<boolean> {
  try {
    const { queues } = await client.topicRoute(topic, {});
    for (const { brokerName, readQueueNums } of queues)
      for (let queueId = 0; queueId < readQueueNums; queueId++) {
        const queue = { topic, brokerName, queueId };
        const offset = await client.queryOffset(consumerGroup, queue);
        if (offset === undefined) continue;
        if (offset > 0n || (await client.isOffsetStored(consumerGroup, queue))) return true;
      }
    return false;
  } catch (error) {
    if (error instanceof TopicNotFoundError) return false;
    throw error;
  }
}
