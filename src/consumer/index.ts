export type { ClusterOptions } from '../client/check-cluster.ts';
export { createRocketMQClient, type RocketMQClient } from '../client/rocketmq-client.ts';
export {
  type DeadLetter,
  type DeadLetterSelection,
  type DeadLetterTopic,
  listDeadLetters,
} from '../dlq/dead-letters.ts';
export type { RedriveOptions, RedriveReport } from '../dlq/redrive.ts';
export * from '../errors.ts';
export type { HostAndPort, Message, UndecodableRecord } from '../model/message.ts';
export { dlqTopic, type MessageQueue, retryTopic } from '../model/message-queue.ts';
export type { ClusterConfig, Credentials, TlsOptions } from '../model/source.ts';
export type { OutgoingMessage, PullResult, RocketMQ, SendResult } from '../ports/rocketmq.ts';
export { peekDeadLetters, redriveDeadLetters } from './checked-dead-letters.ts';
export { Producer, type SendOptions } from './producer.ts';
export {
  PullConsumer,
  type PullConsumerOptions,
  type PullOptions,
  type SendBackOptions,
} from './pull-consumer.ts';
export { type ReadOptions, UndecodableRecordError } from './read-messages.ts';
