import { reasonOfError, type StateReason } from '../decide/state/state-reason.ts';
import { RocketMQError, TopicNotFoundError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import { compareQueues, type MessageQueue, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import { readableQueues } from '../model/route.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { buildSubscription } from '../records/subscription.ts';

/** A broker that is away must not keep the figures of the others waiting. */
export const LOOK_MS = 3_000;

/** Why something could not be asked. */
export interface Trouble {
  readonly reason: StateReason;
  /** The stable one of errors.ts, as in logs. */
  readonly code?: string;
  readonly message: string;
}

export function troubleOf(error: unknown): Trouble {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof RocketMQError ? error.code : undefined;
  return {
    reason: reasonOfError({ code: code ?? '', message }),
    ...(code === undefined ? {} : { code }),
    message,
  };
}

/** Readable queues of a topic; a retry topic that nobody needed yet has none. */
export async function queuesOfTopic(
  client: RocketMQ,
  topic: string,
  options: CallOptions = {},
): Promise<MessageQueue[]> {
  try {
    return readableQueues(await client.topicRoute(topic, { ...options, fresh: true })).sort(
      compareQueues,
    );
  } catch (error) {
    if (error instanceof TopicNotFoundError && topic.startsWith(RETRY_TOPIC_PREFIX)) return [];
    throw error;
  }
}

/** The message at an offset, as the group would pull it; undefined: there is none (any more). Commits nothing. */
export async function messageAt(
  client: RocketMQ,
  consumerGroup: string,
  queue: MessageQueue,
  offset: bigint,
  options: CallOptions = {},
): Promise<Message | undefined> {
  const subscription = buildSubscription(queue.topic, '*');
  const result = await client.pull(
    { consumerGroup, queue, offset, subscription, maxMessages: 1, suspendMs: 0 },
    options,
  );
  return result.status === 'FOUND'
    ? result.messages.find(({ queueOffset }) => queueOffset === offset)
    : undefined;
}
