import {
  type DeduplicationId,
  deduplicationId,
  type MessageGroupId,
  messageGroupId,
  type ObjectKey,
  objectKey,
} from '../model/aws-names.ts';
import type { FailureRecord } from '../model/failure.ts';
import type { FailureDestination } from '../ports/failure-destination.ts';

/**
 * A failure record as a service of AWS gets it: its JSON, and names for it. What producers wrote stands in the JSON alone, so a destination cannot
 * make a name of it.
 */
export interface FailureLetter {
  readonly json: string;
  /** `rocketmq/<cluster>/<group>/<topic>/YYYY/MM/DD/<time>-<messageId>-<broker>-<queue>-<offset>.json` */
  readonly objectKey: ObjectKey;
  /** The message's sharding key, else its queue. */
  readonly messageGroupId: MessageGroupId;
  /** The same when the record is delivered again, also by another holder. */
  readonly deduplicationId: DeduplicationId;
}

/** The only way to a destination: `send` never sees the record itself. `npm run check:imports` keeps it so. */
export function createDestination(
  send: (
    arn: string,
    letter: FailureLetter,
    options: { abortSignal?: AbortSignal },
  ) => Promise<void>,
): FailureDestination {
  return {
    async deliver(arn, record, { signal } = {}) {
      await send(arn, letterOf(record), signal === undefined ? {} : { abortSignal: signal });
    },
  };
}

function letterOf(record: FailureRecord): FailureLetter {
  const { timestamp, RocketMQBatchInfo: info } = record;
  const [{ messageId, md5OfBody, rocketmq }] = record.payload.Records;
  const { cluster, consumerGroup, topic, brokerName, queueId, startOffset } = info;
  const { shardingKey, offsetMsgId, storeTimestamp } = rocketmq;
  const time = timestamp.replaceAll(':', '.');
  const day = timestamp.slice(0, 10).split('-');
  return {
    json: JSON.stringify(record),
    objectKey: objectKey('rocketmq', [
      ...[cluster, consumerGroup, topic, ...day],
      {
        time,
        names: [messageId, { hyphened: brokerName }, String(queueId), `${startOffset}.json`],
      },
    ]),
    messageGroupId: messageGroupId(shardingKey ?? `${topic}/${brokerName}/${queueId}`),
    deduplicationId: deduplicationId([
      ...[cluster, consumerGroup, topic, brokerName, queueId, startOffset],
      ...[offsetMsgId, storeTimestamp, messageId, md5OfBody],
    ]),
  };
}
