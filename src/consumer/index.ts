export * from '../errors.ts';
export type { HostAndPort, Message, UndecodableRecord } from '../model/message.ts';
export { dlqTopic, type MessageQueue, retryTopic } from '../model/message-queue.ts';
export type { ClusterConfig, Credentials, TlsOptions } from '../model/source.ts';
export type { PullResult } from '../ports/rocketmq.ts';
export { PullConsumer, type PullConsumerOptions, type PullOptions, type SendBackOptions } from './pull-consumer.ts';
export { type ReadOptions, UndecodableRecordError } from './read-messages.ts';
