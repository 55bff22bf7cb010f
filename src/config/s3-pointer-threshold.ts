import { z } from 'zod';
import { options, orDeployed, wholeNumber } from './schema-parts.ts';

/** Lambda's 6 MB without room for the rest of a record. */
const MOST_BYTES = 6_000_000;
const BUCKET =
  'the ARN of an S3 bucket (arn:aws:s3:::large-orders), or a reference that gives one ({ Fn::GetAtt: [LargeOrders, Arn] })';
const ARN = /^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** As Amazon's SQS Extended Client takes them. The rest of the 1,024 bytes of a key is cluster, group, topic and message. */
const PREFIX =
  'up to 400 letters, digits and . _ - / without a dot or slash in front and without ..';

/** `s3PointerThreshold` of an event. */
export const s3PointerThreshold = options({
  bytes: wholeNumber(1, MOST_BYTES),
  bucket: orDeployed(z.string({ error: BUCKET }).regex(ARN, { error: BUCKET })),
  // Not that of onFailure: a lifecycle rule that ends bodies must not end what failed.
  prefix: z
    .string({ error: PREFIX })
    .regex(/^(?!.*\.\.)[a-zA-Z0-9_-][a-zA-Z0-9._/-]{0,399}$/, { error: PREFIX })
    .transform((prefix) => prefix.replace(/\/+$/, ''))
    .default('rocketmq-bodies'),
});
