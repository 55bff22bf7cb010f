import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BodyNotStoredError } from '../errors.ts';
import type { BodyStore } from '../ports/body-store.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';

/** A body has megabytes, and its message waits for it: longer than for a record of onFailure. */
const SETTINGS = {
  ...CLIENT_SETTINGS,
  requestHandler: { ...CLIENT_SETTINGS.requestHandler, requestTimeout: 10_000 },
  followRegionRedirects: true,
} as const;

/** Bodies as objects of S3, their bytes as they were sent. */
export function createS3Bodies(client = new S3Client(SETTINGS)): BodyStore {
  return {
    async put({ bucket, key }, body, { signal }) {
      try {
        await client.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: key,
            Body: body,
            ContentType: 'application/octet-stream',
          }),
          {
            abortSignal: signal,
          },
        );
      } catch (cause) {
        const error = cause instanceof Error ? cause : new Error(String(cause));
        throw new BodyNotStoredError(
          bucket,
          key,
          `${error.name}: ${error.message}`,
          ADVICE[error.name] ?? 'It is tried again',
          { cause },
        );
      }
    },
  };
}

const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied:
    "Allow s3:PutObject on it in the bucket's policy, and kms:GenerateDataKey when its key is your own; the role has the rest",
  NoSuchBucket: 'Create the bucket, or correct s3PointerThreshold.bucket',
};
