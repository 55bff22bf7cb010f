import { TopicNotFoundError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import { dlqTopic } from '../model/message-queue.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { type DeadLetter, peekDeadLetters } from './dead-letters.ts';

/** Most dead letters of a broker that are looked at. */
const MAX_LETTERS = 2_000;

/** A message that may be in the dead-letter queue. */
export interface Sought {
  readonly message: Pick<Message, 'msgId' | 'offsetMsgId' | 'body'>;
  /** Id that it was first stored under. */
  readonly originMessageId: string;
  /** Its broker, which writes dead letters by itself (request 36). */
  readonly brokerName: string;
  /** It was dead-lettered then or later, epoch ms. */
  readonly since: number;
}

/**
 * Is the message in the dead-letter queue of the group? Other brokers are asked as far as they can be reached.
 * @throws what the client throws for its own broker; DeadLettersUnreadableError
 */
export async function isDeadLettered(
  client: RocketMQ,
  consumerGroup: string,
  sought: Sought,
  call: CallOptions,
): Promise<boolean> {
  const brokers = await brokersOf(client, consumerGroup, call);
  const isAt = async (brokerName: string): Promise<boolean> => {
    const { since } = sought;
    const selection = { brokerName, since, limit: MAX_LETTERS, ...call };
    for await (const letter of peekDeadLetters(client, consumerGroup, selection))
      if (isLetterOf(sought, letter)) return true;
    return false;
  };
  if (brokers.delete(sought.brokerName) && (await isAt(sought.brokerName))) return true;
  const others = await Promise.all([...brokers].map((name) => isAt(name).catch(() => false)));
  return others.includes(true);
}

async function brokersOf(
  client: RocketMQ,
  consumerGroup: string,
  call: CallOptions,
): Promise<Set<string>> {
  try {
    const { queues } = await client.topicRoute(dlqTopic(consumerGroup), { ...call, fresh: true });
    return new Set(queues.map(({ brokerName }) => brokerName));
  } catch (error) {
    if (error instanceof TopicNotFoundError) return new Set();
    throw error;
  }
}

/**
 * Where only the producer's id tells that they are one, the body must be the same as well: producers
 * may give two messages one UNIQ_KEY.
 */
function isLetterOf(
  { message, originMessageId }: Sought,
  { message: letter, originMessageId: origin }: DeadLetter,
): boolean {
  if (letter === undefined || origin === undefined) return false;
  if (origin === message.offsetMsgId || origin === originMessageId) return true;
  return (
    origin === message.msgId && letter.msgId === message.msgId && letter.body.equals(message.body)
  );
}
