import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';

/** A bucket: an object per message, `rocketmq/<cluster>/<group>/<topic>/YYYY/MM/DD/<time>-<messageId>-<broker>-<queue>-<offset>.json`. */
export function createS3Destination(
  client = new S3Client({ ...CLIENT_SETTINGS, followRegionRedirects: true }),
): FailureDestination {
  return {
    async deliver(arn, record) {
      const Bucket = arn.slice(arn.lastIndexOf(':') + 1);
      await client.send(
        new PutObjectCommand({
          Bucket,
          Key: objectKey(record),
          Body: JSON.stringify(record),
          ContentType: 'application/json',
        }),
      );
    },
  };
}

function objectKey({
  timestamp,
  RocketMQBatchInfo: info,
  payload,
}: Parameters<FailureDestination['deliver']>[1]): string {
  const [{ messageId }] = payload.Records;
  const day = timestamp.slice(0, 10).replaceAll('-', '/');
  const name = `${timestamp.replaceAll(':', '.')}-${messageId}-${info.brokerName}-${info.queueId}-${info.startOffset}.json`;
  return ['rocketmq', info.cluster, info.consumerGroup, info.topic, day, name].join('/');
}
