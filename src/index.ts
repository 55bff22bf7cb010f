export * from './errors.ts';
export type {
  RocketMQAttributes,
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQFailureOptions,
  RocketMQHandler,
  RocketMQRecord,
} from './model/event.ts';
