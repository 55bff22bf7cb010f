import { z } from 'zod';
import type { RocketMQAttributes, RocketMQEvent, RocketMQRecord } from '../model/event.ts';

/** Keeps what it does not know, but its type is that of the interface: with an index signature a `RocketMQEvent` would not be one of these. */
function object<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strip> {
  return z.looseObject(shape) as unknown as z.ZodObject<Shape, z.core.$strip>;
}

/**
 * Zod schemas of the event, for parsers whose own schemas of SQS leave out what they do not know: Powertools' SqsSchema drops the `rocketmq` block.
 * `serverless-rocketmq/schemas`, so that nobody else loads zod. Fields that a later version adds are kept.
 */
export const RocketMQAttributesSchema = object({
  schemaVersion: z.literal('1.0'),
  cluster: z.string(),
  topic: z.string(),
  consumerGroup: z.string(),
  brokerName: z.string(),
  queueId: z.int(),
  queueOffset: z.string(),
  offsetMsgId: z.string(),
  idempotencyKey: z.string(),
  tags: z.string().exactOptional(),
  keys: z.array(z.string()),
  shardingKey: z.string().exactOptional(),
  orderKey: z.string().exactOptional(),
  reconsumeTimes: z.int(),
  maxReconsumeTimes: z.int(),
  // 64 bits that producers and brokers write: z.int() takes 53.
  bornTimestamp: z.number(),
  storeTimestamp: z.number(),
  bornHost: z.string(),
  storeHost: z.string(),
  bodyEncoding: z.enum(['utf8', 'base64']),
  bodySize: z.int(),
  s3Pointer: z.object({ bucket: z.string(), key: z.string() }).exactOptional(),
  flag: z.int(),
  properties: z.record(z.string(), z.string()),
}) satisfies z.ZodType<RocketMQAttributes>;

/** `.extend({ body: … })` it with what your bodies are, as Powertools' SqsRecordSchema. */
export const RocketMQRecordSchema = object({
  messageId: z.string(),
  receiptHandle: z.string(),
  body: z.string(),
  attributes: object({
    ApproximateReceiveCount: z.string(),
    SentTimestamp: z.string(),
    ApproximateFirstReceiveTimestamp: z.string(),
    SenderId: z.string(),
    SequenceNumber: z.string(),
    MessageGroupId: z.string().exactOptional(),
    AWSTraceHeader: z.string().exactOptional(),
  }),
  messageAttributes: z.record(
    z.string(),
    z.object({
      dataType: z.enum(['String', 'Number']),
      stringValue: z.string(),
      stringListValues: z.array(z.string()),
      binaryListValues: z.array(z.string()),
    }),
  ),
  md5OfBody: z.string(),
  eventSource: z.literal('aws:sqs'),
  eventSourceARN: z.string(),
  awsRegion: z.string(),
  rocketmq: RocketMQAttributesSchema,
}) satisfies z.ZodType<RocketMQRecord>;

export const RocketMQEventSchema = object({
  Records: z.array(RocketMQRecordSchema),
  rocketmqBatch: object({
    batchId: z.string(),
    attempt: z.int(),
    minOffset: z.string(),
    maxOffset: z.string(),
    lag: z.number(),
    deadline: z.int(),
    order: z.enum(['queue', 'key']).exactOptional(),
    bisectedFrom: z.string().exactOptional(),
  }),
}) satisfies z.ZodType<RocketMQEvent>;
