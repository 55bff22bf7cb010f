/** The test kit: a RocketMQ in this process, for tests without Java. */
export type {
  Control,
  ControlDecision,
  ControlHandle,
  ControlledRequest,
  ControlOptions,
} from './controls.ts';
export type {
  EmbeddedRocketMQ,
  EmbeddedRocketMQOptions,
  InspectedMessage,
  RequestName,
} from './embedded-rocketmq.ts';
export { startEmbeddedRocketMQ } from './embedded-rocketmq.ts';
export { createRocketMQEvent, type EventMessage, type EventOptions } from './event-factory.ts';
