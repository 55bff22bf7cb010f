import type {
  RocketMQAttributes,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQFailureOptions,
} from './event.ts';

/** The shapes that a handler's event can have: `eventFormat`. */
export const EVENT_FORMATS = ['sqs', 'kafka', 'cloudevents', 'raw'] as const;
export type EventFormatName = (typeof EVENT_FORMATS)[number];

/** What every shape tells of a message beside its own fields; the properties stand in those. */
export type RocketMQMessageFacts = Omit<RocketMQAttributes, 'properties'>;

/** One message as Lambda's event source mapping for self-managed Kafka has it, with RocketMQ's own fields beside. */
export interface RocketMQKafkaRecord {
  topic: string;
  /** The queue's id, which each broker has of its own: `rocketmq.brokerName` belongs to it. */
  partition: number;
  /** Of the queue that it was pulled from: a redelivery has another one. */
  offset: number;
  /** Birth of the message, epoch milliseconds. */
  timestamp: number;
  timestampType: 'CREATE_TIME';
  /** Base64 of the property KEYS. Absent: the message has none. */
  key?: string;
  /** Base64 of the body. */
  value: string;
  /** The user's own properties, one header each: its name and the bytes of its text. */
  headers: { [name: string]: number[] }[];
  messageId: string;
  rocketmq: RocketMQMessageFacts;
}

/** `eventFormat: kafka`: messages of one queue under its name, `<topic>-<broker>-<queue id>`. */
export interface RocketMQKafkaEvent {
  eventSource: 'SelfManagedKafka';
  /** `host:port` of the broker that the messages are from. */
  bootstrapServers: string;
  records: { [queue: string]: RocketMQKafkaRecord[] };
  rocketmqBatch: RocketMQEvent['rocketmqBatch'];
}

/** What a handler of such events may answer: identifiers as AWS's documents, or as tools have them, or plain ones. */
export interface RocketMQKafkaBatchResponse
  extends Omit<RocketMQBatchResponse, 'batchItemFailures'> {
  batchItemFailures?:
    | (RocketMQFailureOptions & {
        itemIdentifier:
          | string
          | { 'topic-partition': string; offset: number }
          | { partition: string | number; offset: number };
      })[]
    | null;
}

/** One message as Alibaba's Function Compute has it in its format RawData: `eventFormat: raw` is a list of these. */
export interface RocketMQRawMessage {
  topic: string;
  systemProperties: { [name: string]: string };
  userProperties: { [name: string]: string };
  /** Text, or base64: `rocketmq.bodyEncoding`. */
  body: string;
  messageId: string;
  receiptHandle: string;
  rocketmq: RocketMQMessageFacts;
}

/** One message as a CloudEvent 1.0 in JSON, as Function Compute has it: `eventFormat: cloudevents` is a list of these. */
export interface RocketMQCloudEvent {
  specversion: '1.0';
  /** The messageId: with `source` it names the message, also when it is delivered again. */
  id: string;
  /** The ARN-like name of topic and group. */
  source: string;
  type: 'mq:Topic:SendMessage';
  subject: string;
  /** Birth of the message, ISO; its storing, where the producer gave a time that no calendar has. */
  time: string;
  datacontenttype: 'application/json; charset=utf-8';
  /** The producer's W3C trace context, when it gave one. */
  traceparent?: string;
  data: RocketMQRawMessage;
}

/** What a handler gets, by `eventFormat`. */
export interface EventOfFormat {
  sqs: RocketMQEvent;
  kafka: RocketMQKafkaEvent;
  cloudevents: RocketMQCloudEvent[];
  raw: RocketMQRawMessage[];
}
