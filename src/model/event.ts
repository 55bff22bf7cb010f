import type { Context } from 'aws-lambda';

/** An object of S3. */
export interface S3Pointer {
  bucket: string;
  key: string;
}

/** The part of a record that RocketMQ users know. 64-bit numbers are decimal strings. */
export interface RocketMQAttributes {
  schemaVersion: '1.0';
  cluster: string;
  /** The user's topic, also on redeliveries. */
  topic: string;
  consumerGroup: string;
  brokerName: string;
  queueId: number;
  queueOffset: string;
  /** Changes with every redelivery; `messageId` does not. */
  offsetMsgId: string;
  /**
   * Names the message and its content to this group: the same over all deliveries, another one for
   * a message of another content under the same `messageId`. 43 characters.
   */
  idempotencyKey: string;
  tags?: string;
  keys: string[];
  shardingKey?: string;
  /** With `order: key`: what orders the message. Absent: it waits for nobody. */
  orderKey?: string;
  /** Failed deliveries before this one. */
  reconsumeTimes: number;
  maxReconsumeTimes: number;
  /** Epoch milliseconds. */
  bornTimestamp: number;
  storeTimestamp: number;
  bornHost: string;
  storeHost: string;
  bodyEncoding: 'utf8' | 'base64';
  /** Bytes of the body before base64. */
  bodySize: number;
  /** Set when the body was larger than `s3PointerThreshold`: its bytes are there, and `body` is Amazon's text for that. The two above are of the body itself. */
  s3Pointer?: S3Pointer;
  flag: number;
  properties: Record<string, string>;
}

/** One message, shaped like an SQS record so that existing tools read it, with RocketMQ's own fields beside. */
export interface RocketMQRecord {
  messageId: string;
  /** Names this delivery and no other: `topic/brokerName/queueId/queueOffset.random`, with the queue that it was pulled from. */
  receiptHandle: string;
  /** Text when the body is valid UTF-8, else base64 (`rocketmq.bodyEncoding` says which); with `rocketmq.s3Pointer` where it is. */
  body: string;
  attributes: {
    ApproximateReceiveCount: string;
    SentTimestamp: string;
    ApproximateFirstReceiveTimestamp: string;
    SenderId: string;
    SequenceNumber: string;
    MessageGroupId?: string;
    /** X-Ray's header: the message's property of that name, or made of its W3C `traceparent`. */
    AWSTraceHeader?: string;
  };
  /** The user's properties; `Number` is the type of `ExtendedPayloadSize` beside a pointer only. */
  messageAttributes: Record<
    string,
    {
      dataType: 'String' | 'Number';
      stringValue: string;
      stringListValues: string[];
      binaryListValues: string[];
    }
  >;
  md5OfBody: string;
  eventSource: 'aws:sqs';
  eventSourceARN: string;
  awsRegion: string;
  rocketmq: RocketMQAttributes;
}

/** What a handler gets: messages of one queue. */
export interface RocketMQEvent {
  Records: RocketMQRecord[];
  rocketmqBatch: {
    batchId: string;
    /** 1 for the first try to invoke the handler with this batch. */
    attempt: number;
    minOffset: string;
    maxOffset: string;
    /** Messages behind the last of this batch when it was pulled. */
    lag: number;
    /** Epoch milliseconds by which the handler has to answer. */
    deadline: number;
    /** With `order`: what the order is kept of. */
    order?: 'queue' | 'key';
    /** The batch that failed as a whole, of which this is a half: `bisectBatchOnFunctionError`. */
    bisectedFrom?: string;
  };
}

/**
 * What becomes of a message that failed. Nothing said: the event's `retryDelay`. At most one of the two delays, and none with `dlq` or `drop`.
 * null, an empty text, and 0 beside another delay count as not said. What is wrong, or contradicts itself, counts as not said, too, and is logged
 * (`ROCKETMQ_INVALID_WISH`); other messages keep their verdict.
 */
export interface RocketMQFailureOptions {
  /** 1..18 of the broker's messageDelayLevel. 0: the broker decides (level 3 + reconsumeTimes). */
  delayLevel?: number;
  /**
   * Whole seconds until the redelivery, 0..259,200 (3 days). Exact to the second on brokers 5.0 and later with a timer wheel (their default); on
   * others the smallest delay level that is not shorter, 2 hours at most.
   */
  delaySeconds?: number;
  /** `retry` (default): deliver it again. `dlq`: to the dead-letter queue now, whatever its retries. `drop`: give it up; it counts as done. */
  action?: 'retry' | 'dlq' | 'drop';
}

/** One message that the handler did not finish. `itemIdentifier` is a receiptHandle or a messageId; no two records of an event have the same. */
export interface RocketMQBatchItemFailure extends RocketMQFailureOptions {
  itemIdentifier: string;
}

/**
 * What a handler may answer. Nothing, `{}` or an empty list: every message is done. Delays and actions beside the list count for those of its
 * messages that say nothing of their own.
 */
export interface RocketMQBatchResponse extends RocketMQFailureOptions {
  batchItemFailures?: RocketMQBatchItemFailure[] | null;
  /**
   * With `order: key`: true when every message that is not named was handled. Without it, everything behind the first that is named counts as not
   * delivered, because a handler may have stopped there. `createHandler` and `partialBatch` say it.
   */
  othersDone?: boolean;
  /** With `order`: how long the order waits before what failed is delivered again, 10..30,000 ms, instead of the configured time. */
  suspendCurrentQueueTimeMillis?: number;
}

/** The type of a user's handler function. */
export type RocketMQHandler = (
  event: RocketMQEvent,
  context: Context,
) => Promise<RocketMQBatchResponse | null | undefined | void>;
