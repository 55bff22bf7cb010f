import { createHash, hash } from 'node:crypto';
import { digestKey } from '../model/aws-names.ts';
import type { RocketMQRecord, S3Pointer } from '../model/event.ts';
import type { S3PointerThreshold } from '../model/source.ts';
import type { BatchBuilder } from './batch.ts';

/** What a UTF-16 unit is at most in JSON: a control character's `\u0001`. */
const WIDEST_ESCAPE = 6;

/**
 * Adds a record with its body, or with a pointer instead: where the option says so, and where no
 * event could carry it otherwise.
 * @param build makes the record with its body, once for each event
 */
export function addRecord(
  builder: BatchBuilder,
  build: () => RocketMQRecord,
  body: Uint8Array,
  threshold: S3PointerThreshold | undefined,
): ReturnType<BatchBuilder['add']> {
  if (threshold === undefined)
    return builder.isTooLarge(body.length) ? 'too-large' : builder.add(build(), build);
  const record = build();
  if (!isLarger(record.body, threshold.bytes)) {
    const fit = builder.add(record, build);
    if (fit !== 'too-large') return fit;
  }
  const pointer = pointerTo(record, body, threshold);
  return builder.add(withPointer(record, pointer), () => withPointer(build(), pointer));
}

/** Is the text, as it stands in JSON, larger than so many bytes? */
function isLarger(text: string, bytes: number): boolean {
  if (text.length * WIDEST_ESCAPE <= bytes) return false;
  if (text.length > bytes) return true;
  return Buffer.byteLength(JSON.stringify(text)) - 2 > bytes;
}

/**
 * Where a body goes: `<prefix>/<cluster>/<group>/<topic>/<messageId>-<digest>`. A redelivery comes from another place of another queue, and has the
 * same key by its id. The digest, of id and body, keeps messages apart whose producer gave them one id.
 */
function pointerTo(
  { messageId, rocketmq }: RocketMQRecord,
  body: Uint8Array,
  { bucket, prefix }: S3PointerThreshold,
): S3Pointer {
  const digest = createHash('sha256')
    // Of a fixed length: no id and body together equal another id and body.
    .update(hash('sha256', messageId))
    .update(body)
    .digest('hex')
    .slice(0, 32);
  return {
    bucket: bucket.slice(bucket.lastIndexOf(':') + 1),
    key: digestKey(
      prefix,
      [rocketmq.cluster, rocketmq.consumerGroup, rocketmq.topic],
      messageId,
      digest,
    ),
  };
}

/**
 * The record as Amazon's SQS Extended Client leaves it: Jackson's typed JSON of its class PayloadS3Pointer as body, the size of what was there in the
 * attribute ExtendedPayloadSize. github.com/awslabs/payload-offloading-java-common-lib-for-aws, amazon-sqs-java-extended-client-lib
 */
export function withPointer(record: RocketMQRecord, s3Pointer: S3Pointer): RocketMQRecord {
  const { bucket, key } = s3Pointer;
  const body = JSON.stringify([
    'software.amazon.payloadoffloading.PayloadS3Pointer',
    { s3BucketName: bucket, s3Key: key },
  ]);
  const size = {
    dataType: 'Number' as const,
    stringValue: String(record.rocketmq.bodySize),
    stringListValues: [],
    binaryListValues: [],
  };
  return {
    ...record,
    body,
    messageAttributes: { ...record.messageAttributes, ExtendedPayloadSize: size },
    md5OfBody: hash('md5', body),
    rocketmq: { ...record.rocketmq, s3Pointer: { ...s3Pointer } },
  };
}
