import type { RocketMQEvent, RocketMQRecord } from '../model/event.ts';
import type {
  EventFormatName,
  RocketMQCloudEvent,
  RocketMQKafkaRecord,
  RocketMQMessageFacts,
  RocketMQRawMessage,
} from '../model/event-formats.ts';
import { isSystemProperty } from '../records/properties.ts';
import { isInCalendar, isoTime } from './iso-time.ts';

/** What an event says once for all of its records. */
type Frame = Pick<RocketMQMessageFacts, 'topic' | 'brokerName' | 'queueId' | 'storeHost'>;

/** A shape of events, record by record, so that an event's bytes are known while it grows. */
export interface EventFormat {
  /** A record as it stands in the event. */
  readonly item: (record: RocketMQRecord) => unknown;
  /** The JSON before and after the items, which commas part. `first`: all records are of its queue and topic. */
  readonly around: (
    first: { readonly rocketmq: Frame },
    batch: RocketMQEvent['rocketmqBatch'],
  ) => readonly [before: string, after: string];
  /** The list of an event's items. */
  readonly itemsOf: (event: unknown) => unknown[];
}

const isItems = (event: unknown): unknown[] => event as unknown[];

export const EVENT_FORMAT: Readonly<Record<EventFormatName, EventFormat>> = {
  sqs: {
    item: (record) => record,
    around: (_first, batch) => ['{"Records":[', `],"rocketmqBatch":${JSON.stringify(batch)}}`],
    itemsOf: (event) => (event as { Records: unknown[] }).Records,
  },
  kafka: {
    item: kafkaRecord,
    around: ({ rocketmq }, batch) => [
      `{"eventSource":"SelfManagedKafka","bootstrapServers":${JSON.stringify(rocketmq.storeHost)},"records":{${JSON.stringify(kafkaPartition(rocketmq))}:[`,
      `]},"rocketmqBatch":${JSON.stringify(batch)}}`,
    ],
    itemsOf: (event) =>
      Object.values((event as { records: Record<string, unknown[]> }).records)[0] ?? [],
  },
  cloudevents: { item: cloudEvent, around: () => ['[', ']'], itemsOf: isItems },
  raw: { item: rawMessage, around: () => ['[', ']'], itemsOf: isItems },
};

/** What an event of format kafka calls a queue. Queue ids alone would be the same at every broker. */
export function kafkaPartition({
  topic,
  brokerName,
  queueId,
}: Pick<RocketMQMessageFacts, 'topic' | 'brokerName' | 'queueId'>): string {
  return `${topic}-${brokerName}-${queueId}`;
}

function kafkaRecord({
  messageId,
  body,
  rocketmq: { properties, ...facts },
}: RocketMQRecord): RocketMQKafkaRecord {
  const { KEYS: keys } = properties;
  return {
    topic: facts.topic,
    partition: facts.queueId,
    offset: Number(facts.queueOffset),
    timestamp: facts.bornTimestamp,
    timestampType: 'CREATE_TIME',
    ...(keys === undefined ? {} : { key: Buffer.from(keys).toString('base64') }),
    // A pointer is text, whatever the body is.
    value:
      facts.bodyEncoding === 'base64' && facts.s3Pointer === undefined
        ? body
        : Buffer.from(body).toString('base64'),
    headers: userProperties(properties).map(([name, value]) =>
      Object.fromEntries([[name, [...Buffer.from(value)]]]),
    ),
    messageId,
    rocketmq: facts,
  };
}

function rawMessage({
  messageId,
  receiptHandle,
  body,
  rocketmq: { properties, ...facts },
}: RocketMQRecord): RocketMQRawMessage {
  return {
    topic: facts.topic,
    systemProperties: Object.fromEntries(
      Object.entries(properties).filter(([name]) => isSystemProperty(name)),
    ),
    userProperties: Object.fromEntries(userProperties(properties)),
    body,
    messageId,
    receiptHandle,
    rocketmq: facts,
  };
}

function cloudEvent(record: RocketMQRecord): RocketMQCloudEvent {
  const { traceparent } = record.rocketmq.properties;
  return {
    specversion: '1.0',
    id: record.messageId,
    source: record.eventSourceARN,
    type: 'mq:Topic:SendMessage',
    subject: record.rocketmq.topic,
    time: timeOf(record.rocketmq),
    datacontenttype: 'application/json; charset=utf-8',
    ...(traceparent === undefined ? {} : { traceparent }),
    data: rawMessage(record),
  };
}

/** The time of birth is the producer's, and may be anything. */
function timeOf({ bornTimestamp, storeTimestamp }: RocketMQMessageFacts): string {
  return isoTime(isInCalendar(bornTimestamp) ? bornTimestamp : storeTimestamp);
}

function userProperties(properties: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(properties).filter(([name]) => !isSystemProperty(name));
}
