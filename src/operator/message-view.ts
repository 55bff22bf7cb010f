import type { Message } from '../model/message.ts';
import { queueKey } from '../model/message-queue.ts';
import { bodyEncoding } from '../records/body-encoding.ts';
import { Property } from '../records/properties.ts';

/** A message as JSON. Its body decoded: text when it is UTF-8, base64 otherwise; long ones are cut in lists, and say so. */
export interface MessageView {
  readonly queue: string;
  readonly offset: string;
  readonly messageId: string;
  readonly offsetMessageId: string;
  readonly tags?: string;
  readonly keys?: string;
  readonly reconsumeTimes: number;
  readonly bornTimestamp: number;
  readonly storeTimestamp: number;
  readonly bodySize: number;
  readonly bodyEncoding: 'utf8' | 'base64';
  readonly body: string;
  readonly bodyCut: boolean;
  readonly properties: Readonly<Record<string, string>>;
}

export function messageView(message: Message, mostCharacters: number): MessageView {
  const encoding = bodyEncoding(message.body);
  const body = message.body.toString(encoding);
  const { topic, brokerName, queueId, properties } = message;
  const tags = properties.get(Property.TAGS);
  const keys = properties.get(Property.KEYS);
  return {
    queue: queueKey({ topic, brokerName, queueId }),
    offset: String(message.queueOffset),
    messageId: message.msgId,
    offsetMessageId: message.offsetMsgId,
    ...(tags === undefined ? {} : { tags }),
    ...(keys === undefined ? {} : { keys }),
    reconsumeTimes: message.reconsumeTimes,
    bornTimestamp: message.bornTimestamp,
    storeTimestamp: message.storeTimestamp,
    bodySize: message.body.length,
    bodyEncoding: encoding,
    body: body.slice(0, mostCharacters),
    bodyCut: body.length > mostCharacters,
    properties: Object.fromEntries(properties),
  };
}
