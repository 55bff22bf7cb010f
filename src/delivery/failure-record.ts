import type { RocketMQRecord } from '../model/event.ts';
import type { FailureCondition, FailureRecord } from '../model/failure.ts';
import { isoTime } from './iso-time.ts';

/** One message that failed for good, as destinations get it. */
export function failureRecord(
  record: RocketMQRecord,
  why: {
    readonly condition: FailureCondition;
    readonly requestId: string;
    readonly functionArn: string;
    readonly now: number;
  },
): FailureRecord {
  const { cluster, consumerGroup, topic, brokerName, queueId, queueOffset, storeTimestamp } =
    record.rocketmq;
  const arrival = isoTime(storeTimestamp);
  return {
    version: '1.0',
    timestamp: isoTime(why.now),
    requestContext: {
      requestId: why.requestId,
      functionArn: why.functionArn,
      condition: why.condition,
      approximateInvokeCount: Number(record.attributes.ApproximateReceiveCount),
    },
    RocketMQBatchInfo: {
      cluster,
      consumerGroup,
      topic,
      brokerName,
      queueId,
      startOffset: queueOffset,
      endOffset: queueOffset,
      batchSize: 1,
      approximateArrivalOfFirstMessage: arrival,
      approximateArrivalOfLastMessage: arrival,
    },
    payload: { Records: [record] },
  };
}
