import type { RocketMQRecord } from './event.ts';

/** Where messages go that failed for good, instead of to `%DLQ%<group>`. */
export type OnFailure =
  | { readonly type: 'sqs' | 'sns' | 's3'; readonly arn: string }
  /** Another topic of the same cluster. */
  | { readonly type: 'topic'; readonly topic: string };

/** Why a message failed for good. Lambda's names where it has one. */
export type FailureCondition =
  | 'RetryAttemptsExhausted'
  | 'RecordAgeExceeded'
  | 'MaximumPayloadSizeExceeded'
  /** Its handler said `action: dlq`. */
  | 'RejectedByHandler';

/** What a destination gets for each message: Lambda's invocation record of an event source mapping, with the message itself in it. */
export interface FailureRecord {
  version: '1.0';
  /** ISO 8601 */
  timestamp: string;
  requestContext: {
    /** Of the puller that gave it up. */
    requestId: string;
    /** Name or ARN of the handler. */
    functionArn: string;
    condition: FailureCondition;
    approximateInvokeCount: number;
  };
  RocketMQBatchInfo: {
    cluster: string;
    consumerGroup: string;
    topic: string;
    brokerName: string;
    queueId: number;
    /** Decimal. */
    startOffset: string;
    endOffset: string;
    batchSize: 1;
    /** ISO 8601: when the message was stored. */
    approximateArrivalOfFirstMessage: string;
    approximateArrivalOfLastMessage: string;
  };
  payload: { Records: [RocketMQRecord] };
}
