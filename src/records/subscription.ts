import { InvalidFilterError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import type { ExpressionType, Subscription } from '../model/subscription.ts';
import { isOwnRetry } from './own-retry.ts';
import { Property } from './properties.ts';

export const ALL_TAGS = '*';

/** Java's String.hashCode: over UTF-16 units, 32 bit, signed. The broker's consume queue keeps only this of a tag. */
export function javaHashCode(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/**
 * Mirrors FilterAPI.build: nothing, "" and "*" are all; otherwise tags divided by "||".
 * @throws InvalidFilterError for an expression without any tag, and for an empty SQL92 expression
 */
export function buildSubscription(
  topic: string,
  expression: string | null | undefined,
  type: ExpressionType = 'TAG',
  subVersion = 0,
): Subscription {
  if (type === 'SQL92') {
    if (expression === null || expression === undefined || expression.trim() === '')
      throw new InvalidFilterError(`the SQL92 filter of topic "${topic}" is empty`);
    return {
      topic,
      subString: expression,
      expressionType: 'SQL92',
      tagsSet: [],
      codeSet: [],
      subVersion,
    };
  }
  if (
    expression === null ||
    expression === undefined ||
    expression === '' ||
    expression === ALL_TAGS
  )
    return {
      topic,
      subString: ALL_TAGS,
      expressionType: 'TAG',
      tagsSet: [],
      codeSet: [],
      subVersion,
    };
  const tags = expression
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (tags.length === 0)
    throw new InvalidFilterError(
      `the filter "${expression}" of topic "${topic}" names no tag: write "TagA || TagB", or "*" for all`,
    );
  const tagsSet = [...new Set(tags)];
  return {
    topic,
    subString: expression,
    expressionType: 'TAG',
    tagsSet,
    codeSet: [...new Set(tagsSet.map(javaHashCode))],
    subVersion,
  };
}

/** The client's second look (PullAPIWrapper.processPullResult): brokers compare hashes only, and hashes collide. */
export function matchesTags(subscription: Subscription, tags: string | undefined): boolean {
  return (
    subscription.tagsSet.length === 0 || (tags !== undefined && subscription.tagsSet.includes(tags))
  );
}

/**
 * The topic that the user knows: that of a message which came back to the group is in RETRY_TOPIC.
 * On other messages the property belongs to an earlier life.
 */
export function userTopic(
  message: Pick<Message, 'topic' | 'properties'>,
  consumerGroup: string,
): string {
  return isOwnRetry(message, consumerGroup)
    ? (message.properties.get(Property.RETRY_TOPIC) ?? message.topic)
    : message.topic;
}
