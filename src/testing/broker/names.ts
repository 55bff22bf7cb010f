import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from '../../model/message-queue.ts';

/** The topic that producers name as a template when theirs does not exist yet. */
export const AUTO_CREATE_TOPIC = 'TBW102';
/** Where delayed messages wait: queue n − 1 holds level n. */
export const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX';

const LEGAL = /^[%|a-zA-Z0-9_-]+$/;
const NOT_ALLOWED_TO_SEND = new Set([
  SCHEDULE_TOPIC,
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
]);
const SYSTEM_TOPICS = new Set([
  ...NOT_ALLOWED_TO_SEND,
  AUTO_CREATE_TOPIC,
  'BenchmarkTest',
  'RMQ_SYS_TRACE_TOPIC',
  'CHECKPOINT_TOPIC',
]);

/** The broker's complaint about a topic name, or undefined when it is legal. Mirrors TopicValidator.validateTopic. */
export function topicComplaint(topic: string): string | undefined {
  if (topic.trim() === '') return 'The specified topic is blank.';
  if (!LEGAL.test(topic))
    return `The specified topic: ${topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`;
  const isGroupTopic = topic.startsWith(RETRY_TOPIC_PREFIX) || topic.startsWith(DLQ_TOPIC_PREFIX);
  if (isGroupTopic && topic.length > 255)
    return `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: 255`;
  if (!isGroupTopic && topic.length > 127)
    return `The specified topic: ${topic}, is longer than topic max length: 127`;
  return undefined;
}

/** Mirrors TopicValidator.validateGroup. */
export function groupComplaint(group: string): string | undefined {
  if (group.trim() === '') return 'The specified group is blank.';
  if (!LEGAL.test(group))
    return `The specified group: ${group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`;
  if (group.length > 120)
    return `The specified group: ${group}, is longer than group max length: 120`;
  return undefined;
}

export function isSystemTopic(topic: string): boolean {
  return SYSTEM_TOPICS.has(topic) || topic.startsWith('rmq_sys_');
}

export function isSendForbidden(topic: string): boolean {
  return NOT_ALLOWED_TO_SEND.has(topic);
}
