import { RocketMQError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import { retryTopic } from '../model/message-queue.ts';
import type { OutgoingMessage } from '../ports/rocketmq.ts';
import { encodeBatchItem } from '../records/encode-record.ts';
import { formatProperties, hasSeparator, Property } from '../records/properties.ts';

const FIRST_RETRY_LEVEL = 3;
const MAX_PROPERTY_BYTES = 32_767;

/** The property string of a message to send, with the UNIQ_KEY that it has or gets. */
export function outgoingProperties(message: OutgoingMessage, uniqKey: () => string): { properties: string; msgId: string } {
  const { map, msgId } = propertyMap(message, uniqKey);
  const properties = formatProperties(map);
  if (Buffer.byteLength(properties) > MAX_PROPERTY_BYTES)
    throw new RocketMQError('ROCKETMQ_MESSAGE_ILLEGAL', `the properties of a message take more than ${MAX_PROPERTY_BYTES} bytes`);
  return { properties, msgId };
}

/**
 * The body of a batch send: its messages one behind the other.
 * @throws RocketMQError for no message, or messages of several topics
 */
export function batchBody(messages: readonly OutgoingMessage[], uniqKey: () => string): { topic: string; body: Buffer; msgId: string } {
  const [first] = messages;
  if (first === undefined) throw new RocketMQError('ROCKETMQ_USAGE', 'a batch needs at least one message');
  if (messages.some(({ topic }) => topic !== first.topic))
    throw new RocketMQError('ROCKETMQ_USAGE', 'all messages of a batch must have the same topic');
  const ids: string[] = [];
  const items = messages.map((message) => {
    const { map, msgId } = propertyMap(message, uniqKey);
    ids.push(msgId);
    return encodeBatchItem({ flag: message.flag ?? 0, body: message.body, properties: map });
  });
  return { topic: first.topic, body: Buffer.concat(items), msgId: ids.join(',') };
}

function propertyMap(message: OutgoingMessage, uniqKey: () => string): { map: Map<string, string>; msgId: string } {
  if (message.body.length === 0)
    throw new RocketMQError('ROCKETMQ_MESSAGE_ILLEGAL', `a message for topic "${message.topic}" has no body: brokers refuse empty ones`);
  const given = message.properties ?? {};
  const map = new Map(
    given instanceof Map ? (given as ReadonlyMap<string, string>) : Object.entries(given as Readonly<Record<string, string>>),
  );
  if (message.tags !== undefined) map.set(Property.TAGS, message.tags);
  if (message.keys !== undefined && message.keys.length > 0) map.set(Property.KEYS, message.keys.join(' '));
  for (const [name, value] of map)
    if (hasSeparator(name) || hasSeparator(value))
      throw new RocketMQError('ROCKETMQ_MESSAGE_ILLEGAL', `property "${name}" contains U+0001 or U+0002, which divide properties`);
  const msgId = map.get(Property.UNIQ_KEY) ?? uniqKey();
  map.set(Property.UNIQ_KEY, msgId);
  return { map, msgId };
}

/** A failed message as an ordinary one for the retry topic. Mirrors DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage. */
export function normalRetryMessage(
  consumerGroup: string,
  message: Message,
  delayLevel: number,
): { topic: string; body: Buffer; properties: string; flag: number } {
  const properties = new Map(message.properties);
  // These two travel in the header; a transaction is over once its message was delivered.
  for (const name of [Property.RECONSUME_TIME, Property.MAX_RECONSUME_TIMES, Property.TRAN_MSG]) properties.delete(name);
  if (!properties.has(Property.RETRY_TOPIC)) properties.set(Property.RETRY_TOPIC, message.topic);
  if (!properties.has(Property.ORIGIN_MESSAGE_ID)) properties.set(Property.ORIGIN_MESSAGE_ID, message.msgId);
  properties.set(Property.DELAY, String(delayLevel > 0 ? delayLevel : FIRST_RETRY_LEVEL + message.reconsumeTimes));
  return { topic: retryTopic(consumerGroup), body: message.body, properties: formatProperties(properties), flag: message.flag };
}
