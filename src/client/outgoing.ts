import { RocketMQError } from '../errors.ts';
import type { DelayLevel } from '../model/delay-level.ts';
import type { DeadLetter, Message } from '../model/message.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../model/message-queue.ts';
import { MASTER_ID, PERM_WRITE, type TopicRoute } from '../model/route.ts';
import type { SetAside } from '../model/set-aside.ts';
import type { SendResult } from '../ports/rocketmq.ts';
import { encodeBatchItem } from '../records/batch-items.ts';
import { failedDeliveries, firstStoredAt, isOwnRetry } from '../records/own-retry.ts';
import { poppedTopic } from '../records/pop-handle.ts';
import { endsProperty, formatProperties, hasSeparator, Property } from '../records/properties.ts';
import { javaHashCode } from '../records/subscription.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { SendMessageRequest } from '../requests/send-message.ts';
import type { CheckedMessage } from './check-message.ts';

const FIRST_RETRY_LEVEL = 3;
const MAX_PROPERTY_BYTES = 32_767;
/** Integer.MAX_VALUE, which Java sends for "without end"; brokers would take −1 for a limit that is always passed. */
const WITHOUT_END = 0x7fffffff;
/** The template that brokers make unknown topics from. */
export const DEFAULT_TOPIC = 'TBW102';
const DEFAULT_TOPIC_QUEUES = 4;
const PRODUCER_GROUP = 'serverless-rocketmq';

/** With these codes the message is stored. */
const SEND_STATUS: ReadonlyMap<number, SendResult['status']> = new Map([
  [ResponseCode.SUCCESS, 'SEND_OK'],
  [ResponseCode.FLUSH_DISK_TIMEOUT, 'FLUSH_DISK_TIMEOUT'],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, 'FLUSH_SLAVE_TIMEOUT'],
  [ResponseCode.SLAVE_NOT_AVAILABLE, 'SLAVE_NOT_AVAILABLE'],
]);
export const SEND_CODES: readonly number[] = [...SEND_STATUS.keys()];

export function sendStatus(code: number): SendResult['status'] {
  return SEND_STATUS.get(code) ?? 'SEND_OK';
}

/** What the wire wants to know of a limit: −1 means without end. */
export function wireMaxReconsumeTimes(maxReconsumeTimes: number): number {
  return maxReconsumeTimes < 0 ? WITHOUT_END : maxReconsumeTimes;
}

/** The level in request 36, which also chooses the delay of a retry that is sent as a message. */
export function wireDelayLevel(level: DelayLevel): number {
  switch (level) {
    case 'dead-letter':
      return -1;
    case 'broker-decides':
      return 0;
    default:
      return level;
  }
}

/** A send, or a batch of sends, before its queue is chosen. `msgId`: UNIQ_KEYs, joined by commas. */
export interface Outgoing {
  readonly msgId: string;
  /** Chooses the queue. undefined: the queues take turns. */
  readonly shardingKey: string | undefined;
  request(queueId: number, bornTimestamp: number): SendMessageRequest;
}

const COMMON = {
  producerGroup: PRODUCER_GROUP,
  defaultTopic: DEFAULT_TOPIC,
  defaultTopicQueueNums: DEFAULT_TOPIC_QUEUES,
  sysFlag: 0,
  flag: 0,
  reconsumeTimes: 0,
  unitMode: false,
  batch: false,
} as const;

/**
 * @param forwarded a broker has stored it once: only what cannot be written is refused
 * @throws RocketMQError for a message that brokers would refuse
 */
export function outgoingMessage(
  message: CheckedMessage,
  uniqKey: () => string,
  forwarded = false,
): Outgoing {
  const { map, msgId } = propertyMap(message, uniqKey, forwarded);
  const { topic, body, flag = 0 } = message;
  const properties = formatProperties(map);
  return {
    msgId,
    shardingKey: shardingKeyOf(message),
    request: (queueId, bornTimestamp) => ({
      ...COMMON,
      topic,
      body,
      flag,
      properties,
      queueId,
      bornTimestamp,
    }),
  };
}

/**
 * Several messages as one request: their bodies one behind the other.
 * @param isPlaced its queue is given, and no sharding key chooses it
 * @throws RocketMQError for no message, messages of several topics, or of several sharding keys where one chooses the queue
 */
export function outgoingBatch(
  messages: readonly CheckedMessage[],
  uniqKey: () => string,
  isPlaced = false,
): Outgoing {
  const [first] = messages;
  if (first === undefined)
    throw new RocketMQError('ROCKETMQ_USAGE', 'a batch needs at least one message');
  const { topic } = first;
  if (messages.some((message) => message.topic !== topic))
    throw new RocketMQError('ROCKETMQ_USAGE', 'all messages of a batch must have the same topic');
  const shardingKey = shardingKeyOf(first);
  if (!isPlaced && messages.some((message) => shardingKeyOf(message) !== shardingKey))
    throw new RocketMQError(
      'ROCKETMQ_USAGE',
      'all messages of a batch go to one queue, so they must have the same shardingKey',
    );
  const ids: string[] = [];
  const items = messages.map((message) => {
    const { map, msgId } = propertyMap(message, uniqKey);
    ids.push(msgId);
    return encodeBatchItem({ flag: message.flag ?? 0, body: message.body, properties: map });
  });
  const body = Buffer.concat(items);
  return {
    msgId: ids.join(','),
    shardingKey,
    request: (queueId, bornTimestamp) => ({
      ...COMMON,
      topic,
      body,
      properties: '',
      batch: true,
      queueId,
      bornTimestamp,
    }),
  };
}

/** A message that is sent on has its key as a property: readers order by that one. */
function shardingKeyOf({ shardingKey, properties = {} }: CheckedMessage): string | undefined {
  if (shardingKey !== undefined) return shardingKey;
  const key =
    properties instanceof Map
      ? (properties as ReadonlyMap<string, string>).get(Property.SHARDING_KEY)
      : (properties as Readonly<Record<string, string>>)[Property.SHARDING_KEY];
  // Empty values are not stored.
  return key || undefined;
}

function propertyMap(
  message: CheckedMessage,
  uniqKey: () => string,
  forwarded = false,
): { map: Map<string, string>; msgId: string } {
  // Batches of Java may have empty bodies, and brokers before 5.0 take them everywhere.
  if (message.body.length === 0 && !forwarded)
    throw new RocketMQError(
      'ROCKETMQ_MESSAGE_ILLEGAL',
      `a message for topic "${message.topic}" has no body, and brokers refuse empty ones: put at least one byte into it`,
    );
  const given = message.properties ?? {};
  const map = new Map(
    given instanceof Map
      ? (given as ReadonlyMap<string, string>)
      : Object.entries(given as Readonly<Record<string, string>>),
  );
  if (message.tags !== undefined) map.set(Property.TAGS, message.tags);
  if (message.keys !== undefined && message.keys.length > 0)
    map.set(Property.KEYS, message.keys.join(' '));
  if (message.shardingKey !== undefined) map.set(Property.SHARDING_KEY, message.shardingKey);
  // A U+0001 in a value is read as it was written: the first one of a property divides it.
  for (const [name, value] of map)
    if (hasSeparator(name) || (forwarded ? endsProperty(value) : hasSeparator(value)))
      throw new RocketMQError(
        'ROCKETMQ_MESSAGE_ILLEGAL',
        `property "${name}" contains U+0001 or U+0002, which divide properties: remove them`,
      );
  const msgId = map.get(Property.UNIQ_KEY) ?? uniqKey();
  map.set(Property.UNIQ_KEY, msgId);
  if (Buffer.byteLength(formatProperties(map)) > MAX_PROPERTY_BYTES)
    throw new RocketMQError(
      'ROCKETMQ_MESSAGE_ILLEGAL',
      `the properties of a message take more than ${MAX_PROPERTY_BYTES} bytes: move what is large into the body`,
    );
  return { map, msgId };
}

/**
 * A failed message as an ordinary one for the retry topic. Mirrors DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage, with its traps:
 * the body goes decompressed with sysFlag 0; the group stands where the producer's does, because ACL 2.0 looks up that group's right; the counts
 * travel in the header; a transaction is over once its message was delivered.
 * @param localRetries failed deliveries that the broker has not counted: they count from here on
 */
export function normalRetryMessage(
  consumerGroup: string,
  message: Message,
  level: DelayLevel,
  maxReconsumeTimes: number,
  bornTimestamp: number,
  localRetries = 0,
): SendMessageRequest {
  const failures = failedDeliveries(message, { consumerGroup }) + localRetries;
  const delayLevel = wireDelayLevel(level);
  const toDlq = delayLevel < 0 || failures >= wireMaxReconsumeTimes(maxReconsumeTimes);
  const properties = ownLife(withoutTimers(message.properties), message, consumerGroup);
  if (!toDlq)
    properties.set(
      Property.DELAY,
      String(delayLevel > 0 ? delayLevel : FIRST_RETRY_LEVEL + failures),
    );
  return retryMessage(consumerGroup, message, {
    reconsumeTimes: failures,
    properties,
    // A count over its limit is what makes a broker dead-letter an ordinary message. Brokers before
    // 5.0 do so at the limit itself, one delivery too early.
    maxReconsumeTimes: toDlq ? failures : WITHOUT_END,
    bornTimestamp,
  });
}

/** Of an earlier life: the topic and the id that this group received count, and when it was stored first. */
function ownLife(
  properties: Map<string, string>,
  message: Message,
  consumerGroup: string,
): Map<string, string> {
  const hasKey = properties.has(Property.UNIQ_KEY);
  if (!isOwnRetry(message, consumerGroup) && (properties.delete(Property.RETRY_TOPIC) || !hasKey))
    properties.delete(Property.ORIGIN_MESSAGE_ID);
  if (!isOwnRetry(message, consumerGroup)) properties.delete(Property.SET_ASIDE);
  properties.set(Property.FIRST_STORED, String(firstStoredAt(message, { consumerGroup })));
  return properties;
}

/** What a message is as a retry. */
interface RetryFields {
  readonly reconsumeTimes: number;
  readonly properties: Map<string, string>;
  readonly maxReconsumeTimes: number;
  readonly bornTimestamp: number;
}

function retryMessage(
  consumerGroup: string,
  { topic, msgId, flag, body }: Pick<Message, 'topic' | 'msgId' | 'flag' | 'body'>,
  { properties, bornTimestamp, reconsumeTimes, maxReconsumeTimes }: RetryFields,
): SendMessageRequest {
  for (const name of [Property.RECONSUME_TIME, Property.MAX_RECONSUME_TIMES, Property.TRAN_MSG])
    properties.delete(name);
  // A broker from 5.0 on would make one.
  properties.set(Property.UNIQ_KEY, msgId);
  if (!properties.has(Property.RETRY_TOPIC)) properties.set(Property.RETRY_TOPIC, topic);
  if (!properties.has(Property.ORIGIN_MESSAGE_ID))
    properties.set(Property.ORIGIN_MESSAGE_ID, msgId);
  return {
    ...COMMON,
    producerGroup: consumerGroup,
    // Should this message make the retry topic, it gets as many queues as a heartbeat or a send-back would give it.
    defaultTopicQueueNums: 1,
    topic: retryTopic(consumerGroup),
    queueId: -1,
    bornTimestamp,
    flag,
    body,
    properties: formatProperties(properties),
    reconsumeTimes: reconsumeTimes + 1,
    maxReconsumeTimes: wireMaxReconsumeTimes(maxReconsumeTimes),
  };
}

/**
 * A message that failed for good, in a form that brokers take: by way of the retry topic, with a count over its limit, or straight into the
 * dead-letter topic where the group may not write its retry topic.
 */
export function deadLetterMessage(
  consumerGroup: string,
  letter: DeadLetter,
  to: 'retry-topic' | 'dead-letter-topic',
  bornTimestamp: number,
): SendMessageRequest {
  const { sysFlag, reconsumeTimes, properties } = letter;
  return {
    ...retryMessage(consumerGroup, letter, {
      reconsumeTimes,
      properties: new Map(properties),
      maxReconsumeTimes: reconsumeTimes,
      bornTimestamp,
    }),
    sysFlag,
    ...(to === 'dead-letter-topic' && { topic: dlqTopic(consumerGroup) }),
  };
}

/** What an earlier timer left on a message. TIMER_OUT_MS would have the broker take it for one whose time has come. */
const TIMER_PROPERTIES = [
  Property.DELAY,
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
  Property.TIMER_DELIVER_MS,
  Property.TIMER_OUT_MS,
  Property.TIMER_ENQUEUE_MS,
  Property.TIMER_DEQUEUE_MS,
  Property.TIMER_ROLL_TIMES,
  Property.TIMER_DEL_UNIQKEY,
  Property.TIMER_DELAY_LEVEL,
  Property.REAL_TOPIC,
  Property.REAL_QID,
];

function withoutTimers(properties: ReadonlyMap<string, string>): Map<string, string> {
  const others = new Map(properties);
  for (const name of TIMER_PROPERTIES) others.delete(name);
  return others;
}

/** A failed message as one for the timer wheel, which brings it to the retry topic after so many milliseconds. */
export function timedRetryMessage(
  consumerGroup: string,
  message: Message,
  delayMs: number,
  maxReconsumeTimes: number,
  localRetries = 0,
): SendMessageRequest {
  const properties = ownLife(withoutTimers(message.properties), message, consumerGroup);
  if (delayMs > 0) properties.set(Property.TIMER_DELAY_MS, String(delayMs));
  return retryMessage(consumerGroup, message, {
    reconsumeTimes: failedDeliveries(message, { consumerGroup }) + localRetries,
    properties,
    maxReconsumeTimes,
    // Its age counts from its birth, as with request 36.
    bornTimestamp: message.bornTimestamp,
  });
}

/**
 * A message of the retry topic that no handler was called for, as an ordinary one at the end of that
 * topic: its count of failures stays as it is, and no limit makes the broker dead-letter it.
 */
export function setAsideMessage(
  consumerGroup: string,
  message: Message,
  { level, times, at }: SetAside & { readonly level: number },
  localRetries = 0,
): SendMessageRequest {
  const properties = ownLife(withoutTimers(message.properties), message, consumerGroup);
  properties.set(Property.DELAY, String(level));
  properties.set(Property.SET_ASIDE, `${times} ${at}`);
  const reconsumeTimes = failedDeliveries(message, { consumerGroup }) + localRetries;
  const request = retryMessage(consumerGroup, message, {
    reconsumeTimes,
    properties,
    maxReconsumeTimes: WITHOUT_END,
    bornTimestamp: message.bornTimestamp,
  });
  return { ...request, reconsumeTimes };
}

/** What a broker or a producer left on a popped message, and what a copy of it must not have. */
const NOT_OF_A_COPY = [
  ...TIMER_PROPERTIES,
  Property.RECONSUME_TIME,
  Property.MAX_RECONSUME_TIMES,
  Property.TRAN_MSG,
  Property.POP_CK,
  Property.FIRST_POP_TIME,
  Property.INNER_NUM,
  Property.INNER_BASE,
];

/**
 * A popped message as an ordinary one for the group's pop retry topic, where brokers count its
 * deliveries from 0. All of them read retry topics of the first form.
 */
export function popRetryMessage(consumerGroup: string, message: Message): SendMessageRequest {
  const properties = new Map(message.properties);
  for (const name of NOT_OF_A_COPY) properties.delete(name);
  properties.set(Property.UNIQ_KEY, message.msgId);
  properties.set(Property.FIRST_STORED, String(message.storeTimestamp));
  return {
    ...COMMON,
    producerGroup: consumerGroup,
    // As many queues as a broker would give it.
    defaultTopicQueueNums: 1,
    topic: poppedTopic(message.topic, consumerGroup, { retryMark: 1 }),
    queueId: -1,
    bornTimestamp: message.bornTimestamp,
    flag: message.flag,
    body: message.body,
    properties: formatProperties(properties),
    maxReconsumeTimes: WITHOUT_END,
  };
}

/** Queues that may be written and have a master to take it, in route order. */
export function writableQueues({ topic, queues, brokers }: TopicRoute): MessageQueue[] {
  const masters = new Set(
    brokers
      .filter(({ brokerAddrs }) => brokerAddrs.has(MASTER_ID))
      .map(({ brokerName }) => brokerName),
  );
  return queues
    .filter(({ perm, brokerName }) => (perm & PERM_WRITE) !== 0 && masters.has(brokerName))
    .flatMap(({ brokerName, writeQueueNums }) =>
      Array.from({ length: writeQueueNums }, (_, queueId) => ({ topic, brokerName, queueId })),
    );
}

/** The queue of a key: mirrors SelectMessageQueueByHash. undefined: there are no queues. */
export function queueOfKey(
  queues: readonly MessageQueue[],
  shardingKey: string,
): MessageQueue | undefined {
  return queues[Math.abs(javaHashCode(shardingKey) % queues.length)];
}
