export * from './errors.ts';
export type {
  RocketMQAttributes,
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQHandler,
  RocketMQRecord,
} from './model/event.ts';
