import { isUtf8 } from 'node:buffer';
import type { DeadLetter } from '../dlq/dead-letters.ts';

const MOST_BODY_CHARACTERS = 4_000;

/** A dead letter as JSON for the page; long bodies are cut, and say so. */
export function letterView({ queue, offset, message, undecodable, originTopic }: DeadLetter): object {
  const place = { brokerName: queue.brokerName, queueId: queue.queueId, offset: String(offset), originTopic };
  if (message === undefined) return { ...place, problem: undecodable?.error.message ?? 'it cannot be decoded' };
  const isText = isUtf8(message.body);
  const body = message.body.toString(isText ? 'utf8' : 'base64');
  return {
    ...place,
    messageId: message.msgId,
    bornTimestamp: message.bornTimestamp,
    storeTimestamp: message.storeTimestamp,
    reconsumeTimes: message.reconsumeTimes,
    tags: message.properties.get('TAGS'),
    keys: message.properties.get('KEYS'),
    body: body.slice(0, MOST_BODY_CHARACTERS),
    bodyEncoding: isText ? 'utf8' : 'base64',
    cut: body.length > MOST_BODY_CHARACTERS,
    properties: Object.fromEntries(message.properties),
  };
}
