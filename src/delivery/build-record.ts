import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { RocketMQRecord } from '../model/event.ts';
import type { HostAndPort, Message } from '../model/message.ts';
import { queueKey } from '../model/message-queue.ts';
import { isSystemProperty, Property } from '../records/properties.ts';

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
  /** Epoch ms. */
  readonly now: number;
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

/** `topic/brokerName/queueId/offset` of the queue that the message was pulled from: names this delivery and no other. */
export function receiptHandle(message: Message): string {
  return `${queueKey(message)}/${message.queueOffset}`;
}

/** One message as handlers see it: an SQS record with a `rocketmq` block. */
export function buildRecord(message: Message, context: RecordContext): RocketMQRecord {
  const { properties } = message;
  const isText = isUtf8(message.body);
  const body = message.body.toString(isText ? 'utf8' : 'base64');
  const reconsumeTimes = message.reconsumeTimes + context.localRetries;
  const shardingKey = properties.get(Property.SHARDING_KEY);
  const tags = properties.get(Property.TAGS);
  return {
    messageId: message.msgId,
    receiptHandle: receiptHandle(message),
    body,
    attributes: {
      ApproximateReceiveCount: String(reconsumeTimes + 1),
      SentTimestamp: String(message.bornTimestamp),
      ApproximateFirstReceiveTimestamp: String(context.now),
      SenderId: hostText(message.bornHost),
      SequenceNumber: String(message.queueOffset),
      ...(shardingKey === undefined ? {} : { MessageGroupId: shardingKey }),
    },
    messageAttributes: attributesOf(properties),
    md5OfBody: hash('md5', body),
    eventSource: 'aws:sqs',
    eventSourceARN: sourceArn(context),
    awsRegion: context.region,
    rocketmq: {
      schemaVersion: '1.0',
      cluster: context.cluster,
      topic: context.topic,
      consumerGroup: context.consumerGroup,
      brokerName: message.brokerName,
      queueId: message.queueId,
      queueOffset: String(message.queueOffset),
      offsetMsgId: message.offsetMsgId,
      ...(tags === undefined ? {} : { tags }),
      keys:
        properties
          .get(Property.KEYS)
          ?.split(' ')
          .filter((key) => key !== '') ?? [],
      ...(shardingKey === undefined ? {} : { shardingKey }),
      reconsumeTimes,
      maxReconsumeTimes: context.maxReconsumeTimes,
      bornTimestamp: message.bornTimestamp,
      storeTimestamp: message.storeTimestamp,
      bornHost: hostText(message.bornHost),
      storeHost: hostText(message.storeHost),
      bodyEncoding: isText ? 'utf8' : 'base64',
      bodySize: message.body.length,
      flag: message.flag,
      properties: Object.fromEntries(properties),
    },
  };
}

function attributesOf(properties: Message['properties']): RocketMQRecord['messageAttributes'] {
  const own: [string, RocketMQRecord['messageAttributes'][string]][] = [];
  for (const [name, value] of properties)
    if (!isSystemProperty(name)) own.push([name, { dataType: 'String', stringValue: value, stringListValues: [], binaryListValues: [] }]);
  // Not by assignment: a property named __proto__ is a property like any other.
  return Object.fromEntries(own);
}

function hostText({ address, port }: HostAndPort): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
