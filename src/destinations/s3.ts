import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { createDestination } from './create-destination.ts';

/** A bucket: an object per message. */
export function createS3Destination(
  client = new S3Client({ ...CLIENT_SETTINGS, followRegionRedirects: true }),
): FailureDestination {
  return createDestination(async (arn, { json, objectKey }, options) => {
    await client.send(
      new PutObjectCommand({
        Bucket: arn.slice(arn.lastIndexOf(':') + 1),
        Key: objectKey,
        Body: json,
        ContentType: 'application/json',
      }),
      options,
    );
  });
}
