import { UNLIMITED_RECONSUME_TIMES } from '../decide/retry/redelivery.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { Property } from '../records/properties.ts';

/** Redeliveries before the DLQ, by the message's tag. −1: without end, as far as the protocol counts. */
export function maxReconsumeTimes(
  {
    maximumRetryAttempts,
    maximumRetryAttemptsByTag,
  }: Pick<SubscriptionConfig, 'maximumRetryAttempts' | 'maximumRetryAttemptsByTag'>,
  message?: Pick<Message, 'properties'>,
): number {
  const tag = tagOf(message);
  const ofTag =
    tag !== undefined &&
    maximumRetryAttemptsByTag !== undefined &&
    Object.hasOwn(maximumRetryAttemptsByTag, tag);
  const attempts = ofTag ? (maximumRetryAttemptsByTag[tag] as number) : maximumRetryAttempts;
  return attempts < 0 ? UNLIMITED_RECONSUME_TIMES : attempts;
}

/** undefined: it has none, or it cannot be read; then the limit of all messages holds. */
function tagOf(message: Pick<Message, 'properties'> | undefined): string | undefined {
  try {
    return message?.properties.get(Property.TAGS);
  } catch {
    return undefined;
  }
}
