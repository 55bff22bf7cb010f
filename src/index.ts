export * from './errors.ts';
export { createHandler } from './helpers/create-handler.ts';
export type { FetchBody } from './helpers/fetch-bodies.ts';
export { MessageFailure } from './helpers/message-failure.ts';
export { type BodyFormat, InvalidBodyError, type StandardSchema } from './helpers/parse-body.ts';
export { type PartialBatchOptions, partialBatch } from './helpers/partial-batch.ts';
export {
  type ParsedRecord,
  type RecordsOptions,
  type RocketMQEventOf,
  rocketmqRecords,
} from './helpers/rocketmq-records.ts';
export type {
  RocketMQAttributes,
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQFailureOptions,
  RocketMQHandler,
  RocketMQRecord,
  S3Pointer,
} from './model/event.ts';
export type {
  EventOfFormat,
  RocketMQCloudEvent,
  RocketMQKafkaBatchResponse,
  RocketMQKafkaEvent,
  RocketMQKafkaRecord,
  RocketMQMessageFacts,
  RocketMQRawMessage,
} from './model/event-formats.ts';
export type { FailureCondition, FailureRecord } from './model/failure.ts';
