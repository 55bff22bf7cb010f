import type { DeadLetter } from '../dlq/dead-letters.ts';
import { bodyEncoding } from '../records/body-encoding.ts';

const MOST_BODY_CHARACTERS = 4_000;

/** A dead letter as JSON for the page; long bodies are cut, and say so. */
export function letterView({
  queue,
  offset,
  message,
  undecodable,
  originTopic,
}: DeadLetter): object {
  const place = {
    brokerName: queue.brokerName,
    queueId: queue.queueId,
    offset: String(offset),
    originTopic,
  };
  if (message === undefined)
    return { ...place, problem: undecodable?.error.message ?? 'it cannot be decoded' };
  const encoding = bodyEncoding(message.body);
  const body = message.body.toString(encoding);
  return {
    ...place,
    messageId: message.msgId,
    bornTimestamp: message.bornTimestamp,
    storeTimestamp: message.storeTimestamp,
    reconsumeTimes: message.reconsumeTimes,
    tags: message.properties.get('TAGS'),
    keys: message.properties.get('KEYS'),
    body: body.slice(0, MOST_BODY_CHARACTERS),
    bodyEncoding: encoding,
    cut: body.length > MOST_BODY_CHARACTERS,
    properties: Object.fromEntries(message.properties),
  };
}
