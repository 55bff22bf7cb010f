import { TopicNotFoundError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import { dlqTopic } from '../model/message-queue.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { BODY_PLACEHOLDER_PROPERTY } from '../records/dead-letter-form.ts';
import { Property } from '../records/properties.ts';
import { type DeadLetter, peekDeadLetters } from './dead-letters.ts';

/** Most dead letters of a broker that are looked at. */
const MAX_LETTERS = 2_000;

/** A message that may be in the dead-letter queue. */
export interface Sought {
  readonly message: Pick<
    Message,
    'msgId' | 'offsetMsgId' | 'body' | 'properties' | 'storeSize' | 'storeTimestamp'
  >;
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
 * A letter that is older than the message belongs to an earlier life of it, which was redriven.
 * Producers can write both ids, and brokers keep what they find, so the content must be the same, too.
 */
function isLetterOf(
  { message, originMessageId }: Sought,
  { message: letter, originMessageId: origin }: DeadLetter,
): boolean {
  if (letter === undefined || origin === undefined) return false;
  if (letter.storeTimestamp < message.storeTimestamp) return false;
  const { msgId, offsetMsgId, body } = message;
  if (origin !== offsetMsgId && origin !== originMessageId && origin !== msgId) return false;
  if (!letter.body.equals(body) && !isPlaceholderOf(letter, body)) return false;
  return namesPlace(message, origin) || letter.msgId === msgId;
}

/** Is the id the place of this one record? The messages of an inner batch share theirs. */
function namesPlace({ storeSize, properties }: Sought['message'], id: string): boolean {
  return storeSize > 0 && id !== properties.get(Property.UNIQ_KEY);
}

function isPlaceholderOf(letter: Message, body: Buffer): boolean {
  return body.length === 0 && letter.properties.has(BODY_PLACEHOLDER_PROPERTY);
}
