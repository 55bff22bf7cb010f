import { hash, randomUUID } from 'node:crypto';
import type { Filterable } from '../decide/filter/matches-pattern.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { HostAndPort, Message } from '../model/message.ts';
import { queueKey } from '../model/message-queue.ts';
import type { OrderConfig } from '../model/source.ts';
import { bodyEncoding } from '../records/body-encoding.ts';
import { orderKeyOf } from '../records/order-key.ts';
import { failedDeliveries } from '../records/own-retry.ts';
import { isSystemProperty, Property } from '../records/properties.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { traceHeader } from './trace-header.ts';

/** What a record tells beside its message. */
export interface RecordContext {
  readonly cluster: string;
  readonly consumerGroup: string;
  /** The user's topic. */
  readonly topic: string;
  readonly region: string;
  readonly accountId: string;
  readonly maxReconsumeTimes: number;
  /** Failed deliveries that the broker does not know of. */
  readonly localRetries: number;
  /** Popped retries come under their user topic. Default pull. */
  readonly mode?: 'pull' | 'pop';
  /**
   * Names this delivery and no other: with it the receiptHandle is
   * `topic/brokerName/queueId/queueOffset.deliveryId`. Producers can compute the place of a message,
   * so a random id keeps theirs from equalling a handle. Default: a new one.
   */
  readonly deliveryId?: string | undefined;
  /** Of the event. Default none. */
  readonly order?: OrderConfig | undefined;
  /** Epoch ms. */
  readonly now: number;
  /** false: the producer's trace is left out. */
  readonly traced?: boolean;
}

/** `arn:aws:sqs:<region>:<account>:rocketmq/<cluster>/<topic>/<group>`: like a queue's ARN to tools, and it says what it is. */
export function sourceArn({
  region,
  accountId,
  cluster,
  topic,
  consumerGroup,
}: Pick<RecordContext, 'region' | 'accountId' | 'cluster' | 'topic' | 'consumerGroup'>): string {
  return `arn:aws:sqs:${region}:${accountId}:rocketmq/${cluster}/${topic}/${consumerGroup}`;
}

/** One message as handlers see it: an SQS record with a `rocketmq` block. Made for every message: plain assignments, each text built once. */
export function buildRecord(message: Message, context: RecordContext): RocketMQRecord {
  const { properties, brokerName, queueId } = message;
  const encoding = bodyEncoding(message.body);
  const body = message.body.toString(encoding);
  const reconsumeTimes = failedDeliveries(message, context) + context.localRetries;
  const queueOffset = String(message.queueOffset);
  const bornHost = hostText(message.bornHost);
  const shardingKey = properties.get(Property.SHARDING_KEY);
  const tags = properties.get(Property.TAGS);
  const attributes: RocketMQRecord['attributes'] = {
    ApproximateReceiveCount: String(reconsumeTimes + 1),
    SentTimestamp: String(message.bornTimestamp),
    ApproximateFirstReceiveTimestamp: String(context.now),
    SenderId: bornHost,
    SequenceNumber: queueOffset,
  };
  const rocketmq: RocketMQRecord['rocketmq'] = {
    schemaVersion: '1.0',
    cluster: context.cluster,
    topic: context.topic,
    consumerGroup: context.consumerGroup,
    brokerName,
    queueId,
    queueOffset,
    offsetMsgId: message.offsetMsgId,
    idempotencyKey: idempotencyKeyOf(message, context),
    keys: keysOf(properties.get(Property.KEYS)),
    reconsumeTimes,
    maxReconsumeTimes: context.maxReconsumeTimes,
    bornTimestamp: message.bornTimestamp,
    storeTimestamp: message.storeTimestamp,
    bornHost,
    storeHost: hostText(message.storeHost),
    bodyEncoding: encoding,
    bodySize: message.body.length,
    flag: message.flag,
    properties: objectOf(properties),
  };
  const trace = context.traced === false ? undefined : traceHeader(properties);
  if (trace !== undefined) attributes.AWSTraceHeader = trace;
  if (tags !== undefined) rocketmq.tags = tags;
  const orderKey = orderKeyOf(message, context.order);
  if (orderKey !== undefined) rocketmq.orderKey = orderKey;
  if (shardingKey !== undefined) {
    attributes.MessageGroupId = shardingKey;
    rocketmq.shardingKey = shardingKey;
  }
  return {
    messageId: message.msgId,
    receiptHandle: `${queueKey(message)}/${queueOffset}.${context.deliveryId ?? randomUUID()}`,
    body,
    attributes,
    messageAttributes: attributesOf(properties),
    md5OfBody: hash('md5', encoding === 'utf8' ? message.body : body),
    eventSource: 'aws:sqs',
    eventSourceARN: sourceArn(context),
    awsRegion: context.region,
    rocketmq,
  };
}

/** The part of a message that `filterPatterns` see: what its record would have. */
export function filterable({ body, properties }: Pick<Message, 'body' | 'properties'>): Filterable {
  return {
    get body() {
      return bodyEncoding(body) === 'utf8' ? body.toString() : undefined;
    },
    bodyBytes: body.length,
    tags: properties.get(Property.TAGS),
    get keys() {
      return keysOf(properties.get(Property.KEYS));
    },
    get properties() {
      return objectOf(properties);
    },
  };
}

function keysOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(' ').filter((key) => key !== '');
}

function attributesOf(properties: Message['properties']): RocketMQRecord['messageAttributes'] {
  const own: RocketMQRecord['messageAttributes'] = {};
  for (const [name, value] of properties)
    if (!isSystemProperty(name))
      setOwn(own, name, {
        dataType: 'String',
        stringValue: value,
        stringListValues: [],
        binaryListValues: [],
      });
  return own;
}

function objectOf(properties: Message['properties']): Record<string, string> {
  const object: Record<string, string> = {};
  for (const [name, value] of properties) setOwn(object, name, value);
  return object;
}

/** A property named __proto__ is a property like any other. Object.fromEntries takes twice as long. */
function setOwn<Value>(object: Record<string, Value>, name: string, value: Value): void {
  if (name === '__proto__')
    Object.defineProperty(object, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  else object[name] = value;
}

function hostText({ address, port }: HostAndPort): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
